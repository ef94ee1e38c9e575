"""Rows as data sets have them -> chat messages: one function for every common layout."""

from __future__ import annotations

import json
from typing import Any

from pipeline.errors import DataError

Message = dict[str, Any]  # {"role", "content"}, and tool_calls and their like where a row has them

RAW = "text"  # the role of text that is trained on as it is, without a chat template

_LISTS = ("messages", "conversations", "conversation")
_PAIRS = (
    ("prompt", "completion"),
    ("instruction", "output"),  # an `input` column beside them belongs to the question
    ("instruction", "response"),
    ("question", "answer"),
    ("question", "response"),
    ("question", "solution"),
    ("problem", "solution"),
    ("problem", "answer"),
    ("query", "response"),
    ("query", "answer"),
    ("prompt", "response"),
    ("input", "output"),
)
_ROLES = {
    "system": ("system", "developer"),
    "user": ("user", "human", "prompter"),
    "assistant": ("assistant", "gpt", "chatgpt", "model", "bot"),
    "tool": ("tool", "function", "observation", "ipython"),
}
_ROLE_OF = {alias: role for role, aliases in _ROLES.items() for alias in aliases}
_EXTRAS = ("tool_calls", "tool_call_id", "name")
KNOWN = "messages, prompt + completion, instruction (+ input) + output, question + answer, conversations, text"


class IncompleteRow(DataError):
    """A row of a known layout without a question or an answer: the filter `complete` leaves such rows out."""


def to_messages(row: dict[str, Any]) -> list[Message]:
    """The row as chat messages that end with the assistant's; a `text` row as one message of the role `text`.

    Raises IncompleteRow if question or answer is empty, DataError naming the columns if the layout is not known.
    """
    columns = {str(name).lower(): value for name, value in row.items()}
    for name in _LISTS:
        if columns.get(name) is not None:
            return _ended(_conversation(columns[name], name))
    for question, answer in _PAIRS:
        if question in columns and answer in columns:
            return _pair(columns, question, answer)
    if "text" in columns:
        return [{"role": RAW, "content": _filled(_string(columns["text"], "text"), "text")}]
    found = ", ".join(map(str, row)) or "none"
    raise DataError(f"no known layout in the columns {found}: known are {KNOWN}; rename them with `columns`")


def _pair(columns: dict[str, Any], question: str, answer: str) -> list[Message]:
    asked, answered = columns[question], columns[answer]
    before = _listed(asked, question) if _is_list(asked) else _asked(columns, question)
    after = _listed(answered, answer) if _is_list(answered) else None
    if after is None:
        after = [{"role": "assistant", "content": _filled(_string(answered, answer), answer)}]
    return _ended([*before, *after])


def _asked(columns: dict[str, Any], question: str) -> list[Message]:
    text = _filled(_string(columns[question], question), question)
    if question == "instruction" and columns.get("input"):
        text = f"{text}\n\n{_string(columns['input'], 'input')}"
    system = _string(columns.get("system"), "system")
    return [*([{"role": "system", "content": system}] if system.strip() else []), {"role": "user", "content": text}]


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _listed(value: Any, column: str) -> list[Message]:
    return [_message(turn, column) for turn in value]


def _conversation(value: Any, column: str) -> list[Message]:
    if isinstance(value, str):  # some data sets store the list as JSON
        try:
            value = json.loads(value)
        except ValueError:
            raise DataError(f"column {column}: a list of messages is needed, found text") from None
    if not isinstance(value, list):
        raise DataError(f"column {column}: a list of messages is needed, found {type(value).__name__}")
    if not value:
        raise IncompleteRow(f"column {column} is empty")
    return _listed(value, column)


def _message(turn: Any, column: str) -> Message:
    if not isinstance(turn, dict):
        raise DataError(f"column {column}: a message must be an object, found {type(turn).__name__}")
    speaker = turn.get("role", turn.get("from"))
    role = _ROLE_OF.get(str(speaker).lower())
    if role is None:
        raise DataError(f"column {column}: unknown role {speaker!r}: known are {', '.join(_ROLE_OF)}")
    content = _string(turn.get("content", turn.get("value")), column)
    return {"role": role, "content": content, **{key: turn[key] for key in _EXTRAS if turn.get(key)}}


def _string(value: Any, column: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(part, dict) for part in value):  # [{"type": "text", "text": ..}]
        return "".join(_string(part.get("text"), column) for part in value)
    raise DataError(f"column {column}: text is needed, found {type(value).__name__}")


def _filled(text: str, column: str) -> str:
    if not text.strip():
        raise IncompleteRow(f"column {column} is empty")
    return text


def _ended(messages: list[Message]) -> list[Message]:
    """The messages, checked to be a conversation that the assistant ends."""
    last = messages[-1]
    if last["role"] != "assistant":
        raise IncompleteRow(f"the last message is of the {last['role']}, not an answer")
    if not last["content"].strip() and "tool_calls" not in last:
        raise IncompleteRow("the answer is empty")
    if not any(message["role"] == "user" and message["content"].strip() for message in messages):
        raise IncompleteRow("the question is empty")
    return messages
