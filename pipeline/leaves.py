"""The texts inside a row of data, however it nests or encodes them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import DataError

Decode = Callable[[Sequence[int]], str]  # token ids -> text, as a tokenizer's `decode`

TOKEN_COLUMNS = ("input_ids", "token_ids", "tokens")
_SPEAKERS = ("role", "from", "type")  # who says it, not what is said
_DEPTH = 12  # of nesting, JSON in JSON in JSON included
_FEW = 8  # whole numbers that may be data; a longer list of nothing else is ids or measurements, not words
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)


def leaves(row: dict[str, Any], decode: Decode | None = None) -> list[tuple[str, str]]:
    """(column, text) for every text in a row: nested values, token ids decoded, then what JSON inside strings holds.

    Raises DataError if the row holds token ids and `decode` is not given or does not know them.
    """
    walk = _Walk(decode)
    found = [(level, str(name), text) for name, value in row.items() for level, text in walk.texts(value, str(name))]
    # what stands beside each other in the row stays together: a question may be spread over columns or a list of words
    return [(column, text) for _, column, text in sorted(found, key=lambda leaf: leaf[0])]


@dataclass(frozen=True)
class _Walk:
    """A walk through a row that yields (level, text); the level counts the JSON documents around the text."""

    decode: Decode | None

    def texts(self, value: Any, key: str, level: int = 0, depth: int = 0) -> Iterator[tuple[int, str]]:
        if value is None or isinstance(value, bool) or depth > _DEPTH:
            return
        if isinstance(value, str):
            if key not in _SPEAKERS or len(value) > 20:
                yield level, value
            yield from self._inside(value, key, level, depth)
        elif isinstance(value, bytes):
            yield from self.texts(value.decode("utf-8", "replace"), key, level, depth)
        elif isinstance(value, dict):
            for inner, item in value.items():
                if " " in str(inner):
                    yield level, str(inner)
                yield from self.texts(item, str(inner), level, depth + 1)
        elif hasattr(value, "tolist"):  # arrays and tensors, without importing their libraries
            yield from self.texts(value.tolist(), key, level, depth)
        elif isinstance(value, list | tuple):
            yield from self._listed(value, key, level, depth)
        else:
            yield level, str(value)

    def _inside(self, text: str, key: str, level: int, depth: int) -> Iterator[tuple[int, str]]:
        """The texts of a JSON document that a string holds; nothing if it holds none."""
        text = text.strip() if text[:1].isspace() else text
        if not (text[:1] in ("{", "[") or (text[:1] == '"' and "\\" in text)):
            return
        try:
            inner = json.loads(text)
        except (ValueError, RecursionError):
            return
        yield from self.texts(inner, key, level + 1, depth + 1)

    def _listed(self, values: Sequence[Any], key: str, level: int, depth: int) -> Iterator[tuple[int, str]]:
        if values and all(type(value) is int for value in values):
            yield from ((level, text) for text in self._decoded(values, key))
            if len(values) > _FEW:
                return
        for value in values:
            yield from self.texts(value, key, level, depth + 1)

    def _decoded(self, ids: Sequence[int], key: str) -> Iterator[str]:
        if self.decode is None:
            if key in TOKEN_COLUMNS:
                raise DataError(f"column {key} holds token ids, which cannot be read without a tokenizer")
            return
        try:
            yield self.decode([value for value in ids if value >= 0])  # -100 masks a label
        except (IndexError, KeyError, OverflowError, TypeError, ValueError):
            if key in TOKEN_COLUMNS:
                raise DataError(f"column {key} holds ids that the tokenizer does not know: tokenise it anew") from None


def variants(text: str) -> Iterator[str]:
    """A text, and what it becomes when backslash escapes and HTML entities in it are undone, once to three times."""
    yield text
    for _ in range(3):
        plain = text
        if "\\" in plain:
            plain = _ESCAPE.sub(_unescaped, plain)
        if "&" in plain:
            plain = html.unescape(plain)
        if plain == text:
            return
        text = plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # two \u escapes may be one letter
        yield text


def _unescaped(match: re.Match[str]) -> str:
    escape = match[1]
    if len(escape) == 5:
        return chr(int(escape[1:], 16))
    return {"n": "\n", "r": "\n", "t": "\t"}.get(escape, escape)
