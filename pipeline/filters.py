"""What a recipe may leave out of a data source, by name: `dedupe`, `max_characters:400` and their like."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.errors import InputError, unknown
from pipeline.formats import Message

Keep = Callable[[list[Message]], bool]

_ANSWER_LINE = re.compile(r"\s*(?:####|answer\s*:)\s*\S", re.IGNORECASE)


@dataclass(frozen=True)
class Filter:
    """A filter: what it keeps, and how it is made (`make` takes N, or 0 where there is none)."""

    summary: str
    make: Callable[[int], Keep]
    takes_number: bool = False


def _characters(messages: list[Message]) -> int:
    return sum(len(message["content"]) for message in messages)


def _has_answer_line(messages: list[Message]) -> bool:
    lines = messages[-1]["content"].strip().splitlines()
    return bool(lines and _ANSWER_LINE.match(lines[-1]))


def _dedupe(_: int) -> Keep:
    seen: set[tuple[str, ...]] = set()

    def first(messages: list[Message]) -> bool:
        text = tuple(" ".join(message["content"].split()) for message in messages)
        new = text not in seen
        seen.add(text)
        return new

    return first


FILTERS: dict[str, Filter] = {
    "complete": Filter("rows with a question and an answer", lambda _: lambda messages: True),
    "dedupe": Filter("the first of rows that differ in whitespace at most", _dedupe),
    "has_answer_line": Filter("answers whose last line is `#### ...` or `Answer: ...`", lambda _: _has_answer_line),
    "max_characters": Filter("rows of up to N characters", lambda n: lambda row: _characters(row) <= n, True),
    "min_characters": Filter("rows of at least N characters", lambda n: lambda row: _characters(row) >= n, True),
}


def make(spec: str) -> Keep:
    """The filter that a recipe names, such as `max_characters:400`. Raises InputError listing what exists."""
    name, colon, number = spec.partition(":")
    known = FILTERS.get(name)
    if known is None:
        shown = [f"{key}:N" if filter_.takes_number else key for key, filter_ in FILTERS.items()]
        raise unknown("filter", spec, shown)
    if known.takes_number and not (number.isascii() and number.isdigit()):
        raise InputError(f"filter '{spec}': a whole number is needed: write {name}:400, say")
    if colon and not known.takes_number:
        raise InputError(f"filter '{spec}': it takes no number: write {name}")
    return known.make(int(number) if known.takes_number else 0)


def check(specs: Sequence[str]) -> list[str]:
    """What is wrong with the filters that a recipe names, one line each."""
    problems = []
    for spec in specs:
        try:
            make(spec)
        except InputError as error:
            problems.append(str(error))
    return problems


def keep(rows: list[list[Message]], specs: Sequence[str]) -> list[int]:
    """The indices of the rows that pass all filters, in order."""
    filters = [make(spec) for spec in specs]
    return [index for index, row in enumerate(rows) if all(passes(row) for passes in filters)]
