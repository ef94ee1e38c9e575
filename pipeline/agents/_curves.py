"""Learning curves of trials, and what they may come to: expected, and at best.

A curve is followed in the cumulative hazard H = -ln(1 - score): a constant chance per unit of length that an error goes
away makes H a straight line, a plateau makes it flat. Expected is the line through the last two points; at best is the
steeper of two lines: that one with the last score raised by its error, and the best curve seen so far, scaled to meet
it. The first lets a slow start overtake a plateau, the second lets a short trial rise as the others rose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.agents._pace import fidelity_of
from pipeline.noise import unseen
from pipeline.types import Score, Trial

MOST = 0.999  # score that a hazard is still told of


@dataclass(frozen=True)
class Curve:
    """One recipe's scored trials, each continuing the last: (length as fidelity, score), from (0, 0) on."""

    trials: tuple[Trial, ...]
    points: tuple[tuple[float, float], ...]
    error: float  # of the last score

    @property
    def length(self) -> float:
        """Fidelity reached."""
        return self.points[-1][0]

    @property
    def value(self) -> float:
        """The last score."""
        return self.points[-1][1]

    def hazard(self, length: float, raised: float = 0.0) -> float:
        """H at a length: between points and beyond the last along straight lines, the last score `raised`."""
        points = [(at, _hazard(value)) for at, value in self.points[:-1]]
        points.append((self.length, _hazard(self.value + raised)))
        for (before, low), (after, high) in zip(points, points[1:], strict=False):
            if length <= after or after == points[-1][0]:
                slope = max(0.0, high - low) / (after - before)
                return max(0.0, high + slope * (length - after))
        return 0.0

    def expected(self, length: float) -> float:
        """The score to be expected at a length."""
        return 1 - math.exp(-self.hazard(length))

    def at_best(self, length: float, seen: Curve) -> float:
        """The optimistic score at a length, with `seen` the best curve so far."""
        return 1 - math.exp(-self.hazard_at_best(length, seen))

    def hazard_at_best(self, length: float, seen: Curve) -> float:
        """Its H."""
        there, raised = seen.hazard(self.length), self.hazard(self.length, self.error)
        scaled = seen.hazard(length) * raised / there if there > 0 else 0.0
        return max(self.hazard(length, self.error), scaled)


def curve_of(chain: Sequence[Trial]) -> Curve | None:
    """The curve of a recipe's trials, continuations without progress left out; None if none was scored."""
    scored: list[Trial] = []
    for trial in chain:
        if trial.score and trial.state == "scored" and fidelity_of(trial) > (fidelity_of(scored[-1]) if scored else 0):
            scored.append(trial)
    if not scored or scored[-1].score is None:
        return None
    points = [(fidelity_of(trial), trial.score.value) for trial in scored if trial.score]
    return Curve(tuple(scored), ((0.0, 0.0), *points), _error(scored[-1].score))


def best_of(curves: Sequence[Curve]) -> Curve:
    """The one with the best score; of equals the longest."""
    return max(curves, key=lambda curve: (curve.value, curve.length))


def _hazard(value: float) -> float:
    return -math.log(1 - min(max(value, 0.0), MOST))


def _error(score: Score) -> float:
    return score.stderr or unseen(max(1, score.n or 1)) / 3  # no item varied: the rule of three, as one standard error
