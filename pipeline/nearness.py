"""Texts that are nearly the same: which of some texts repeat one of others, but for case, marks, a word or a typo.

Two texts are near if their numbers are the same, and either four fifths of their distinct words are shared, or three
fifths of the words and three quarters of the runs of three characters (a typo changes a word, but few such runs).
Numbers decide because they make another question of the same sentence. The measure is Jaccard's, |a & b| / |a | b|;
pairs that cannot reach it are skipped by looking only at each text's rarest words (Chaudhuri et al. 2006, Bayardo et
al. 2007), so that tens of thousands of rows are compared exactly, within a minute.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

from pipeline.wording import fold, whole_numbers, words

SHARED_WORDS = 0.8
FEWER_WORDS, SHARED_RUNS = 0.6, 0.75
RUN = 3  # characters


@dataclass(frozen=True)
class Likeness:
    """What a text is compared by."""

    words: tuple[str, ...]

    @cached_property
    def distinct(self) -> frozenset[str]:
        """Its words, each once."""
        return frozenset(self.words)

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Words with digits, in the text's order."""
        return tuple(word for word in self.words if any(character.isdigit() for character in word))

    @cached_property
    def runs(self) -> frozenset[str]:
        """All runs of three characters."""
        text = f" {' '.join(self.words)} "
        return frozenset(text[begin : begin + RUN] for begin in range(len(text) - RUN + 1))

    def is_near(self, other: Likeness) -> bool:
        """Whether two texts are nearly the same. Equal ones are."""
        if self.words == other.words:
            return True
        if self.numbers != other.numbers:
            return False
        shared = _jaccard(self.distinct, other.distinct)
        if shared >= SHARED_WORDS:
            return True
        return shared >= FEWER_WORDS and _jaccard(self.runs, other.runs) >= SHARED_RUNS


def normalised(text: str) -> tuple[str, ...]:
    """A text's words, folded; a text without any stands for itself."""
    folded = whole_numbers(fold(text))
    return tuple(words(folded)) or (folded.strip(),)


def near(texts: Sequence[str], others: Sequence[str]) -> dict[int, int]:
    """Number of a text -> number of the first of `others` that it is equal to or, else, nearly the same as."""
    mine, theirs = ([Likeness(normalised(text)) for text in some] for some in (texts, others))
    first: dict[tuple[str, ...], int] = {}
    for number, likeness in enumerate(theirs):
        first.setdefault(likeness.words, number)
    index = _Index(theirs, Counter(word for each in (*mine, *theirs) for word in each.distinct))
    found: dict[int, int] = {}
    for number, likeness in enumerate(mine):
        place = first[likeness.words] if likeness.words in first else index.near(likeness)
        if place is not None:
            found[number] = place
    return found


class _Index:
    """Texts by their rarest words: one that shares three fifths of its words with another shares one of those."""

    def __init__(self, texts: Sequence[Likeness], counts: Counter[str]) -> None:
        self.texts, self.counts = texts, counts
        self.distinct = [text.distinct for text in texts]
        self.by_word: dict[str, list[int]] = defaultdict(list)
        for number, text in enumerate(texts):
            for word in self._rarest(text):
                self.by_word[word].append(number)

    def _rarest(self, text: Likeness) -> list[str]:
        ordered = sorted(text.distinct, key=lambda word: (self.counts[word], word))
        return ordered[: len(ordered) - ceil(FEWER_WORDS * len(ordered)) + 1]

    def near(self, text: Likeness) -> int | None:
        mine, others = text.distinct, self.distinct
        size, least = len(mine), FEWER_WORDS / (1 + FEWER_WORDS)  # shared words per word of both that the measure asks
        if size < 2:  # of one word: equal or not
            return None
        seen: set[int] = set()
        for word in self._rarest(text):
            seen.update(self.by_word.get(word, ()))
        likely = [at for at in seen if len(mine & others[at]) >= least * (size + len(others[at]))]
        return next((at for at in sorted(likely) if text.is_near(self.texts[at])), None)


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
