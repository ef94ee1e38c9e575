"""Recipes drawn from a prior that history sharpens: single sources first, then mixtures around what worked."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from pipeline.types import Brief, Trial

EXPLORED_PARAMS = 0.3  # share of drawn recipes that also take another prior's parameters
FLOOR = 0.05  # value of a source that never scored: it stays possible
DATA = "stages.0.data"


def singles(brief: Brief) -> list[list[dict[str, Any]]]:
    """One mixture per source: each source alone."""
    dimension = brief.space.get(DATA)
    return [[{"name": name, "weight": 1.0}] for name in dimension.choices] if dimension else []


def mixture_of(trial: Trial) -> dict[str, float]:
    """Source name -> share of rows, of a trial's first stage."""
    if trial.recipe is None:
        return {}
    shares = {reference.name: reference.weight for reference in trial.recipe.stages[0].data if reference.weight > 0}
    total = sum(shares.values())
    return {name: weight / total for name, weight in shares.items()}


def source_values(trials: Sequence[tuple[Trial, float]]) -> dict[str, float]:
    """How good each source looks: the best relative score of a trial it had a share in, weighted by that share.

    `trials` come with their score relative to the best of their rung.
    """
    values: dict[str, float] = {}
    for trial, relative in trials:
        for name, share in mixture_of(trial).items():
            values[name] = max(values.get(name, 0.0), relative * share**0.5)
    return values


def draw(
    brief: Brief, rng: random.Random, leader: Trial | None, values: dict[str, float], refused: set[str]
) -> dict[str, Any]:
    """A patch near the leader: one source more, one less, or other weights; sometimes a prior's parameters as well."""
    changes = dict(leader.proposal.changes) if leader else {}
    names = [name for single in singles(brief) for name in (single[0]["name"],) if name not in refused]
    if names:
        changes[DATA] = _mixture(rng, mixture_of(leader) if leader else {}, names, values)
    if len(brief.prior) > 1 and rng.random() < EXPLORED_PARAMS:
        kept = {path: value for path, value in changes.items() if path == DATA}
        changes = {**kept, **rng.choice(brief.prior)}
    return changes


def _mixture(
    rng: random.Random, shares: dict[str, float], names: Sequence[str], values: dict[str, float]
) -> list[dict[str, Any]]:
    weights = {name: share for name, share in shares.items() if name in names}
    others = [name for name in names if name not in weights]
    move = rng.random()
    if others and (not weights or len(weights) == 1 or move < 0.6):
        added = rng.choices(others, [(values.get(name, 0.0) + FLOOR) ** 2 for name in others])[0]
        mean = sum(weights.values()) / len(weights) if weights else 1.0
        weights[added] = mean * rng.choice((0.5, 1.0, 1.0))
    elif len(weights) > 2 and move < 0.75:
        del weights[min(weights, key=lambda name: values.get(name, 0.0))]
    else:
        weights = {name: weight * rng.uniform(0.4, 2.0) for name, weight in weights.items()}
    total = sum(weights.values())
    return [{"name": name, "weight": max(0.01, round(weight / total, 2))} for name, weight in sorted(weights.items())]
