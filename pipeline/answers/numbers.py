"""Numbers as people write them: separators, currency, fractions, LaTeX, words; and which one a text ends up with."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from fractions import Fraction

from pipeline.answers.reasoning import last_line, spoken

SPACES = " \u00a0\u2009\u202f"  # that group thousands; the plain one is handled apart
MINUS = str.maketrans({"\u2212": "-", "\u2013": "-", "\ufe63": "-", "\uff0d": "-"})
DIGITS = rf"\d{{1,3}}(?:[,'\u2019{SPACES[1:]}]\d{{3}})+(?!\d)|\d+"
NUMBER = re.compile(
    rf"""(?<![\w.])(?P<sign>[-+]\s?)?[$€£¥]?\s?(?P<minus>-)?
    (?: (?P<whole>\d+)\s+(?P<top>\d+)\s?/\s?(?P<bottom>\d+)
      | (?P<over>{DIGITS})\s?/\s?(?P<under>\d+)(?![\d/])
      | (?P<number>(?:{DIGITS})(?:\.\d+)?|\.\d+)(?:[eE](?P<power>[-+]?\d{{1,3}}))? )""",
    re.VERBOSE,
)
FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*(-?[\d,. ]+?)\s*\}\s*\{\s*([\d,. ]+?)\s*\}")
TIMES_TEN = re.compile(r"\s*(?:\\times|\\cdot|[x×*])\s*10\s*\^\s*\{?\s*(-?\d{1,3})\s*\}?")
LATEX = re.compile(
    r"\\(?:text|mathrm|mathbf|textbf|mbox|operatorname)\s*\{([^{}]*)\}|\\[!,;:> ]|\\(?=[$%])|\\(?:left|right)"
)
VULGAR = re.compile("[\u00bc-\u00be\u2150-\u215e]")
BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
SAID = re.compile(
    r"####|\banswers?\b\W{0,6}(?:(?:is|are|be|equals|to be)\b|[:=])|\bfinal (?:answer|result)\b|\btotal\b\W{0,4}:",
    re.IGNORECASE,
)
SAID_BEFORE = re.compile(r"\bis (?:the|our|my) (?:final |correct )?answer\b", re.IGNORECASE)
STRICT = re.compile(r"(?:\W*\banswer\s*:|.*####)(?P<said>.*)", re.IGNORECASE)
UNITS = {word: value for value, word in enumerate(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen".split())}  # fmt: skip
TENS = {
    word: 10 * value for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
LARGE = re.compile(r"\s*(hundred|thousand|million|billion)\b", re.IGNORECASE)
GROUPED = re.compile(r"\D{0,3}(\d{1,3}(?: \d{3})+|\d{1,3}(?:\.\d{3}){2,})\D{0,3}")  # 1 000 and 1.000.000, alone
UNARY = re.compile(r"[=(\[{:,<>~$€£¥\u2248\u2264\u2265]\s*\Z")  # after which a sign with a space is one
CLOSE = Fraction(1, 1000)  # GSM8K has answers in tens of millions, of which a millionth is more than one
LINES_LOOKED_AT = 400  # characters after 'the answer is': a model that loops says it a thousand times
LONGEST_NUMBER = 300  # characters: no answer has more digits
LIKELY = re.compile(rf"\d|{VULGAR.pattern}|\b(?:{'|'.join([*UNITS, *TENS, *SCALES])})", re.IGNORECASE)
WORDS = re.compile(rf"\b(?:(?:{'|'.join([*UNITS, *TENS, *SCALES])}|and)\b[\s-]*)+", re.IGNORECASE)


def parse(text: str) -> Fraction | None:
    """The value of a text that is a number and perhaps a currency or a unit; None if it holds none or several."""
    grouped = GROUPED.fullmatch(text.strip())
    if grouped:
        return Fraction(re.sub(r"\D", "", grouped[1]))
    found = values(text, ":")
    return found[0] if len(found) == 1 else None


def strict_number(text: str) -> Fraction | None:
    """The number n of a last line `ANSWER: n` or `#### n`, boxed or not; lines that only close are skipped."""
    found = STRICT.fullmatch(last_line(spoken(text)))
    if not found:
        return None
    inside = last_boxed(found["said"])
    return parse(found["said"] if inside is None else inside)


def lenient_number(text: str) -> Fraction | None:
    """The number that a reader would take for the answer.

    What stands in the last box; else what follows the last 'the answer is', `ANSWER:` or `####` on that line or the
    next, or stands before 'is the answer'; else the last number. After an equals sign counts what it leads to.
    """
    text = spoken(text)
    inside = last_boxed(text)
    if inside is not None and (found := _first(inside, "{")) is not None:
        return found
    before = [(said.end(), said.start()) for said in SAID_BEFORE.finditer(text)]
    after = [(said.end(), -1) for said in SAID.finditer(text)]
    for end, start in sorted([*before, *after], reverse=True):
        found = _after(text, end) if start < 0 else _before(text, start)
        if found is not None:
            return found
    known = (_value(*found) for found in reversed(list(_numbers(text))))
    last = next((value for value in known if value is not None), None)
    return _in_words(text) if last is None else last


def _after(text: str, place: int) -> Fraction | None:
    """The number on the rest of the line, or on the next one that says something."""
    for number, line in enumerate(text[place : place + LINES_LOOKED_AT].lstrip(" \t:*_").splitlines()[:3]):
        if (found := _first(line, "" if number else text[place - 1 : place])) is not None:
            return found
        if line.strip(" *_:"):
            break
    return None


def _before(text: str, place: int) -> Fraction | None:
    """The last number of the sentence that ends there."""
    line = text[max(0, place - LINES_LOOKED_AT) : place].rpartition("\n")[2]
    found = values(re.split(r"[.!?;,]\s", line)[-1])
    return found[-1] if found else None


def last_boxed(text: str) -> str | None:
    """What the last `\\boxed{...}` holds, braces inside it balanced; None without one that is closed."""
    boxes = {found.end() - 1 for found in BOXED.finditer(text)}  # where their braces open
    opened: list[int] = []
    closed = (-1, 0)
    for brace in re.finditer(r"[{}]", text):
        if brace[0] == "{":
            opened.append(brace.start())
        elif opened and (begin := opened.pop()) in boxes:
            closed = max(closed, (begin, brace.start()))
    return text[closed[0] + 1 : closed[1]] if closed[0] >= 0 else None


def same_number(found: Fraction | None, gold: str | int | float) -> bool:
    """Whether a value equals the gold answer, to one part in a million, and never beyond a thousandth."""
    wanted = parse(str(gold))
    if found is None or wanted is None:
        return False
    return abs(found - wanted) <= min(abs(wanted) / 10**6, CLOSE)


def number_scores(text: str, gold: str) -> dict[str, float]:
    """Strict and lenient correctness of an answer whose last line is asked to be `ANSWER: n`."""
    strict = same_number(strict_number(text), gold)
    return {"strict": float(strict), "lenient": float(strict or same_number(lenient_number(text), gold))}


def _first(text: str, before_it: str) -> Fraction | None:
    """The number after the last equals sign, or the one before it if only that side is one; else the first one.

    Else one in words.
    """
    if not LIKELY.search(text):
        return None
    before, sign, after = text.rpartition("=")
    left, right = values(before.rpartition("=")[2]), values(after, "=")
    if sign and len(left) == 1 and len(right) > 1:
        return left[0]
    if grouped := GROUPED.fullmatch(text.strip()):
        return parse(grouped[0])
    if found := (right if sign else []) or values(text, before_it):
        return found[0]
    return _in_words(text)


def values(text: str, before_it: str = "") -> list[Fraction]:
    """All numbers in a text, in order; `before_it` is what stands before the text."""
    return [value for found in _numbers(text, before_it) if (value := _value(*found)) is not None]


def _numbers(text: str, before_it: str = "") -> Iterator[tuple[re.Match[str], str, int]]:
    """What looks like a number: its match, what is written before it, and the power of ten that follows it."""
    text = VULGAR.sub(_vulgar, text.translate(MINUS))
    text = FRACTION.sub(lambda found: f" {_plain(found[1])}/{_plain(found[2])} ", text)
    text = LATEX.sub(lambda found: found[1] or "", text).replace("{,}", ",")
    begin = 0
    while found := NUMBER.search(text, begin):
        begin, power = found.end(), 0
        if times := TIMES_TEN.match(text, begin):
            begin, power = times.end(), int(times[1])
        elif large := LARGE.match(text, begin):
            begin, power = large.end(), len(str(SCALES[large[1].lower()])) - 1
        yield found, (before_it if found.start() < 4 else "") + text[max(0, found.start() - 4) : found.start()], power


def _value(found: re.Match[str], before: str, power: int) -> Fraction | None:
    if len(found[0]) > LONGEST_NUMBER:
        return None
    if found["whole"]:
        bottom = int(found["bottom"])
        value = int(found["whole"]) + Fraction(int(found["top"]), bottom) if bottom else None
    elif found["over"]:
        under = int(found["under"])
        value = Fraction(_plain(found["over"])) / under if under else None
    else:
        value = Fraction(_plain(found["number"])) * Fraction(10) ** int(found["power"] or 0)
    if value is None:
        return None
    sign = found["sign"] or ""
    is_sign = len(sign) == 1 or bool(UNARY.search(before))  # `- 5` is an item of a list, or a difference
    negative = (sign.strip() == "-" and is_sign) or bool(found["minus"])
    return value * (-1 if negative else 1) * Fraction(10) ** power


def _vulgar(found: re.Match[str]) -> str:
    """A character such as one half, as digits and a slash, apart from a whole number before it."""
    return " " + unicodedata.normalize("NFKC", found[0]).replace("\u2044", "/")


def _plain(digits: str) -> str:
    return re.sub(rf"[,'\u2019{SPACES}]", "", digits)


def _in_words(text: str) -> Fraction | None:
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
