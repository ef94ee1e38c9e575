"""Recipes drawn from a prior that history sharpens: single sources first, then mixtures around what worked."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from pipeline.types import Brief, Trial

EXPLORED_PARAMS = 0.3  # share of drawn recipes that also take another prior's parameters
FLOOR = 0.05  # value of a source that never scored: it stays possible
PROMISE = 0.15  # of the best source's score alone: those above are mixed first
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
    """A patch: all promising sources while there is no leader; then one source more or less, or other weights, near
    the leader, sometimes with a prior's parameters as well."""
    names = [single[0]["name"] for single in singles(brief) if single[0]["name"] not in refused]
    if leader is None:
        return {DATA: _listed(_promising(names, values))} if names else {}
    changes = dict(leader.proposal.changes)
    if names:
        changes = _with_data(changes, _listed(_near(rng, mixture_of(leader), names, values)))
    if "stages" not in changes and len(brief.prior) > 1 and rng.random() < EXPLORED_PARAMS:
        kept = {path: value for path, value in changes.items() if path == DATA}
        changes = {**kept, **rng.choice(brief.prior)}
    return changes


def _with_data(changes: dict[str, Any], data: list[dict[str, Any]]) -> dict[str, Any]:
    """The changes with another mixture in the first stage, wherever they have it."""
    if "stages" not in changes:
        return {**changes, DATA: data}
    first, *rest = changes["stages"]
    return {**changes, "stages": [{**first, "data": data}, *rest]}


def _promising(names: Sequence[str], values: dict[str, float]) -> dict[str, float]:
    """The sources whose score alone is not far behind the best one's, by that score; all where none scored."""
    good = [name for name in names if values.get(name, 0.0) >= PROMISE]
    if len(good) < 2:  # with the next best, since a source alone was probed already
        good = sorted(names, key=lambda name: -values.get(name, 0.0))[:2] if good else list(names)
    return {name: max(values.get(name, 0.0), FLOOR) for name in good}


def _near(
    rng: random.Random, shares: dict[str, float], names: Sequence[str], values: dict[str, float]
) -> dict[str, float]:
    """One source less, one more (likelier a good one), or other weights."""
    weights = {name: share for name, share in shares.items() if name in names}
    others = [name for name in names if name not in weights]
    move = rng.random()
    if len(weights) > 2 and move < 0.5:
        del weights[rng.choice(list(weights))]
    elif others and move < 0.7:
        added = rng.choices(others, [(values.get(name, 0.0) + FLOOR) ** 2 for name in others])[0]
        weights[added] = sum(weights.values()) / max(1, len(weights)) * rng.choice((0.5, 1.0))
    else:
        weights = {name: weight * rng.uniform(0.4, 2.0) for name, weight in weights.items()}
    return weights


def _listed(weights: dict[str, float]) -> list[dict[str, Any]]:
    total = sum(weights.values())
    return [{"name": name, "weight": max(0.01, round(weight / total, 2))} for name, weight in sorted(weights.items())]
