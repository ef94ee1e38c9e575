"""Groups of rows that begin alike beyond what all rows of a step begin with: several requests for one function, say.

Such a group's beginning is run once (`_prefix`) where its rows lie side by side and are run apart from the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

Ids = np.ndarray[Any, np.dtype[np.int64]]

LEAST_TOKENS = 8  # beyond what all rows share, that two rows of a group begin with
LEAST_SHARE = 0.25  # of the shorter row, likewise; what is beneath either gains nothing


def order(rows: Sequence[Ids]) -> list[int]:
    """The numbers of the rows as they should lie: groups together, the shortest first."""
    by_beginning = sorted(range(len(rows)), key=lambda row: rows[row].tolist())
    groups = _cut(by_beginning, _sizes([rows[row] for row in by_beginning]))
    # shortest first in a group and among groups; without groups the order of rows of one length stays as it was
    ordered = sorted((sorted(group, key=lambda row: (len(rows[row]), row)) for group in groups), key=lambda group: (
        len(rows[group[-1]]), group[0]
    ))  # fmt: skip
    return [row for group in ordered for row in group]


def sizes(inputs: dict[str, torch.Tensor]) -> list[int]:
    """The rows of each group of a micro-batch that was laid out in `order`; one number where any row has no group."""
    lengths = inputs["attention_mask"].sum(1).tolist()
    found = _sizes([ids[:length].cpu().numpy() for ids, length in zip(inputs["input_ids"], lengths, strict=True)])
    return found if min(found) > 1 else [len(lengths)]


def _sizes(rows: Sequence[Ids]) -> list[int]:
    """The sizes of the groups of neighbours."""
    common = [_common(row, after) for row, after in zip(rows, rows[1:], strict=False)]
    by_all = min([_common(rows[0], row) for row in rows[1:]], default=0)
    found = [1]
    for row, after, n in zip(rows, rows[1:], common, strict=False):
        shorter = min(len(row), len(after)) - by_all
        if n - by_all >= max(LEAST_TOKENS, LEAST_SHARE * shorter):
            found[-1] += 1
        else:
            found.append(1)
    return found


def _common(one: Ids, other: Ids) -> int:
    """Tokens that two rows begin with alike."""
    least = min(len(one), len(other))
    differ = one[:least] != other[:least]
    return int(differ.argmax()) if differ.any() else least


def _cut(rows: Sequence[int], counts: Sequence[int]) -> list[Sequence[int]]:
    ends = np.cumsum(counts)
    return [rows[end - count : end] for end, count in zip(ends, counts, strict=True)]
