"""Recipes drawn at random from the whole search space: what any cleverer agent has to beat."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Sequence
from statistics import median
from typing import Any

from pipeline.contracts import Agent
from pipeline.errors import InputError
from pipeline.recipe import apply_changes
from pipeline.types import Brief, Budget, Dimension, Proposal, Trial

TRIALS = 4  # that a budget should be enough for, per slot
FIRST_FIDELITY = 0.25  # before anything was measured
LEAST_FIDELITY = 0.02
MOST_SOURCES = 4  # in a mixture
DRAWS = 100  # for values that go together


def create(brief: Brief, seed: int) -> Agent:
    """An agent that draws uniformly from the space, on a log scale where the space says so."""
    return Random(brief, seed)


class Random:
    """Each proposal depends on the seed and its number alone; its fidelity on what earlier trials cost."""

    def __init__(self, brief: Brief, seed: int) -> None:
        self.brief, self.seed = brief, seed

    def propose(self, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
        """The next random recipe. It never ends by itself: the budget ends it."""
        tried = [trial for trial in history if trial.kind == "recipe"]
        rng = random.Random(f"random/{self.seed}/{len(tried)}")
        return Proposal(changes=self._changes(rng), fidelity=self._fidelity(tried), author="random")

    def _changes(self, rng: random.Random) -> dict[str, Any]:
        """Values for the whole space; drawn again while they do not go together (DoRA without LoRA, say)."""
        for _ in range(DRAWS):
            changes = {path: draw(rng, dimension) for path, dimension in self.brief.space.items()}
            with contextlib.suppress(InputError):
                apply_changes(self.brief.recipe, changes)
                break
        return changes

    def _fidelity(self, tried: Sequence[Trial]) -> float:
        """The share of the full length that takes a fourth of the budget, by the median of what was measured."""
        budget = self.brief.budget.seconds
        if budget is None:
            return 1.0
        costs = [(trial.outcome.cost, trial.outcome.fidelity) for trial in tried if trial.outcome and trial.score]
        measured = [(cost, fidelity) for cost, fidelity in costs if cost.train_seconds > 0 and fidelity > 0]
        if not measured:
            return FIRST_FIDELITY
        full_seconds = median(cost.train_seconds / fidelity for cost, fidelity in measured)
        beside_seconds = median(cost.seconds - cost.train_seconds for cost, _ in measured)
        share = (budget / TRIALS - beside_seconds) / full_seconds
        return round(min(1.0, max(LEAST_FIDELITY, share)), 4)


def draw(rng: random.Random, dimension: Dimension) -> Any:
    """One value of a dimension: a number between its bounds, one of its choices, or a mixture of a few sources."""
    if dimension.kind == "choice":
        return rng.choice(dimension.choices)
    if dimension.kind == "mixture":
        return _mixture(rng, dimension.choices)
    return _number(rng, dimension)


def _number(rng: random.Random, dimension: Dimension) -> int | float:
    assert dimension.low is not None and dimension.high is not None, "a number's dimension has bounds"
    low, high = float(dimension.low), float(dimension.high)
    if dimension.kind == "int":
        low, high = low - 0.5, high + 0.499  # so that the ends are as likely as the rest
    value = math.exp(rng.uniform(math.log(low), math.log(high))) if dimension.log else rng.uniform(low, high)
    if dimension.kind == "int":
        return round(value)
    return min(max(float(f"{value:.4g}"), low), high)  # rounded for the reader's sake, not out of the bounds


def _mixture(rng: random.Random, names: Sequence[str]) -> list[dict[str, Any]]:
    """One to four sources with random weights that add up to about 1 (uniform on the simplex)."""
    chosen = rng.sample(list(names), rng.randint(1, min(MOST_SOURCES, len(names))))
    shares = [rng.expovariate(1.0) for _ in chosen]
    return [
        {"name": name, "weight": max(0.01, round(share / sum(shares), 2))}
        for name, share in zip(chosen, shares, strict=True)
    ]
