"""Where the questions of benchmark items stand verbatim in rows of training data. Pure Python, no plugin.

Exact means: the item's whole question, up to case, whitespace, punctuation and Unicode form (`pipeline.wording` says
what that is). Texts are compared as streams of their letters and digits; an index from the first characters to whole
questions makes that one dictionary look-up per word. What only shares a template with an item, a changed word or
number included, is no match.

An item is also found by the prompt that asks it, and, if it is told in several pieces, where every piece stands in the
row, in whatever order. A question of up to five words must stand apart, as a text, line, sentence or quotation: within
other people's sentences phrases that short are no accident. One word, bare numbers or an emoji must be all that a user
says (or the whole of a `text`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from re import compile as pattern
from typing import Any

from pipeline.errors import DataError
from pipeline.formats import RAW, Message, to_messages
from pipeline.leaves import Decode, leaves, variants
from pipeline.phrasing import Phrasing
from pipeline.wording import WORD, Question, Stand, bare, fold, goes_on, parts, size, stand, words

_NUMBER_GOES_ON = pattern(r"\d[.,]\d")
_PREFIXES = (48, 24, 12)  # characters of the index's tiers; the longer, the fewer questions share one
SEVERAL = 6  # words in those pieces of an item that are more than a word or a number, for it to be known by them


@dataclass(frozen=True)
class Hit:
    """One benchmark item found in one row (both counted from 0); `column` is where its question stands."""

    row: int
    column: str
    item: int


@dataclass
class _Wanted:
    """A text to find: the items that are found with it, and those that are if other texts are found as well."""

    question: Question
    stand: Stand
    items: set[int] = field(default_factory=set)
    with_others: list[tuple[int, frozenset[int]]] = field(default_factory=list)


class Overlap:
    """An index of questions. Build it once, then scan any number of sources: about 20 microseconds for a short row."""

    def __init__(self, questions: Sequence[str | Phrasing]) -> None:
        self._wanted: list[_Wanted] = []
        self._numbers: dict[tuple[Question, Stand], int] = {}
        self._streams: dict[str, list[int]] = {}
        self._tiers: dict[int, dict[str, list[int]]] = {}  # prefix size -> prefix -> sizes of questions, in characters
        self._whole: dict[str, dict[str, set[int]]] = {}  # streams -> `bare` texts of users -> items
        pieces: dict[int, frozenset[int]] = {}
        for number, asked in enumerate(questions):
            asked = Phrasing(asked) if isinstance(asked, str) else asked
            self._add(number, asked)
            if len(asked.pieces) > 1 and sum(filter(lambda words: words > 1, map(_told, asked.pieces))) >= SEVERAL:
                pieces[number] = frozenset(at for piece in asked.pieces if (at := self._piece(piece)) is not None)
        uses: dict[int, int] = {}
        for at in (at for some in pieces.values() for at in some):
            uses[at] = uses.get(at, 0) + 1
        for number, some in pieces.items():  # the rarest piece asks for the others: many items may share one
            rarest = min(some, key=lambda at: (uses[at], at))
            self._wanted[rarest].with_others.append((number, some - {rarest}))

    def _add(self, number: int, asked: Phrasing) -> None:
        for text in (asked.question, *variants(asked.question)):  # a question may hold what looks like an escape
            where = stand(fold(text))
            if where is Stand.WHOLE:
                self._add_whole(number, text)
            elif (at := self._number(text, where)) is not None:
                self._wanted[at].items.add(number)
        if asked.prompt and stand(fold(asked.question)) is not Stand.ANYWHERE:
            self._add_whole(number, asked.prompt)  # a longer question may end in a short one
        elif asked.prompt and (at := self._number(asked.prompt, Stand.ANYWHERE)) is not None:
            self._wanted[at].items.add(number)

    def _add_whole(self, number: int, text: str) -> None:
        if key := bare(text):
            self._whole.setdefault(_stream(text), {}).setdefault(key, set()).add(number)

    def _piece(self, text: str) -> int | None:
        where = stand(fold(text))
        return self._number(text, Stand.APART if where is Stand.WHOLE else where)

    def _number(self, text: str, where: Stand) -> int | None:
        """The place of a text among all that are wanted; None if it has no words."""
        folded = fold(text)
        found = list(WORD.finditer(folded))
        if not found:
            return None
        question = Question.at(folded, found[0].start(), found[-1].end())
        if (question, where) in self._numbers:
            return self._numbers[question, where]
        stream = "".join(word[0] for word in found)
        prefix = next((prefix for prefix in _PREFIXES if prefix <= len(stream)), len(stream))
        sizes = self._tiers.setdefault(prefix, {}).setdefault(stream[:prefix], [])
        if len(stream) not in sizes:
            sizes.append(len(stream))
        at = self._numbers[question, where] = len(self._wanted)
        self._wanted.append(_Wanted(question, where))
        self._streams.setdefault(stream, []).append(at)
        return at

    def find(self, text: str) -> set[int]:
        """The numbers of the questions that stand in a text as it is (no escapes undone)."""
        return self._items(self._find(text))

    def _find(self, text: str) -> set[int]:
        place = _Text(text)
        stream, ends = place.stream, place.ends
        found: set[int] = set()
        for prefix, prefixes in self._tiers.items():
            for at in [at for at in ends if stream[at : at + prefix] in prefixes]:
                for length in prefixes[stream[at : at + prefix]]:
                    for wanted in self._streams.get(stream[at : at + length], ()):
                        if wanted not in found and place.holds(self._wanted[wanted], at, at + length):
                            found.add(wanted)
        return found

    def _items(self, found: set[int]) -> set[int]:
        """The items that are found with certain texts."""
        items: set[int] = set()
        for at in found:
            items |= self._wanted[at].items
            items.update(number for number, others in self._wanted[at].with_others if others <= found)
        return items

    def scan(self, rows: Iterable[dict[str, Any]], decode: Decode | None = None) -> Iterator[Hit]:
        """Every item that stands in a row, in any column and format: nested, JSON in text, token ids (by `decode`).

        The row is read as it is, and as the conversation that training makes of it. A question spread over several
        columns of a row is found too, and named `a+b`. Raises DataError if rows hold token ids and there is no
        `decode`, or nest too deeply.
        """
        for number, row in enumerate(rows):
            messages = _messages(row)
            texts = leaves(row, decode, is_told=bool(messages))
            text, told = "\n".join([text for _, text in texts]), "\n".join([turn["content"] for turn in messages])
            found = self._in_any(text)
            if told not in text:
                found |= self._in_any(told)
            items = self._items(found) | self._as_wholes(messages)
            columns = self._columns(texts) if items else {}
            for item in sorted(items):
                yield Hit(number, columns.get(item, "+".join(dict.fromkeys(column for column, _ in texts))), item)

    def _in_any(self, text: str) -> set[int]:
        if "\\" not in text and "&" not in text:  # of nearly all texts
            return self._find(text)
        return set().union(*(self._find(variant) for variant in variants(text)))

    def _as_wholes(self, messages: list[Message]) -> set[int]:
        """The items that are all that a user says."""
        items: set[int] = set()
        if self._whole:
            told = [turn["content"] for turn in messages if turn["role"] in ("user", RAW)]
            for text in (variant for each in told for variant in variants(each)):
                if found := self._whole.get(_stream(text)):
                    items |= found.get(bare(text), set())
        return items

    def _columns(self, texts: list[tuple[str, str]]) -> dict[int, str]:
        columns: dict[int, str] = {}
        for column, text in texts:
            for item in self._items(self._in_any(text)):
                columns.setdefault(item, column)
        return columns


def _messages(row: dict[str, Any]) -> list[Message]:
    """The conversation that training makes of a row; empty if it makes none."""
    try:
        return to_messages(row)
    except DataError:
        return []


def _stream(text: str) -> str:
    return "".join(words(fold(text)))


def _told(text: str) -> float:
    """The words of a text that are no numbers."""
    return size(" ".join(word for word in words(fold(text)) if not word.isnumeric()))


class _Text:
    """A text to search: its stream of letters and digits, and where its words begin and end in both."""

    def __init__(self, text: str) -> None:
        self.folded = fold(text)
        found = words(self.folded)
        self.stream = "".join(found)
        self.ends = list(accumulate(map(len, found), initial=0))

    @cached_property
    def _places(self) -> list[tuple[int, int]]:
        return [word.span() for word in WORD.finditer(self.folded)]

    def holds(self, wanted: _Wanted, begin: int, end: int) -> bool:
        """Whether the stretch of the stream from `begin` to `end`, equal to the question's, is that question."""
        first = bisect_left(self.ends, begin)
        after = bisect_left(self.ends, end)
        if after == len(self.ends) or self.ends[after] != end:
            return False  # it ends within a word
        start, stop = self._places[first][0], self._places[after - 1][1]
        if _NUMBER_GOES_ON.match(self.folded, stop - 1):
            return False
        edges = ((first, True), (after, False))
        if wanted.stand is Stand.APART and not all(self._is_edge(word, opening) for word, opening in edges):
            return False
        if wanted.question.is_short and any(goes_on(*self._between(word)) for word, _ in edges if self._inner(word)):
            return False
        return wanted.question.agrees(Question.at(self.folded, start, stop))

    def _inner(self, word: int) -> bool:
        """Whether there are words both before and from word number `word` on."""
        return 0 < word < len(self._places)

    def _between(self, word: int) -> tuple[str, str, str]:
        """What stands before word number `word`, the word before that, and the word itself."""
        (begin, end), (start, stop) = self._places[word - 1], self._places[word]
        return self.folded[end:start], self.folded[begin:end], self.folded[start:stop]

    def _is_edge(self, word: int, opening: bool) -> bool:
        return not self._inner(word) or parts(*self._between(word), opening)
