"""Numbers as people write them: separators, currency, fractions, LaTeX, words; and which one a text ends up with."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from fractions import Fraction

from pipeline.answers.number_context import MINUS_FIRST, is_changed
from pipeline.answers.number_words import ANY, SCALES, in_words
from pipeline.answers.reasoning import last_line, spoken

SPACES = " \u00a0\u2009\u202f"  # that group thousands; the plain one is handled apart
MINUS = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d", "-"))
DIGITS = rf"\d{{1,3}}(?:[,'\u2019{SPACES[1:]}]\d{{3}})+(?!\d)|\d+"
NUMBER = re.compile(
    rf"""(?<![\w.])(?P<sign>[-+]\s?)?[$€£¥]?\s?(?P<minus>-)?
    (?: (?P<whole>\d+)\s+(?P<top>\d+)\s?/\s?(?P<bottom>\d+)
      | (?P<over>{DIGITS})\s?/\s?(?P<under>\d+)(?![\d/])
      | (?P<number>(?:{DIGITS})(?:\.\d+)?|\.\d+)(?:[eE](?P<power>[-+]?\d{{1,3}}))? )""",
    re.VERBOSE,
)
FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*(-?[\d,. ]+?)\s*\}\s*\{\s*([\d,. ]+?)\s*\}")
SHORT_FRACTION = re.compile(r"\\[dt]?frac\s?(\d)\s?(\d)(?!\d)")  # one digit over another
TIMES_TEN = re.compile(r"\s*(?:\\times|\\cdot|[x×*])\s*10\s*\^\s*\{?\s*(-?\d{1,3})\s*\}?")
LATEX = re.compile(
    r"\\(?:text|mathrm|mathbf|textbf|mbox|operatorname)\s*\{([^{}]*)\}|\\[!,;:> ]|\\(?=[$%])|\\(?:left|right)"
)
VULGAR = re.compile("[\u00bc-\u00be\u2150-\u215e]")
BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
SAID = re.compile(
    r"####|\banswers?\b\W{0,6}(?:(?:is|are|be|equals|to be)\b|[:=])|\bfinal (?:answer|result)\b|\btotal\b\W{0,4}:"
    r"|^[#* \t]{0,8}answers?[* \t]{0,8}$",
    re.IGNORECASE | re.MULTILINE,
)
FINAL = re.compile(r"final (?:answer|result)\Z", re.IGNORECASE)
SAYS = re.compile(r"\b(?:is|are|be|equals)\b|[:=]", re.IGNORECASE)
RATHER = re.compile(r"\W{0,3}not\b[^.;\n]{0,80}?\bbut\b", re.IGNORECASE)  # the answer is not 20, but 18
SAID_BEFORE = re.compile(r"\bis (?:the|our|my) (?:final |correct )?answer\b", re.IGNORECASE)
STRICT = re.compile(r"(?:\W*\banswer\s*:|.*####)(?P<said>.*)", re.IGNORECASE)
LARGE = re.compile(r"\s*(hundred|thousand|million|billion)\b", re.IGNORECASE)
SHORT = {"k": 3, "K": 3, "M": 6}  # powers of ten that touch their number: 18k
SHORTLY = re.compile(r"[kKM](?![\w/])")
GROUPED = re.compile(
    r"([^\d-]{0,3}-?)(\d{1,3}(?: \d{3})+|\d{1,3}(?:\.\d{3}){2,})(\D{0,3})"
)  # 1 000 and 1.000.000, alone
UNARY = re.compile(r"[=(\[{:,<>~$€£¥\u2248\u2264\u2265]\s*\Z")  # after which a sign with a space is one
CLOSE = Fraction(1, 1000)  # GSM8K has answers in tens of millions, of which a millionth is more than one
LINES_LOOKED_AT = 400  # characters after 'the answer is': a model that loops says it a thousand times
LONGEST_NUMBER = 300  # characters: no answer has more digits
LIKELY = re.compile(rf"\d|{VULGAR.pattern}|\b(?:{ANY})", re.IGNORECASE)


def parse(text: str) -> Fraction | None:
    """The value of a text that is a number and perhaps a currency or a unit; None if it holds none or several.

    None also where the number is only a part of what is written, as in a root or a dozen.
    """
    text = MINUS_FIRST.sub(r"\1-", text.strip().translate(MINUS))
    if (grouped := GROUPED.fullmatch(text)) is not None:
        return None if is_changed(grouped[1], grouped[3], False) else _grouped(grouped)
    readable = _readable(text)
    found = [(each, value) for each in _numbers(readable, ":") if (value := _value(*each)) is not None]
    if len(found) != 1:
        return None
    [((number, _, power, end), value)] = found
    return None if is_changed(readable[: number.start()], readable[end:], power != 0) else value


def _grouped(found: re.Match[str]) -> Fraction:
    return Fraction(re.sub(r"\D", "", found[2])) * (-1 if "-" in found[1] else 1)


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
    known = (_value(*found) for found in reversed(list(_numbers(_readable(text)))))
    last = next((value for value in known if value is not None), None)
    return in_words(text) if last is None else last


def _after(text: str, place: int) -> Fraction | None:
    """The number on the rest of the line, or on the next one that says something."""
    line = text[place : place + LINES_LOOKED_AT].partition("\n")[0]
    if FINAL.search(text, max(0, place - 20), place) and (says := SAYS.search(line)):
        place += says.end()  # of 'the final answer for the 3 sprints is 540'
    if rather := RATHER.match(text, place):
        place = rather.end()
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
    text = MINUS_FIRST.sub(r"\1-", text)
    before, sign, after = text.rpartition("=")
    left, right = values(before.rpartition("=")[2]), values(after, "=")
    if sign and len(left) == 1 and len(right) > 1:
        return left[0]
    if grouped := GROUPED.fullmatch(text.strip().translate(MINUS)):
        return _grouped(grouped)
    if found := (right if sign else []) or values(text, before_it):
        return found[0]
    return in_words(text)


def values(text: str, before_it: str = "") -> list[Fraction]:
    """All numbers in a text, in order; `before_it` is what stands before the text."""
    return [value for found in _numbers(_readable(text), before_it) if (value := _value(*found)) is not None]


def _readable(text: str) -> str:
    """The text with one kind of minus, fractions with a slash, and no LaTeX around words."""
    text = VULGAR.sub(_vulgar, text.translate(MINUS))
    text = SHORT_FRACTION.sub(r" \1/\2 ", text)
    text = FRACTION.sub(lambda found: f" {_plain(found[1])}/{_plain(found[2])} ", text)
    return LATEX.sub(lambda found: found[1] or "", text).replace("{,}", ",")


def _numbers(text: str, before_it: str = "") -> Iterator[tuple[re.Match[str], str, int, int]]:
    """What looks like a number: its match, what is written before it, the power of ten that follows it, its end."""
    begin = 0
    while found := NUMBER.search(text, begin):
        begin, power = found.end(), 0
        if times := TIMES_TEN.match(text, begin):
            begin, power = times.end(), int(times[1])
        elif large := LARGE.match(text, begin):
            begin, power = large.end(), len(str(SCALES[large[1].lower()])) - 1
        elif short := SHORTLY.match(text, begin):
            begin, power = short.end(), SHORT[short[0]]
        before = (before_it if found.start() < 4 else "") + text[max(0, found.start() - 4) : found.start()]
        yield found, before, power, begin


def _value(found: re.Match[str], before: str, power: int, end: int) -> Fraction | None:
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
