"""Where the questions of benchmark items stand verbatim in rows of training data. Pure Python, no plugin.

Exact means: the item's whole question, up to case, whitespace, punctuation and Unicode form. Texts are compared as
streams of their letters and digits; an index from the first characters to whole questions makes that one dictionary
look-up per word. What only shares a template with an item, a changed word or number included, is no match.

Differences that are still not forgiven, because they change the question: a space put into or taken out of a word
(`nowhere`, `now here`), numbers (`3.5`, `35`), and another arithmetic sign in the same place (`3 + 4`, `3 - 4`).
A question of up to three words must stand alone: phrases that short occur in honest text.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any
from unicodedata import normalize

from pipeline.leaves import Decode, leaves, variants

# scripts written without spaces: every character is a word, so that a match may begin anywhere
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_ASCII_WORD = re.compile(r"[a-z0-9]+")

_DASHES = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
_THOUSANDS = re.compile(r"(?<=\d)[,\s']\s?(?=\d{3}(?!\d))")
_EMPHASIS = re.compile(r"(?<!\w)\*+(?=\w)|(?<=\w)\*+(?!\w)")
# a dash or slash is a sign only before a number or a variable; elsewhere it is punctuation
_SIGNS = re.compile(r"[+*=<>^\u00d7\u00f7]|[-/](?=\s*(?:\d|[^\W\d_]\b))")

_NUMBER_GOES_ON = re.compile(r"\d[.,]\d")

_PREFIXES = (48, 24, 12)  # characters of the index's tiers; the longer, the fewer questions share one
STANDS_ALONE = 3  # questions of up to so many words


@dataclass(frozen=True)
class Hit:
    """One benchmark item found in one row (both counted from 0); `column` is where its question stands."""

    row: int
    column: str
    item: int


def fold(text: str) -> str:
    """The text in one case and one Unicode form (NFKC), dashes alike."""
    if text.isascii():
        return text.lower()
    return _DASHES.sub("-", normalize("NFKC", normalize("NFKC", text).casefold()))


def words(folded: str) -> list[str]:
    """The words of a folded text: runs of letters and digits."""
    return (_ASCII_WORD if folded.isascii() else _WORD).findall(folded)


@dataclass(frozen=True)
class _Question:
    """What must agree, beyond the stream of letters and digits, between a question and a place in a row."""

    text: str  # folded, from its first word to its last

    @cached_property
    def numbers(self) -> list[str]:
        return re.findall(r"\d+", _THOUSANDS.sub("", self.text))

    @cached_property
    def signs(self) -> list[str]:
        return _SIGNS.findall(_EMPHASIS.sub("", self.text))

    @cached_property
    def breaks(self) -> tuple[set[int], set[int]]:
        """Places in the stream where a word ends: all of them, and those with whitespace."""
        every: set[int] = set()
        spaced: set[int] = set()
        at = 0
        for left, right in pairwise(_WORD.finditer(self.text)):
            at += len(left[0])
            every.add(at)
            if any(character.isspace() for character in self.text[left.end() : right.start()]):
                spaced.add(at)
        return every, spaced

    def agrees(self, other: _Question) -> bool:
        """Whether two texts with the same letters and digits are the same question."""
        if self.numbers != other.numbers:
            return False
        if self.signs != other.signs and self.signs and other.signs:  # none at all: punctuation was stripped
            return False
        return self.breaks[1] <= other.breaks[0] and other.breaks[1] <= self.breaks[0]


class Overlap:
    """An index of questions. Build it once, then scan any number of sources: about 20 microseconds for a short row."""

    def __init__(self, questions: Sequence[str]) -> None:
        self._questions: dict[str, list[tuple[int, _Question, bool]]] = {}
        self._tiers: dict[int, dict[str, list[int]]] = {}  # prefix size -> prefix -> sizes of questions, in characters
        for number, question in enumerate(questions):
            self._add(number, fold(question))

    def _add(self, number: int, folded: str) -> None:
        found = list(_WORD.finditer(folded))
        if not found:
            return  # nothing but punctuation: no text to recognise it by
        stream = "".join(word[0] for word in found)
        size = next((prefix for prefix in _PREFIXES if prefix <= len(stream)), len(stream))
        sizes = self._tiers.setdefault(size, {}).setdefault(stream[:size], [])
        if len(stream) not in sizes:
            sizes.append(len(stream))
        question = _Question(folded[found[0].start() : found[-1].end()])
        self._questions.setdefault(stream, []).append((number, question, len(found) <= STANDS_ALONE))

    def find(self, text: str) -> set[int]:
        """The numbers of the questions that stand in a text as it is (no escapes undone)."""
        place = _Text(text)
        stream, ends = place.stream, place.ends
        hits: set[int] = set()
        for size, prefixes in self._tiers.items():
            for at in [at for at in ends if stream[at : at + size] in prefixes]:
                for length in prefixes[stream[at : at + size]]:
                    for number, question, short in self._questions.get(stream[at : at + length], ()):
                        if place.holds(question, at, at + length, short):
                            hits.add(number)
        return hits

    def scan(self, rows: Iterable[dict[str, Any]], decode: Decode | None = None) -> Iterator[Hit]:
        """Every item that stands in a row, in any column and format: nested, JSON in text, token ids (by `decode`).

        A question spread over several columns of a row is found too, and named `a+b`. Raises DataError if rows hold
        token ids and there is no `decode`.
        """
        for number, row in enumerate(rows):
            parts = leaves(row, decode)
            found = self._in_any("\n".join([text for _, text in parts]))
            columns = self._columns(parts) if found else {}
            for item in sorted(found):
                yield Hit(number, columns.get(item, "+".join(dict.fromkeys(column for column, _ in parts))), item)

    def _in_any(self, text: str) -> set[int]:
        return set().union(*(self.find(variant) for variant in variants(text)))

    def _columns(self, parts: list[tuple[str, str]]) -> dict[int, str]:
        columns: dict[int, str] = {}
        for column, text in parts:
            for item in self._in_any(text):
                columns.setdefault(item, column)
        return columns


class _Text:
    """A text to search: its stream of letters and digits, and where its words begin and end in both."""

    def __init__(self, text: str) -> None:
        self.folded = fold(text)
        found = words(self.folded)
        self.stream = "".join(found)
        self.ends = list(accumulate(map(len, found), initial=0))

    @cached_property
    def _places(self) -> list[tuple[int, int]]:
        return [word.span() for word in _WORD.finditer(self.folded)]

    def holds(self, question: _Question, begin: int, end: int, short: bool) -> bool:
        """Whether the stretch of the stream from `begin` to `end`, equal to the question's, is that question."""
        first = bisect_left(self.ends, begin)
        after = bisect_left(self.ends, end)
        if after == len(self.ends) or self.ends[after] != end:
            return False  # it ends within a word
        start, stop = self._places[first][0], self._places[after - 1][1]
        if _NUMBER_GOES_ON.match(self.folded, stop - 1):
            return False
        if short and not (self._is_edge(first) and self._is_edge(after)):
            return False
        return question.agrees(_Question(self.folded[start:stop]))

    def _is_edge(self, word: int) -> bool:
        """Whether the text begins, ends, breaks its line or has punctuation before word number `word`."""
        if word in (0, len(self._places)):
            return True
        gap = self.folded[self._places[word - 1][1] : self._places[word][0]]
        return "\n" in gap or any(not character.isspace() and character not in "'\u2019-" for character in gap)
