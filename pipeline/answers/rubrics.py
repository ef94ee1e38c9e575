"""Points for what an answer says, by a rubric: won for what it should say, lost for what it must not. Pure.

As HealthBench counts (arXiv 2505.08775): the points of the criteria that are met, negative ones included, over all that
can be won. An item's share may be below 0; a benchmark's mean is clipped to [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Criterion = Mapping[str, Any]  # at least "points", not 0


def share_of_points(rubric: Sequence[Criterion], met: Sequence[bool | None]) -> float:
    """Points of the criteria that are met / points that can be won; None is not met. Raises ValueError: none can be."""
    possible = sum(criterion["points"] for criterion in rubric if criterion["points"] > 0)
    if possible <= 0:
        raise ValueError("the rubric has no criterion with points to win")
    return float(sum(each["points"] for each, is_met in zip(rubric, met, strict=True) if is_met) / possible)
