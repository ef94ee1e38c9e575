"""Numbers as people write them: separators, currency, fractions, LaTeX, words; and which one a text ends up with."""

from __future__ import annotations

import re
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
BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
SAID = re.compile(
    r"####|\banswers?\b\W{0,6}(?:(?:is|are|be|equals|to be)\b|[:=])|\bfinal (?:answer|result)\b|\btotal\b\W{0,4}:",
    re.IGNORECASE,
)
STRICT = re.compile(r"(?:\W*\banswer\s*:|.*####)(?P<said>.*)", re.IGNORECASE)
UNITS = {word: value for value, word in enumerate(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen".split())}  # fmt: skip
TENS = {
    word: 10 * value for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6}
WORDS = re.compile(rf"\b(?:(?:{'|'.join([*UNITS, *TENS, *SCALES])}|and)\b[\s-]*)+", re.IGNORECASE)


def parse(text: str) -> Fraction | None:
    """The value of a text that is a number and perhaps a currency or a unit; None if it holds none or several."""
    found = values(text)
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
    next; else the last number. After an equals sign counts what it leads to.
    """
    text = spoken(text)
    inside = last_boxed(text)
    if inside is not None and (found := _first(inside)) is not None:
        return found
    for said in reversed(list(SAID.finditer(text))):
        for line in text[said.end() :].lstrip(" \t:*_").splitlines()[:3]:
            if (found := _first(line)) is not None:
                return found
            if line.strip(" *_:"):
                break
    found_all = values(text)
    return found_all[-1] if found_all else _in_words(text)


def last_boxed(text: str) -> str | None:
    """What the last `\\boxed{...}` holds, braces inside it balanced; None without one that is closed."""
    for found in reversed(list(BOXED.finditer(text))):
        depth = 1
        for place in range(found.end(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[place], 0)
            if not depth:
                return text[found.end() : place]
    return None


def same_number(found: Fraction | None, gold: str | int | float) -> bool:
    """Whether a value equals the gold answer, to one part in a million."""
    wanted = parse(str(gold))
    if found is None or wanted is None:
        return False
    return abs(found - wanted) <= abs(wanted) / 10**6


def number_scores(text: str, gold: str) -> dict[str, float]:
    """Strict and lenient correctness of an answer whose last line is asked to be `ANSWER: n`."""
    strict = same_number(strict_number(text), gold)
    return {"strict": float(strict), "lenient": float(strict or same_number(lenient_number(text), gold))}


def _first(text: str) -> Fraction | None:
    """The first number after the last equals sign, else the first one, else one in words."""
    for part in (text.rpartition("=")[2], text):
        if found := values(part):
            return found[0]
    return _in_words(text)


def values(text: str) -> list[Fraction]:
    """All numbers in a text, in order."""
    text = text.translate(MINUS)
    text = FRACTION.sub(lambda found: f" {_plain(found[1])}/{_plain(found[2])} ", text)
    text = LATEX.sub(lambda found: found[1] or "", text).replace("{,}", ",")
    found_all, begin = [], 0
    while found := NUMBER.search(text, begin):
        begin, value = found.end(), _value(found)
        if value is not None and (power := TIMES_TEN.match(text, begin)):
            begin, value = power.end(), value * Fraction(10) ** int(power[1])
        if value is not None:
            found_all.append(value)
    return found_all


def _value(found: re.Match[str]) -> Fraction | None:
    if found["whole"]:
        bottom = int(found["bottom"])
        value = int(found["whole"]) + Fraction(int(found["top"]), bottom) if bottom else None
    elif found["over"]:
        under = int(found["under"])
        value = Fraction(_plain(found["over"])) / under if under else None
    else:
        value = Fraction(_plain(found["number"])) * Fraction(10) ** int(found["power"] or 0)
    negative = (found["sign"] or "").strip() == "-" or bool(found["minus"])
    return -value if value is not None and negative else value


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
