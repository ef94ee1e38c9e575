"""A stage's mixture -> rows to train on: read, cleaned of search items, filtered, and dealt out by weight.

Weights are shares of rows, in a deterministic endless order that depends on the seed alone: a trial that goes on
where another stopped sees the rows that an uninterrupted one would have seen.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from pipeline import catalogue, filters
from pipeline.errors import DataError, InputError
from pipeline.formats import IncompleteRow, Message, to_messages
from pipeline.kept import kept
from pipeline.overlap import Overlap
from pipeline.phrasing import Phrasing, phrasing
from pipeline.types import DataRef, ItemsKey, Stage

__all__ = ["Built", "Place", "Prepared", "blocks", "build", "prepare", "stream", "to_messages"]

Row = dict[str, Any]  # {"messages": [...]}, and "tools" where the source has them
Place = tuple[int, int]  # (source, row)

GROUP = "_group"  # a column: rows with the same value in it follow each other, so that a step can share their beginning
BLOCK = 64  # rows in which the shares are met and the order is shuffled


@dataclass(frozen=True)
class Prepared:
    """A source's usable rows. `overlapping` of them were left out because they hold search items."""

    rows: list[Row]
    overlapping: int
    incomplete: list[int]  # numbers (from 1) of rows without a question or an answer
    stamp: list[Any] | None = None  # what stands for the source's content, as it was read


@dataclass(frozen=True)
class Built:
    """What a stage trains on: `rows[source][row]`, one list per source of positive weight, and what was left out."""

    names: tuple[str, ...]
    weights: tuple[float, ...]
    rows: tuple[list[Row], ...]
    removed: dict[str, int]  # rows that overlapped search items, by source
    filtered: dict[str, int]  # rows that the filters and the limit left out, by source
    stamps: dict[str, Any] = field(default_factory=dict)  # what stands for each source's content, where that is known

    @property
    def counts(self) -> dict[str, int]:
        """Distinct rows to train on, by source."""
        return {name: len(rows) for name, rows in zip(self.names, self.rows, strict=True)}

    def order(self, length: int, seed: int) -> list[Place]:
        """The first `length` of the endless order: (source, row) indices into `rows`."""
        return stream([groups(rows) for rows in self.rows], self.weights, length, seed)

    def blocks(self, seed: int) -> Iterator[list[Place]]:
        """The endless order, some rows at a time."""
        return blocks([groups(rows) for rows in self.rows], self.weights, seed)

    def summary(self) -> dict[str, Any]:
        """The same as an outcome records it."""
        return {"rows": self.counts, "removed": self.removed, "filtered": self.filtered}


def build(stage: Stage, key: ItemsKey, search_items: Sequence[dict[str, Any]], seed: int) -> Built:
    """The rows of a stage. Identical in every process for the same arguments and data.

    Raises InputError for an unknown source or filter or weights that are all zero, DataError for a source that cannot
    be read or has no usable row.
    """
    mixed = [reference for reference in stage.data if reference.weight > 0]
    names = tuple(reference.name for reference in mixed)
    if not mixed:
        raise InputError("data: all weights are 0: give at least one source a weight above 0")
    if len(set(names)) < len(names):
        raise InputError(f"data: a source is named twice in {', '.join(names)}: add up its weights")
    rows: list[list[Row]] = []
    removed, filtered, stamps = {}, {}, {}
    for reference in mixed:
        source = prepare(reference.name, key, search_items)
        kept = _selected(reference, source, seed)
        rows.append(kept)
        stamps[reference.name] = source.stamp
        removed[reference.name] = source.overlapping
        filtered[reference.name] = len(source.rows) + len(source.incomplete) - len(kept)
    return Built(names, tuple(reference.weight for reference in mixed), tuple(rows), removed, filtered, stamps)


def _selected(reference: DataRef, source: Prepared, seed: int) -> list[Row]:
    if source.incomplete and "complete" not in reference.filters:
        raise DataError(
            f"{reference.name}, row {source.incomplete[0]}: question or answer is empty (as in "
            f"{len(source.incomplete)} rows): leave such rows out with the filter 'complete'"
        )
    kept = filters.keep([row["messages"] for row in source.rows], reference.filters)
    if reference.limit is not None and reference.limit < len(kept):
        kept = _sampled(kept, source.rows, reference.limit, f"{seed}/limit/{reference.name}")
    if not kept:
        raise DataError(
            f"{reference.name}: no row is left ({source.overlapping} overlap search items, "
            f"{len(source.rows)} did not pass {', '.join(reference.filters) or 'no filter'}): loosen its filters or "
            "leave it out"
        )
    return [source.rows[index] for index in kept]


def _sampled(kept: list[int], rows: list[Row], limit: int, key: str) -> list[int]:
    """`limit` of the kept rows, in their order; of rows in groups whole groups, but for the last."""
    together = groups([rows[index] for index in kept])
    if len(together) == len(kept):
        return sorted(random.Random(key).sample(kept, limit))
    drawn = [index for group in random.Random(key).sample(together, len(together)) for index in group]
    return sorted(kept[index] for index in drawn[:limit])


# ---------------------------------------------------------------- one source


def prepare(name: str, key: ItemsKey, search_items: Sequence[dict[str, Any]]) -> Prepared:
    """A source's rows as messages, without those that hold search items.

    Kept in the cache folder where the source's content is known beforehand (worlds, files, pinned Hub revisions):
    a trial reads its rows in hundredths of a second. Raises as `build`.
    """
    questions = [phrasing(item) for item in search_items]
    stamp = catalogue.stamp(name, key)
    if stamp is None:
        return _prepare(name, key, questions)
    decides = [stamp, [list(each) for each in questions]]

    def make() -> dict[str, Any]:
        found = vars(_prepare(name, key, questions))
        if catalogue.stamp(name, key) != stamp:  # else other rows would be kept as those that the stamp stands for
            raise DataError(f"{name}: was changed while it was read: leave its files alone, and try again")
        return found

    return replace(Prepared(**kept("rows", name, decides, make)), stamp=stamp)


def _prepare(name: str, key: ItemsKey, questions: list[Phrasing]) -> Prepared:
    raw = catalogue.rows(name, key)
    try:
        overlapping = {hit.row for hit in _scan(raw, questions)}
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    rows: list[Row] = []
    incomplete: list[int] = []
    for number, row in enumerate(raw):
        if number in overlapping:
            continue
        try:
            rows.append(_trained(row, to_messages(row)))
        except IncompleteRow:
            incomplete.append(number + 1)
        except DataError as error:
            raise DataError(f"{name}, row {number + 1}: {error}") from None
    return Prepared(rows, len(overlapping), incomplete)


def _scan(raw: list[Row], questions: list[Phrasing]) -> Iterator[Any]:
    # ids without a tokenizer are no texts: `to_messages` refuses such rows with a better reason
    return Overlap(questions).scan(raw, decode=lambda ids: "")


def _trained(row: Row, messages: list[Message]) -> Row:
    return {"messages": messages, **{name: row[name] for name in ("tools", GROUP) if row.get(name)}}


# ---------------------------------------------------------------- mixing


Group = tuple[int, ...]  # rows of a source that follow each other


def groups(rows: Sequence[Row]) -> list[Group]:
    """The rows by the value of their column `_group`; a row without one is a group of its own."""
    if not any(GROUP in row for row in rows):
        return [(number,) for number in range(len(rows))]
    found: dict[Any, list[int]] = {}
    for number, row in enumerate(rows):
        found.setdefault(str(row[GROUP]) if row.get(GROUP) else number, []).append(number)
    return [tuple(group) for group in found.values()]


def stream(sources: Sequence[Sequence[Group]], weights: Sequence[float], length: int, seed: int) -> list[Place]:
    """The first `length` (source, row) pairs of the mixture's endless order; a longer one begins with a shorter one.

    Within every block of 64 a source's share of rows is its weight over the sum of weights, to about one row. Each
    source runs through all its rows, its groups in a new order per epoch, before it repeats one.
    """
    order: list[Place] = []
    for block in blocks(sources, weights, seed):
        if len(order) >= length:
            break
        order += block
    return order[:length]


def blocks(sources: Sequence[Sequence[Group]], weights: Sequence[float], seed: int) -> Iterator[list[Place]]:
    """The same order without an end, in blocks of 64."""
    total = sum(weights)
    if not total > 0 or min(weights) < 0:
        raise InputError("data: weights must be 0 or more, and at least one above 0")
    if any(weight > 0 and not source for source, weight in zip(sources, weights, strict=True)):
        raise DataError("data: a source with a weight has no rows: leave it out")
    shares = [weight / total for weight in weights]
    rows = [_epochs(source, f"{seed}/{number}") for number, source in enumerate(sources)]
    dealt = [0] * len(sources)
    for begin in count(0, BLOCK):
        turns = _shuffled(_turns(shares, dealt), f"{seed}/block/{begin}")
        yield [(source, next(rows[source])) for source in turns]


def _turns(shares: list[float], dealt: list[int]) -> list[int]:
    """The sources of the next block: at every turn the one that is furthest behind its share. Counts into `dealt`."""
    turns, done, numbered = [], sum(dealt), list(enumerate(shares))
    for turn in range(done + 1, done + BLOCK + 1):
        source, most = 0, -math.inf
        for number, share in numbered:  # a plain loop: a trial waits for some ten thousand turns
            behind = share * turn - dealt[number]
            if behind > most:
                source, most = number, behind
        dealt[source] += 1
        turns.append(source)
    return turns


def _shuffled(values: list[int], key: str) -> list[int]:
    """As `random.Random(key).shuffle` leaves them; written out, because a trial waits for a thousand of these."""
    draw = random.Random(key).getrandbits
    for last in range(len(values) - 1, 0, -1):
        bits = (last + 1).bit_length()
        while (chosen := draw(bits)) > last:
            pass
        values[last], values[chosen] = values[chosen], values[last]
    return values


def _epochs(source: Sequence[Group], key: str) -> Iterator[int]:
    for epoch in count():
        for number in _shuffled(list(range(len(source))), f"{key}/{epoch}"):
            yield from source[number]
