"""BFCL's four AST categories: requests and function schemas, answered by calls that are compared as trees of values."""

from __future__ import annotations

import json
from typing import Any

from pipeline.answers.call_match import fault
from pipeline.answers.call_prompt import asked
from pipeline.answers.calls import lenient_calls, strict_calls
from pipeline.task_items import Documents, splits


def dataset(**metadata: Any) -> dict[str, Documents]:
    """The items, as lm-eval wants them."""
    return splits("bfcl_ast", **metadata)


def item(row: dict[str, Any], number: int, seed: int) -> dict[str, Any]:
    """An item of a row with its accepted answers: the data set's own id, request, functions and key."""
    [turn] = row["question"]
    return {
        "id": row["id"],
        "question": "\n".join(message["content"] for message in turn),
        "functions": row["function"],
        "accepted": row["ground_truth"],
        "answer": json.dumps([_example(call) for call in row["ground_truth"]]),
    }


def _example(accepted: dict[str, Any]) -> dict[str, Any]:
    """One of the accepted calls: the first value of each argument that has one ("" means that it may be left out)."""
    [(name, wanted)] = accepted.items()
    return {"name": name, "arguments": _values(wanted)}


def _values(wanted: dict[str, list[Any]]) -> dict[str, Any]:
    given = {key: [value for value in values if value != ""] for key, values in wanted.items()}
    return {key: _plain(values[0]) for key, values in given.items() if values}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return _values(value)
    return [_plain(each) for each in value] if isinstance(value, list) else value


def question(doc: dict[str, Any]) -> str:
    """The user's turn: schemas written out, so that any harness can run it."""
    return asked(doc["functions"], doc["question"])


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Strict: nothing but calls, in one of the usual styles. Lenient: the calls that a reader finds."""
    strict = fault(strict_calls(results[0]), doc["accepted"], doc["functions"]) is None
    found = lenient_calls(results[0], len(doc["accepted"]))
    lenient = strict or fault(found, doc["accepted"], doc["functions"]) is None
    return {"strict": float(strict), "lenient": float(lenient)}


def few_shot_question(doc: dict[str, Any]) -> str:
    """The question in raw text."""
    schemas = "\n".join(json.dumps(function, ensure_ascii=False) for function in doc["functions"])
    return f"Question: {doc['question']}\nFunctions: {schemas}\nCalls:"


def few_shot_answer(doc: dict[str, Any]) -> str:
    """One of the accepted answers."""
    return str(doc["answer"])
