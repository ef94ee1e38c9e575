"""Which rows train, which are searched on, which are final: by a hash of the input, so that added rows move none.

What is no good is left out and counted: rows without input or target, rows that contradict or repeat each other, and,
of the training rows, those that ask nearly what a search or final row asks (`pipeline.nearness`) or hold such a
question word by word, as the contamination guard sees it (`pipeline.overlap`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from pipeline.nearness import near
from pipeline.overlap import Overlap
from pipeline.owntask.reading import Example
from pipeline.phrasing import Phrasing

FINAL_SHARE, SEARCH_SHARE = 0.2, 0.1  # of the unit interval, from 0 on
PLACES_TOLD = 3
Asked = Callable[[Example], str]  # the prompt of an example


@dataclass
class LeftOut:
    """How many rows were left out, by reason, and where the first ones of each reason stand."""

    counts: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, place: str) -> None:
        """Count one row."""
        self.counts[reason] += 1
        told = self.places.setdefault(reason, [])
        if len(told) < PLACES_TOLD:
            told.append(place)


@dataclass(frozen=True)
class Divided:
    """A task's rows, each split in the order of its rows' hashes."""

    train: list[Example]
    search: list[Example]
    final: list[Example]
    left_out: LeftOut
    by_hash: bool  # also the final rows; False: they are a file of their own


def place(example: Example) -> float:
    """Where in [0, 1) an example stands: by its input's words alone, so that all that ask the same stand together."""
    text = " ".join(example.key)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2**64


def divide(train_file: Sequence[Example], test_file: Sequence[Example] | None, prompt: Asked, fixed: str) -> Divided:
    """The splits of one file, or of a training file beside a test file, which is the final split.

    `fixed` is what all prompts say: an item that asks just that, or what is the answer to several rows, cannot be
    told from training rows, and is left out.
    """
    left_out = LeftOut()
    rows = _cleaned(train_file, left_out, "")
    if test_file is None:
        final = [row for row in rows if place(row) < FINAL_SHARE]
        rest = [row for row in rows if place(row) >= FINAL_SHARE]
    else:
        final, rest = _cleaned(test_file, left_out, "test file, "), rows
    search = [row for row in rest if FINAL_SHARE <= place(row) < FINAL_SHARE + SEARCH_SHARE]
    train = [row for row in rest if not FINAL_SHARE <= place(row) < FINAL_SHARE + SEARCH_SHARE]
    answers = Counter(row.target for row in train)
    fixed = "\n".join([fixed, *(target for target, rows in answers.items() if rows > 1)])
    final, search = (_told_apart(rows, fixed, left_out) for rows in (final, search))
    search = _apart(search, final, left_out, "search", lambda row: row.input)
    train = _apart(train, [*final, *search], left_out, "train", prompt)
    train, search, final = (sorted(rows, key=lambda row: (place(row), row.number)) for rows in (train, search, final))
    return Divided(train, search, final, left_out, by_hash=test_file is None)


def _cleaned(rows: Iterable[Example], left_out: LeftOut, where: str) -> list[Example]:
    """The rows of one file that say something, each once; none of those that contradict each other."""
    asked: dict[tuple[str, ...], list[Example]] = {}
    for row in rows:
        if row.input.strip() and row.target.strip():
            asked.setdefault(row.key, []).append(row)
        else:
            left_out.add("empty", f"{where}row {row.number}")
    kept = []
    for same in asked.values():
        if len({row.target for row in same}) > 1:
            for row in same:
                left_out.add("conflicting", f"{where}row {row.number}")
            continue
        kept.append(same[0])
        for row in same[1:]:
            left_out.add("repeated", f"{where}row {row.number}")
    return kept


def _told_apart(rows: Sequence[Example], fixed: str, left_out: LeftOut) -> list[Example]:
    """Items without those whose whole question stands in `fixed`."""
    asks = Overlap([row.input for row in rows]).find(fixed)
    for number in sorted(asks):
        left_out.add("items that ask what a prompt or an answer says", f"row {rows[number].number}")
    return [row for number, row in enumerate(rows) if number not in asks]


def _apart(rows: list[Example], items: list[Example], left_out: LeftOut, split: str, text: Asked) -> list[Example]:
    """Rows of a split without those that ask what `items` ask, nearly, or within a longer text."""
    found = near([row.input for row in rows], [item.input for item in items])
    shown = [{"text": text(row), "target": row.target} for row in rows]
    asked = [Phrasing(item.input, text(item), tuple(filter(str.strip, item.pieces))) for item in items]
    holding = {hit.row: hit.item for hit in Overlap(asked).scan(shown)}
    kept = []
    for number, row in enumerate(rows):
        item = found.get(number, holding.get(number))
        if item is None:
            kept.append(row)
            continue
        same = number in found and row.key == items[item].key
        kind = "duplicates" if same else "near-duplicates" if number in found else "holding an item"
        left_out.add(f"{kind} in {split}", f"row {row.number}, like row {items[item].number}")
    return kept
