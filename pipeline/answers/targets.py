"""Answers of a user's own task against its targets: five metrics, each read strictly and leniently. Pure.

Strict: the whole answer is the target and nothing else, as training teaches it. Lenient: what a reader would take for
the answer, with words, quotes or a fence around it. Thinking aloud is no part of the answer.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unicodedata import normalize

from pipeline.answers.call_forms import DECODER
from pipeline.answers.call_match import identical
from pipeline.answers.code import FENCE
from pipeline.answers.numbers import lenient_number, parse, same_number, strict_number, values
from pipeline.answers.reasoning import last_line, spoken

Labels = Sequence[str]
_MARKS = r"[\s\"'`*_.,:;!?()\[\]{}<>|\u201c\u201d\u2018\u2019\u00ab\u00bb]+"
EDGES = re.compile(rf"^{_MARKS}|{_MARKS}$")
GAPS = re.compile(r"\s+|(?<=\w)[_\-\u2010-\u2015]+(?=\w)")
WORD = re.compile(r"[-+]?\d+(?:[.,]\d+)*|[^\W_]+[+#]*")  # -5 is not 5, and C++ not C
SAID = re.compile(
    r"\b(?:answer|label|category|class|intent|result)\b\W{0,6}(?:(?:is|are|would be)\b|[:=])", re.IGNORECASE
)
LETTER = re.compile(r"[^\W\d_]")
OPENING = re.compile(r"[\[{]")
DEEPEST = 100  # levels of a JSON target
MOST_SAID = 50  # answers that are looked at, the last ones: a model that loops says it thousands of times


def scores(metric: str, text: str, target: str, labels: Labels = ()) -> dict[str, float]:
    """Strict and lenient correctness of one answer; `labels` are all that a `choice` has.

    Raises KeyError for an unknown metric, ValueError for a target that is not what the metric compares.
    """
    strict, lenient = METRICS[metric]
    said = spoken(text).replace("\r\n", "\n").strip()
    is_strict = strict(said, target.strip(), labels)
    return {"strict": float(is_strict), "lenient": float(is_strict or lenient(said, target.strip(), labels))}


def fold(text: str) -> str:
    """The text in one case and Unicode form, `_` and `-` as spaces, without marks around it; "" becomes the text."""
    one = normalize("NFKC", normalize("NFKC", text).casefold())
    return GAPS.sub(" ", EDGES.sub("", one)) or one.strip()


def is_number(text: str) -> bool:
    """Whether a text is a number and nothing else, but for a currency, separators or a percent sign."""
    return len(values(text)) == 1 and not LETTER.search(re.sub(r"(?<=\d)[eE](?=[-+]?\d)", "", text))


def json_value(text: str) -> Any:
    """The value of a JSON text. Raises ValueError: it is none, repeats a key, or has a part that equals nothing."""
    try:
        value = DECODER.decode(text.strip())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    _check_value(value, DEEPEST)
    return value


def _check_value(value: Any, levels: int) -> None:
    if levels == 0:
        raise ValueError(f"nested deeper than {DEEPEST} levels")
    if isinstance(value, float) and math.isnan(value):
        raise ValueError("NaN equals nothing, not even itself")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_value(part, levels - 1)


# ---------------------------------------------------------------- choice and exact


def _same(said: str, target: str, labels: Labels) -> bool:
    return said == target.replace("\r\n", "\n")


def _chosen(said: str, target: str, labels: Labels) -> bool:
    """Whether a reader takes the target: as a line of its own, as what is said to be the answer, as the only label."""
    folded: dict[str, list[str]] = {}
    for label in labels:
        folded.setdefault(fold(label), []).append(label)
    if len(folded.get(fold(target), ())) > 1:  # labels that differ in case or marks alone have to be written out
        return False
    for part in _parts(said):
        if fold(part) in folded:
            return fold(part) == fold(target)
    return _mentioned(fold(said), list(folded)) == {fold(target)}


def _mentioned(said: str, labels: Sequence[str]) -> set[str]:
    """The labels that stand in a text as whole words; one within a longer one that stands there does not count."""
    found: set[str] = set()
    for label in sorted(labels, key=len, reverse=True):
        pattern = rf"(?<!\w){re.escape(label)}(?!\w)"
        if label in said and re.search(pattern, said):
            found.add(label)
            said = re.sub(pattern, "\x00", said)
    return found


def _alike(said: str, target: str, labels: Labels) -> bool:
    return any(fold(part) == fold(target) for part in _parts(said))


def _parts(said: str) -> Iterator[str]:
    """What of an answer may be meant: all of it, what it calls its answer, its last line, its first."""
    yield said
    for found in reversed(list(SAID.finditer(said))[-MOST_SAID:]):
        yield said[found.end() :].strip().partition("\n")[0]
    yield last_line(said)
    yield said.partition("\n")[0]


# ---------------------------------------------------------------- number, contains, json


def _number(said: str, target: str, labels: Labels) -> bool:
    found = parse(said) if is_number(said) else strict_number(said)
    return same_number(found, target)


def _number_found(said: str, target: str, labels: Labels) -> bool:
    return same_number(lenient_number(said), target)


def _holds(said: str, target: str, labels: Labels) -> bool:
    return re.search(rf"(?<!\w){re.escape(target)}(?!\w)", said) is not None


def _holds_words(said: str, target: str, labels: Labels) -> bool:
    return f" {_words(target)} " in f" {_words(said)} "


def _words(text: str) -> str:
    return " ".join(WORD.findall(normalize("NFKC", text).casefold())) or text


def _value(said: str, target: str, labels: Labels) -> bool:
    try:
        return identical(json_value(said), json_value(target))
    except ValueError:
        return False


def _value_found(said: str, target: str, labels: Labels) -> bool:
    """The value in the last fence, else the last one that stands in the text."""
    fences = [found["body"] for found in FENCE.finditer(said)]
    if fences and _value(fences[-1], target, labels):
        return True
    last, begin = None, 0
    while found := OPENING.search(said, begin):
        try:
            last, begin = DECODER.raw_decode(said, found.start())
        except (ValueError, RecursionError):
            begin = found.end()
    return last is not None and identical(last, json_value(target))


Reader = Callable[[str, str, Labels], bool]
METRICS: dict[str, tuple[Reader, Reader]] = {
    "choice": (_same, _chosen),
    "exact": (_same, _alike),
    "number": (_number, _number_found),
    "contains": (_holds, _holds_words),
    "json": (_value, _value_found),
}
MEANING = {
    "choice": "the answer is the row's label, out of those that the training rows have",
    "exact": "the answer is the target, character by character",
    "number": "the answer is the target's value, however it is written",
    "contains": "the target stands in the answer, as whole words",
    "json": "the answer is JSON of the target's value: the order of keys and 1 or 1.0 make no difference",
}


def canonical(metric: str, target: str) -> str:
    """The target as training teaches it: JSON on one line, other targets as they are. Raises ValueError: no such."""
    if metric == "json":
        return json.dumps(json_value(target), ensure_ascii=False)
    if metric == "number" and parse(target) is None:
        raise ValueError("not a number")
    return target
