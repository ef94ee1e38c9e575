"""Numbers written in words."""

from __future__ import annotations

import re
from fractions import Fraction

UNITS = {word: value for value, word in enumerate(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen".split())}  # fmt: skip
TENS = {
    word: 10 * value for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
ANY = "|".join([*UNITS, *TENS, *SCALES])
WORDS = re.compile(rf"\b(?:(?:{ANY}|and)\b[\s-]*)+", re.IGNORECASE)


def in_words(text: str) -> Fraction | None:
    """The last number written in words, as in 'forty-two' or 'one hundred and five'."""
    spelt = [found[0] for found in WORDS.finditer(text) if found[0].strip().lower() not in ("and",)]
    if not spelt:
        return None
    total = part = 0
    for word in re.findall(r"[a-z]+", spelt[-1].lower()):
        if word == "hundred":
            part = max(part, 1) * 100
        elif word in SCALES:
            total, part = total + max(part, 1) * SCALES[word], 0
        elif word != "and":
            part += UNITS.get(word, TENS.get(word, 0))
    return Fraction(total + part)
