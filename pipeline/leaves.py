"""The texts inside a row of data, however it nests or encodes them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pipeline.errors import DataError

Decode = Callable[[Sequence[int]], str]  # token ids -> text, as a tokenizer's `decode`

TOKEN_COLUMNS = ("input_ids", "token_ids", "tokens")
_COUNTS_TOO = "tokens"  # a name that ids share with what is only counted
_SPEAKERS = ("role", "from", "type")  # who says it, not what is said
_SPEAKER = re.compile(r"[A-Za-z]+(?:[_-][A-Za-z]+)?")
_DEPTH = 64  # of nesting, JSON in JSON in JSON included
_FEW = 8  # whole numbers that may be data; a longer list of nothing else is ids or measurements, not words
_NAME_WORDS = 5  # a name of more is a text, whatever joins its words
_NAMES = 1000  # the level of such names: after all texts, which may belong together
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|U[0-9a-fA-F]{8}|.)", re.DOTALL)


def leaves(row: dict[str, Any], decode: Decode | None = None, is_told: bool = False) -> list[tuple[str, str]]:
    """(column, text) for every text in a row: nested values, token ids decoded, then what JSON inside strings holds.

    Names of columns and keys are texts, too, if they have spaces or many words. `is_told` says that training reads the
    row's text: then a column `tokens` need not be readable. Raises DataError if the row holds token ids and `decode`
    is not given or does not know them, or nests too deeply.
    """
    walk = _Walk(decode, tuple(name for name in TOKEN_COLUMNS if not (is_told and name == _COUNTS_TOO)))
    found = [(level, str(name), text) for name, value in row.items() for level, text in walk.texts(value, str(name))]
    found += [(level, str(name), text) for name in row for level, text in _named(str(name), _NAMES)]
    # what stands beside each other in the row stays together: a question may be spread over columns or a list of words
    return [(column, text) for _, column, text in sorted(found, key=lambda leaf: leaf[0])]


@dataclass(frozen=True)
class _Walk:
    """A walk through a row that yields (level, text); the level counts the JSON documents around the text."""

    decode: Decode | None
    token_columns: tuple[str, ...] = TOKEN_COLUMNS

    def texts(self, value: Any, key: str, level: int = 0, depth: int = 0) -> Iterator[tuple[int, str]]:
        if value is None or isinstance(value, bool):
            return
        if depth > _DEPTH:
            if level:  # of JSON inside a string: that has been read as it stands
                return
            raise DataError(f"column {key} nests more than {_DEPTH} deep, which nobody looks through: flatten it")
        if isinstance(value, str):
            if key not in _SPEAKERS or len(value) > 20 or not _SPEAKER.fullmatch(value):
                yield level, value
            yield from self._inside(value, key, level, depth)
        elif isinstance(value, bytes):
            yield from self.texts(value.decode("utf-8", "replace"), key, level, depth)
        elif isinstance(value, dict):
            for inner, item in value.items():
                yield from _named(str(inner), level)
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
            if key in self.token_columns:
                raise DataError(f"column {key} holds token ids, which cannot be read without a tokenizer")
            return
        try:
            yield self.decode([value for value in ids if value >= 0])  # -100 masks a label
        except (IndexError, KeyError, OverflowError, TypeError, ValueError):
            if key in self.token_columns:
                raise DataError(f"column {key} holds ids that the tokenizer does not know: tokenise it anew") from None


@lru_cache(maxsize=4096)
def _named(name: str, level: int) -> tuple[tuple[int, str], ...]:
    """The name of a column or a key, as far as it is a text."""
    if " " in name:
        return ((level, name),)
    return ((_NAMES, name),) if len(re.findall(r"[^\W_]+", name)) > _NAME_WORDS else ()


def variants(text: str) -> Iterator[str]:
    """A text, and what it becomes when backslash escapes, HTML entities or both are undone in it, once to three times.

    One by one, too: LaTeX's backslashes are no escapes, and an item may hold entities of its own.
    """
    yield text
    seen, found = {text}, [text]
    for _ in range(3):
        undone = [each for text in found for each in _undone(text)]
        found = [each for each in dict.fromkeys(undone) if each not in seen]
        seen.update(found)
        yield from found


def _undone(text: str) -> Iterator[str]:
    plain = html.unescape(text) if "&" in text else text
    if plain != text:
        yield _paired(plain)
    if "\\" in text:
        unescaped = _ESCAPE.sub(_unescaped, text)
        yield _paired(unescaped)
        if "&" in unescaped:
            yield _paired(html.unescape(unescaped))


def _paired(text: str) -> str:
    """A text whose halves of surrogate pairs are joined: two \\u escapes may be one letter."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescaped(match: re.Match[str]) -> str:
    escape = match[1]
    if len(escape) > 1:
        code = int(escape[1:], 16)
        return chr(code) if code < 0x110000 else "\ufffd"
    return {"n": "\n", "r": "\n", "t": "\t"}.get(escape, escape)
