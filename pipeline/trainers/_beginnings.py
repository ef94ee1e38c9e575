"""Rows of a step that begin alike beyond what all of them begin with, such as several requests for one function.

Where they lie side by side they share a micro-batch, and their beginning is run once (`_prefix`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Ids = np.ndarray[Any, Any]

LEAST_TOKENS = 8  # beyond what all rows share, that two rows of a group begin with
LEAST_SHARE = 0.25  # of what is left of the shorter row, likewise: less would gain nothing


def order(rows: Sequence[Ids]) -> list[int]:
    """The numbers of the rows as they should lie: groups together, the shortest first, within them and among them.

    Rows of one length, and groups whose longest rows are of one length, keep their order.
    """
    by_beginning = sorted(range(len(rows)), key=lambda row: rows[row].tolist())
    groups = [sorted(group, key=lambda row: (len(rows[row]), row)) for group in _groups(rows, by_beginning)]
    return [row for group in sorted(groups, key=lambda group: (len(rows[group[-1]]), group[0])) for row in group]


def _groups(rows: Sequence[Ids], by_beginning: Sequence[int]) -> list[list[int]]:
    """The numbers in the order given, cut where neighbours do not begin alike."""
    by_all = _common(rows[by_beginning[0]], rows[by_beginning[-1]])  # first and last in that order differ soonest
    found = [[by_beginning[0]]]
    for before, row in zip(by_beginning, by_beginning[1:], strict=False):
        beyond = _common(rows[before], rows[row]) - by_all
        left = min(len(rows[before]), len(rows[row])) - by_all
        if beyond >= max(LEAST_TOKENS, LEAST_SHARE * left):
            found[-1].append(row)
        else:
            found.append([row])
    return found


def _common(one: Ids, other: Ids) -> int:
    """Tokens that two rows begin with alike."""
    least = min(len(one), len(other))
    differ = one[:least] != other[:least]
    return int(differ.argmax()) if differ.any() else least
