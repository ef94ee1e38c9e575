"""Strategies by name: what a recipe's is, and which others it could be exchanged for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pipeline import strategy
from pipeline.agents._answer import merged
from pipeline.agents._drawing import DATA, singles
from pipeline.errors import InputError
from pipeline.recipe import apply_changes
from pipeline.space import check_space
from pipeline.types import Brief, Recipe, Trial

MOST = 6  # that are named at a time


class Strategy(NamedTuple):
    """A strategy that could be tried, and changes that carry it out, in the short form of `_answer`."""

    name: str
    what: str
    example: dict[str, Any]


def strategy_of(recipe: Recipe) -> str:
    """A recipe's strategy by its name (`pipeline.strategy`). All else is execution."""
    return strategy.strategy_of(recipe).name


def others(brief: Brief, trials: Sequence[Trial], values: dict[str, float]) -> list[Strategy]:
    """Strategies by name that no trial has had, at most MOST. `values` say how good each source looks."""
    tried = {strategy_of(trial.recipe) for trial in trials if trial.recipe}
    found, seen = [], set(tried)
    for other in _all(brief, values):
        changes = merged(None, other.example, brief)
        if check_space(changes, brief.space):
            continue
        try:
            name = strategy_of(apply_changes(brief.recipe, changes))
        except InputError:
            continue
        if name not in seen:
            seen.add(name)
            found.append(other)
    return found[:MOST]


def _all(brief: Brief, values: dict[str, float]) -> list[Strategy]:
    names = [single[0]["name"] for single in singles(brief)]
    ranked = sorted(names, key=lambda name: -values.get(name, 0.0))
    if not names:
        return []
    best, first = ranked[: max(2, len(ranked) // 2)], ranked[0]
    found = [
        Strategy("best_two", "the two most promising sources, in equal parts", {DATA: _equal(ranked[:2])}),
        Strategy("best_half", "the better half of all sources, in equal parts", {DATA: _equal(best)}),
        Strategy("all_sources", "every source, in equal parts", {DATA: _equal(names)}),
        Strategy("broad_then_best", "two stages: all sources first, the best one last",
                 {"stages": _stages(_equal(names), _equal([first]))}),
        Strategy("best_then_broad", "two stages: the best source first, the better half last",
                 {"stages": _stages(_equal([first]), _equal(best))}),
    ]  # fmt: skip
    return found + [
        Strategy(f"only_{name}", f"{name} alone", {DATA: _equal([name])}) for name in ranked
    ]  # fmt: skip


def _equal(names: Sequence[str]) -> list[dict[str, Any]]:
    return [{"name": name, "weight": 1.0} for name in names]


def _stages(*mixtures: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"share": round(1 / len(mixtures), 2), "data": mixture} for mixture in mixtures]
