"""Values of arguments, and the phrases by which requests give them.

A request rarely writes a number as its schema wants it: `5kg`, `$1,200`, `three people`, `for a fortnight`. So a share
of phrases does the same, and the call has the bare value. Numbers are small more often than not, and many are round: a
model that only ever copies three digits writes three where one was asked for.
"""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from pipeline.generators._texts import text_and_words, text_of
from pipeline.generators._words import Pair, Parameter, words

Value = bool | int | float | str | list[Any]

IN_SHORT = 0.55  # share of phrases with a unit that has a short form which use it
WITH_COMMA = 0.5  # share of numbers with a unit that have a comma for thousands, if they reach them
IN_WORDS = 0.25  # share of small whole numbers that are written out
BY_MEANING = 0.3  # share of values told by a phrase that means one, where there are such phrases
ON = 0.65  # share of flags that a request speaks of which it turns on
INCLUDED = 0.2  # share of flags that include something told in a sentence of their own, if they are on
BY_NAME = 0.4  # share of flags told by the argument's own name
NAMED = 0.2  # share of other arguments told by their own name
BEFORE = 0.5  # share of values that stand before what is asked for, where they may
APART = 0.2  # share of pairs told one by one, each by its name
ADDED = 0.12  # share of arguments told in a sentence of their own
QUOTED = 0.1  # share of texts that requests put in quotation marks
SMALL = 0.5  # share of choices that requests write in small letters, whatever the schema has
ROUND = 0.5  # share of whole numbers from 20 on that have two figures and noughts, the second a 0 or a 5
BRACKETED = 0.6  # share of lists of numbers that requests write in brackets
WHOLE = 0.3  # share of amounts without a fraction, where there are several such
WHOLE_SHARES = 0.75  # the same of those that a request gives otherwise than the call, as 5% for 0.05
NARROW = 4  # a range whose ends differ by less than this factor has no magnitudes: any number is as likely
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True)
class Told:
    """A value, and the words that give it: a phrase `after` what is asked for, a word `before` it, or a sentence."""

    value: Value
    text: str
    place: Literal["after", "before", "sentence"] = "after"


def told(draw: random.Random, name: str, parameter: Parameter) -> Told:
    """A value for the argument `name`, and how a request gives it."""
    if parameter.kind == "boolean":
        return _flag(draw, name, parameter)
    if parameter.means and draw.random() < BY_MEANING:
        phrase = draw.choice(sorted(parameter.means))
        return Told(parameter.means[phrase], phrase)
    said, shown = _said(draw, parameter)
    meant = _meant(said, parameter) if isinstance(said, int | float) else said
    if parameter.before and draw.random() < BEFORE:
        return Told(meant, shown, "before")
    way = draw.random()
    if way < NAMED + ADDED:
        ways, full = words().added if way < ADDED else words().named, shown if meant is said else str(meant)
        return Told(meant, _by_name(draw, ways, name, full), "sentence" if way < ADDED else "after")
    phrase = draw.choice(parameter.says)
    if isinstance(said, int | float):
        return Told(meant, _with_number(draw, phrase, said))
    if isinstance(said, str) and not re.search("[\"']", phrase + shown) and draw.random() < QUOTED:
        shown = f"'{shown}'"
    return Told(said, phrase.replace("{v}", shown))


def told_together(draw: random.Random, names: tuple[str, str], pair: Pair) -> tuple[tuple[Value, Value], list[Told]]:
    """The two values of a pair, and how a request gives them: in one phrase, or each by its argument's name."""
    (one, first), (other, second) = _two(draw, pair)
    if draw.random() < APART:
        ways = words().named
        return (one, other), [
            Told(one, _by_name(draw, ways, names[0], first)),
            Told(other, _by_name(draw, ways, names[1], second)),
        ]
    if pair.kind == "integer" and draw.random() < IN_WORDS:
        first, second = (NUMBERS[each] if each in range(len(NUMBERS)) else str(each) for each in (one, other))
    phrase = _by_name(draw, pair.says, names[0], "").replace("{a}", first).replace("{b}", second)
    return (one, other), [Told([one, other], phrase)]


def _by_name(draw: random.Random, ways: tuple[str, ...], name: str, shown: str) -> str:
    """A value told by its argument's name, in one of these ways."""
    called = name.replace("_", " ")
    way = draw.choice(ways)
    if called[0] in "aeiou":
        way = way.replace(" a {f}", " an {f}")
    return way.replace("{f}", called).replace("{v}", shown)


def _two(draw: random.Random, pair: Pair) -> list[tuple[Any, str]]:
    """Two different values of a pair, each with how it is written out."""
    first, second = (_said(draw, each) for each in pair.halves())
    while first[0] == second[0]:
        second = _said(draw, pair.halves()[1])
    return sorted((first, second)) if pair.rising else [first, second]


def value(draw: random.Random, parameter: Parameter) -> Value:
    """A value that an argument may have."""
    said = _said(draw, parameter)[0]
    return _meant(said, parameter) if isinstance(said, int | float) else said


def _meant(said: int | float, parameter: Parameter) -> int | float:
    """The value that a request's number means."""
    if parameter.times == 1:
        return said
    meant = round(said * parameter.times, 6)
    return round(meant) if parameter.kind == "integer" else meant


def _said(draw: random.Random, parameter: Parameter) -> tuple[Value, str]:
    """A value as requests have it, and how it is written out in full."""
    low, high = parameter.range
    if parameter.kind == "boolean":
        return draw.random() < 0.5, ""
    if parameter.kind == "integer":
        number = _whole(draw, low, high)
        return number, str(number)
    if parameter.kind == "float":
        amount = _amount(draw, low, high, WHOLE if parameter.times == 1 else WHOLE_SHARES)
        return amount, str(amount)
    if parameter.kind in ("numbers", "amounts"):
        one = draw.randint if parameter.kind == "numbers" else partial(_amount, draw)
        numbers = [one(low, high) for _ in range(draw.randint(2, 6))]
        return numbers, str(numbers) if draw.random() < BRACKETED else listed([str(each) for each in numbers])
    if parameter.kind == "strings":
        several = list({text_of(draw, str(parameter.values)): None for _ in range(draw.choice((1, 1, 2, 2, 3)))})
        return several, listed(several)
    if parameter.kind == "choices":
        several = draw.sample(parameter.values, draw.choice((1, 1, 1, 2)))
        return several, listed([_small(draw, each) for each in several])
    if parameter.kind == "choice":
        chosen = str(draw.choice(parameter.values))
        return chosen, _small(draw, chosen)
    return text_and_words(draw, str(parameter.values))


def _small(draw: random.Random, chosen: str) -> str:
    """A choice as requests write it, which rarely keep the schema's capitals."""
    return chosen.lower() if draw.random() < SMALL else chosen


def _amount(draw: random.Random, low: int, high: int, whole: float = WHOLE) -> int | float:
    """An amount as requests have it: a share of them without a fraction."""
    if high > 1 and draw.random() < whole:
        return _whole(draw, max(1, low), high)
    return round(draw.uniform(low, high), draw.choice((1, 2)))


def _whole(draw: random.Random, low: int, high: int) -> int:
    """A number of `low` to `high` as requests have them: each magnitude as likely as the others, many of them round."""
    if high < NARROW * low:
        return draw.randint(low, high)
    number = round(math.exp(draw.uniform(math.log(max(low, 1)), math.log(max(high, 1)))))
    if number >= 20 and draw.random() < ROUND:
        step = 5 * 10 ** (len(str(number)) - 2)
        number = round(number / step) * step
    return min(max(number, low), high)


def listed(parts: list[str]) -> str:
    """Parts as a sentence lists them."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _flag(draw: random.Random, name: str, parameter: Parameter) -> Told:
    is_on = draw.random() < ON
    bare = re.sub("^(with|include|show)_", "", name)
    called = bare.replace("_", " ")
    if is_on and parameter.before and draw.random() < BEFORE:
        return Told(True, called, "before")
    if is_on and bare != name and draw.random() < INCLUDED:
        return Told(True, draw.choice(words().included).replace("{f}", f"the {called}"), "sentence")
    if draw.random() < BY_NAME:
        ways = words().on if is_on else words().off
        return Told(is_on, draw.choice(ways).replace("{f}", called))
    return Told(is_on, parameter.says[0 if is_on else 1].replace("{f}", called))


def _with_number(draw: random.Random, phrase: str, number: int | float) -> str:
    """The phrase with its number, a share of them in a unit's short form, with a comma for thousands, or in words."""
    unit = re.search(rf"\{{v\}} ?({'|'.join(map(re.escape, words().short))})(?!\w)", phrase)
    written = f"{number:,}" if unit and draw.random() < WITH_COMMA else str(number)
    if unit and draw.random() < IN_SHORT:
        short = words().short[unit[1]]
        return phrase.replace(unit[0], f"{short}{written}" if short == "$" else f"{written}{short}")
    if isinstance(number, int) and number < len(NUMBERS) and draw.random() < IN_WORDS:
        return phrase.replace("{v}", NUMBERS[number])
    return phrase.replace("{v}", written)
