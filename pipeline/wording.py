"""When two texts ask the same: case, Unicode form and punctuation forgiven, words, numbers and signs not. Pure Python.

A text is compared as its stream of letters and digits. Beyond that numbers (`3.5`, `35`) and arithmetic signs in the
same place (`3 + 4`, `3 - 4`) must agree, and a space must not have been put into or taken out of a word (`nowhere`,
`now here`). The marks at the beginning of lines (quotes, comments, lists) are no signs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from itertools import pairwise
from unicodedata import category, normalize

# scripts written without spaces: every character is a word, so that a match may begin anywhere
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
_FILLERS = "\u115f\u1160\u3164\uffa0"  # letters by category, and invisible
_VOWELS = "".join(chr(code) for code in range(0x900, 0xE00) if category(chr(code)) in ("Mn", "Mc"))  # of Indic scripts
_LETTERS = rf"[^\W_{_UNSPACED}{_FILLERS}]"
WORD = re.compile(rf"[{_UNSPACED}]|{_LETTERS}+(?:[{_VOWELS}]+{_LETTERS}*)*")
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")

_UNSEEN = (
    "\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff"
)
_INVISIBLE = re.compile(f"[{_UNSEEN}{_FILLERS}]+")
_IN_NUMBER = re.compile(rf"(?<=\d)[{_UNSEEN}{_FILLERS}]+(?=\d)")

_DASHES = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
_THOUSANDS = re.compile(r"(?<=\d)(?:,\s*|\s+|')(?=\d{3}(?!\d))")
_EMPHASIS = re.compile(r"(?<!\w)\*+(?=\w)|(?<=\w)\*+(?!\w)")
_LINE_MARKS = re.compile(r"^[^\S\n]*(?:(?:[>*#-]|//)+[^\S\n]+)+", re.MULTILINE)
# a dash or slash is a sign only before a number or a variable; elsewhere it is punctuation
_SIGNS = re.compile(r"[+*=<>^\u00d7\u00f7]|[-/](?=\s*(?:\d|[^\W\d_]\b))|(?<=\b\w)#")
_LEADING, _TRAILING = re.compile(r"[-+$\u20ac\u00a3]+$"), re.compile(r"[+#%]+")  # beside a number or a single letter
_CALCULATION = re.compile(r"\d\s*[+*=^\u00d7\u00f7]|\d\s[-/]\s*\d")

SHORT = 5  # words; longer questions do not stand within other people's sentences by accident
CALCULATION = 4  # words, two numbers among them
_QUOTES, _JOINTS, _OPERATORS = "'\u2019\u2018_", "'\u2019\u2018_-,", "+*/^<>\u00d7\u00f7"


class Stand(Enum):
    """Where a question must stand to be recognised: the shorter it is, the more often honest texts say the same."""

    ANYWHERE = "as words in their order, in any text"
    APART = "as a text, line, sentence or quotation of its own"
    WHOLE = "as all that a user says"


def fold(text: str) -> str:
    """The text in one case and one Unicode form (NFKC), dashes alike."""
    if text.isascii():
        return text.lower()
    return _DASHES.sub("-", normalize("NFKC", normalize("NFKC", text).casefold()))


def words(folded: str) -> list[str]:
    """The words of a folded text: runs of letters and digits."""
    return (_ASCII_WORD if folded.isascii() else WORD).findall(folded)


def whole_numbers(folded: str) -> str:
    """A folded text without the invisible characters inside its numbers."""
    return folded if folded.isascii() else _IN_NUMBER.sub("", folded)


def size(folded: str) -> float:
    """How many words a folded text has; of scripts without spaces two characters are counted as one."""
    return sum(0.5 if _IS_UNSPACED.match(word) else 1.0 for word in words(folded))


def stand(folded: str) -> Stand:
    """Where the question that says `folded` must stand. One word, or numbers alone, are no text to recognise it by."""
    found, many = words(folded), size(folded)
    numbers = [word for word in found if word.isnumeric()]
    if many > SHORT:
        return Stand.ANYWHERE
    if many <= 1 or (len(numbers) == len(found) and not _CALCULATION.search(folded)):
        return Stand.WHOLE
    return Stand.ANYWHERE if many >= CALCULATION and len(numbers) > 1 else Stand.APART


def bare(text: str) -> str:
    """What texts that must be equal as wholes are compared by: words, numbers and symbols, without punctuation."""
    folded = _INVISIBLE.sub("", fold(text))
    if not WORD.search(folded):
        return "".join(folded.split())  # emoji or marks alone: these are the text
    folded = _THOUSANDS.sub("", _LINE_MARKS.sub("", folded))
    return " ".join("".join(_kept(folded, at) for at in range(len(folded))).split())


def _kept(folded: str, at: int) -> str:
    """A character of a folded text as `bare` has it."""
    character, before, after = folded[at], folded[at - 1 : at], folded[at + 1 : at + 2]
    if character in "-.,":
        return character if after.isdigit() and (character == "-" or before.isdigit()) else " "
    if character in "*`|~":  # how Markdown sets things off
        return ""
    punctuation = category(character)[0] == "P" and character not in "#%&@/"
    return "" if punctuation else character


@dataclass(frozen=True)
class Question:
    """What must agree, beyond the stream of letters and digits, between a question and a place in a row."""

    text: str  # folded, from its first word to its last
    ends: tuple[str, str] = ("", "")  # signs before and after it, as in -5 and C++

    @classmethod
    def at(cls, folded: str, start: int, stop: int) -> Question:
        """The question that stands in a folded text from `start` to `stop`, where words begin and end."""
        leading = _LEADING.search(folded[max(0, start - 8) : start]) if folded[start].isdigit() else None
        is_value = folded[stop - 1].isdigit() or not folded[stop - 2 : stop - 1].isalnum()
        trailing = _TRAILING.match(folded, stop) if is_value else None
        return cls(folded[start:stop], (leading[0] if leading else "", trailing[0] if trailing else ""))

    @cached_property
    def is_short(self) -> bool:
        """Whether nothing of it may be forgiven."""
        return size(self.text) <= SHORT

    @cached_property
    def numbers(self) -> tuple[list[str], ...]:
        """Its numbers, in three readings: as they stand, with thousands joined, and without what nobody sees."""
        readings = (self.text, _THOUSANDS.sub("", self.text), _THOUSANDS.sub("", whole_numbers(self.text)))
        return tuple(re.findall(r"\d+", text) for text in readings)

    @cached_property
    def signs(self) -> list[list[str]]:
        """Its arithmetic signs: with and without the marks that begin lines, what nobody sees left out or a space."""
        unmarked = _LINE_MARKS.sub("", self.text)
        readings = [_INVISIBLE.sub(instead, text) for text in (self.text, unmarked) for instead in ("", " ")]
        return [_SIGNS.findall(_EMPHASIS.sub("", text)) for text in readings]

    @cached_property
    def breaks(self) -> tuple[set[int], set[int]]:
        """Places in the stream where a word ends: all of them, and those with whitespace."""
        every: set[int] = set()
        spaced: set[int] = set()
        at = 0
        for left, right in pairwise(WORD.finditer(self.text)):
            at += len(left[0])
            every.add(at)
            if any(character.isspace() for character in self.text[left.end() : right.start()]):
                spaced.add(at)
        return every, spaced

    def agrees(self, other: Question) -> bool:
        """Whether a text with the same letters and digits, `other`, asks this question."""
        if not any(mine == others for mine, others in zip(self.numbers, other.numbers, strict=True)):
            return False
        same_signs = any(mine == others for mine, others in zip(self.signs, other.signs, strict=True))
        # none at all: punctuation was stripped; in a short question a sign may be all that it differs by
        if not same_signs and all(self.signs) and (self.is_short or all(other.signs)):
            return False
        if self.is_short and self.ends != other.ends:
            return False
        return self.breaks[1] <= other.breaks[0] and other.breaks[1] <= self.breaks[0]


def parts(gap: str, before: str, after: str, opening: bool) -> bool:
    """Whether what stands between two words ends one text and begins another; the words are given, folded.

    `opening` tells that the text in question begins there; else it ends there. Commas, hyphens and apostrophes do not
    part, but a quotation mark does, and the comma of a table (`1,help me,5`).
    """
    if "\n" in gap:
        return True
    gap = _INVISIBLE.sub("", gap)
    is_tight = not any(map(str.isspace, gap))
    if not gap or (is_tight and before[-1].isdigit() and after[0].isdigit()):
        return False
    if len(gap) > 1 and (gap[-1] if opening else gap[0]) in _QUOTES:
        return True
    marks = [each for each in gap if each not in _JOINTS and category(each)[0] in "PS"]
    return gap == "," or bool(marks and not goes_on(gap, before, after))


def goes_on(gap: str, before: str, after: str) -> bool:
    """Whether an arithmetic sign between two words makes them one expression."""
    marks = gap.strip()
    is_operator = bool(marks) and all(each in f"{_OPERATORS}-" or each.isspace() for each in marks)
    return is_operator and all(word.isnumeric() or len(word) == 1 for word in (before, after))
