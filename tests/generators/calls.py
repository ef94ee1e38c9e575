"""Generated rows, read: what they offer, ask for and answer."""

from __future__ import annotations

import json

KINDS = {
    "integer": int, "float": int | float, "number": int | float, "string": str, "boolean": bool, "array": list,
    "dict": dict, "object": dict,
}  # fmt: skip  # fmt: skip


def offered(row) -> list[dict]:
    if "tools" in row:
        return [tool["function"] for tool in row["tools"]]
    return [json.loads(line) for line in row["messages"][0]["content"].splitlines() if line.startswith('{"name"')]


def called(row) -> list[dict]:
    answer = row["messages"][1]
    if "tools" in row:
        return [call["function"] for call in answer["tool_calls"]]
    return json.loads(answer["content"])


def leaves(value):
    """All values but flags."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from leaves(each)
    elif not isinstance(value, bool):
        yield value


def asked(row) -> str:
    """A row's request, without the functions that it offers."""
    return row["messages"][0]["content"].partition("Request: ")[2]
