"""No row of training data holds a benchmark's final item: its whole question, in any column and format.

The comparison is exact up to case, whitespace, punctuation and Unicode form (`pipeline.overlap` says what that means).
All reserved final items count, whether or not a run's salt selects them. Paraphrases are not this guard's matter.
Short items are a trade-off. One of two to five words refuses a source where it stands apart, an answer that says just
that included, and is not seen inside another sentence; a single word, or a bare number, is not seen in an answer or on
a line of a longer text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.errors import DataError, InputError
from pipeline.leaves import Decode
from pipeline.overlap import Hit, Overlap
from pipeline.phrasing import phrasing
from pipeline.types import Verdict

QUOTED = 5  # rows in the evidence


def on_source(
    name: str,
    rows: Sequence[dict[str, Any]],
    final_items: Sequence[dict[str, Any]],
    decode: Decode | None = None,
) -> Verdict:
    """Whether the raw rows of source `name` are free of `final_items` (dicts with `id` and `question`).

    `decode` turns token ids into text; without it rows of token ids are refused, because nobody could read them.
    The evidence names places (rows are counted from 1) and ids, never a question or an answer: agents read verdicts.
    """
    try:
        hits = list(Overlap([phrasing(item) for item in final_items]).scan(rows, decode))
    except KeyError:
        raise InputError(f"contamination: a final item has no 'question': it cannot be looked for in {name}") from None
    except DataError as error:
        return Verdict(guard="contamination", ok=False, reason=f"{name}: {error}")
    first = {hit.row: hit for hit in reversed(hits)}
    if not first:
        return Verdict(guard="contamination", ok=True)
    found = "1 row holds" if len(first) == 1 else f"{len(first)} rows hold"
    return Verdict(
        guard="contamination",
        ok=False,
        reason=f"{name}: {found} final benchmark items ({len(rows)} rows in all): leave this source out",
        evidence=tuple(_evidence(name, first[row], final_items) for row in sorted(first)[:QUOTED]),
    )


def _evidence(name: str, hit: Hit, final_items: Sequence[dict[str, Any]]) -> str:
    item = final_items[hit.item].get("id", f"number {hit.item + 1}")
    return f"{name}, row {hit.row + 1}, column {hit.column}: final item {item}"
