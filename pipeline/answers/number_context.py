"""What stands beside a number and makes another one of it: a root, a power, a factorial, a word such as dozen."""

from __future__ import annotations

import re

from pipeline.answers.number_words import ANY

LOOKED_AT = 100  # characters on either side
_LATEX = (
    r"\\(?:sqrt|[dt]?frac|[dt]?binom|log|ln|exp|sin|cos|tan|pi|cdot|times|div|pm|mp|neq?|not|geq?|leq?|[lr]floor|[lr]ceil|[pb]?mod)"
    r"(?![A-Za-z])"
)
_WORDS = "not|than|half|twice|double|triple|root|square|cube|least|most|minus|negative|plus|times"
_NO_UNITS = "abeijknoqruvxyzBDEGHIOPQRSTUXYZ"  # 18x, whereas 18m is a length
BEFORE = re.compile(
    rf"(?:{_LATEX}|√)[^=]*\Z"
    r"|[≠≤≥±×·÷]\s*\Z"
    rf"|(?:\b(?:{_WORDS})|n't)\b(?:\s+of)?[\s$€£¥(*{{]*\Z",
    re.IGNORECASE,
)
AFTER = re.compile(
    r"\s*(?:[!²³¹⁰-ⁿ√π×·÷±]|\^(?!\s*\{?\s*\\circ)"  # of the powers only a degree is none
    rf"|{_LATEX})"
    r"|_\w|\*\w"
    rf"|(?:pi|sqrt|mod|[{_NO_UNITS}])(?![A-Za-z])"
    r"|\s(?:[xyzn]|pi)(?!\w)"
    r"|[A-Za-z]+(?:[014-9]|[23]\d)"  # 18h30, whereas 18m2 is an area
    r"|[\s$*})]*(?:-\s*)?(?i:dozens?|squared|cubed|factorial|or)\b"
    rf"|\W*\b(?i:or|to|and|plus|minus|times|over)\s+(?i:an?\s+)?(?i:{ANY}|half|quarter|third)\b"
    rf"|.*\b(?i:or)\s+(?i:{ANY})\b",
    re.DOTALL,
)
GOES_ON = re.compile(rf"\W*(?:and\s+)?(?:{ANY})\b", re.IGNORECASE)
MINUS_FIRST = re.compile(r"\A(\W*)(?:minus|negative)\s+(?=[$€£¥]?\d)", re.IGNORECASE)


def is_changed(before: str, after: str, is_scaled: bool) -> bool:
    """Whether a number between two texts is only a part of what is written there.

    `is_scaled`: a word such as thousand belongs to it, so that a number in words after it does, too.
    """
    if is_scaled and GOES_ON.match(after):
        return True
    return bool(BEFORE.search(before[-LOOKED_AT:]) or AFTER.match(after[:LOOKED_AT]))
