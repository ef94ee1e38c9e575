"""A search space as Optuna's distributions, and recipes as points in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from pipeline.types import Dimension, Recipe, Space, Stage

OFF = -0.5  # where a source that is left out lies on its axis of [-1, 1]; below 0 is out, above 0 its weight


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """One axis per dimension; a mixture has one per source, named `PATH/SOURCE`."""
    axes: dict[str, BaseDistribution] = {}
    for path, dimension in space.items():
        if dimension.kind == "mixture":
            axes |= {f"{path}/{name}": FloatDistribution(-1.0, 1.0) for name in dimension.choices}
        elif dimension.kind == "choice":
            axes[path] = CategoricalDistribution(range(len(dimension.choices)))  # by place: any value may be a choice
        elif dimension.low is not None and dimension.high is not None:
            axes[path] = _numbers(dimension, dimension.low, dimension.high)
    return axes


def _numbers(dimension: Dimension, low: float, high: float) -> BaseDistribution:
    log = dimension.log and low > 0
    if dimension.kind == "int":
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(float(low), float(high), log=log)


def point_of(recipe: Recipe, space: Space) -> dict[str, Any]:
    """A recipe's place on every axis: what lies outside (a value that nobody searches) at the nearest, else first."""
    point: dict[str, Any] = {}
    for path, dimension in space.items():
        _, index, *rest = path.split(".")
        stage = recipe.stages[int(index)]
        if dimension.kind == "mixture":
            point |= {f"{path}/{name}": at for name, at in _shares(stage, dimension.choices).items()}
        else:
            point[path] = _place(stage.params.get(rest[-1]), dimension)
    return point


def _shares(stage: Stage, names: Sequence[str]) -> dict[str, float]:
    weights = {reference.name: reference.weight for reference in stage.data if reference.weight > 0}
    most = max(weights.values(), default=1.0)
    return {name: weights[name] / most if name in weights else OFF for name in names}


def _place(value: Any, dimension: Dimension) -> Any:
    if dimension.kind == "choice":
        same = [at for at, each in enumerate(dimension.choices) if each == value and type(each) is type(value)]
        return same[0] if same else 0
    low, high = dimension.low or 0, dimension.high or 0
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    found = min(max(value if is_number else low, low), high)
    return round(found) if dimension.kind == "int" else float(found)


def changes_at(point: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """The patch that a point stands for."""
    changes: dict[str, Any] = {}
    for path, dimension in space.items():
        if dimension.kind == "mixture":
            changes[path] = _mixture({name: point[f"{path}/{name}"] for name in dimension.choices})
        elif dimension.kind == "choice":
            changes[path] = dimension.choices[point[path]]
        elif path in point:
            value = point[path]
            changes[path] = value if dimension.kind == "int" else _rounded(value, dimension)
    return changes


def _rounded(value: float, dimension: Dimension) -> float:
    low, high = float(dimension.low or 0.0), float(dimension.high or 0.0)
    return min(max(float(f"{value:.4g}"), low), high)  # for the reader's sake, not out of the bounds


def _mixture(places: Mapping[str, float]) -> list[dict[str, Any]]:
    weights = {name: at for name, at in places.items() if at > 0} or {max(places, key=lambda name: places[name]): 1.0}
    total = sum(weights.values())
    return [{"name": name, "weight": max(0.01, round(weight / total, 2))} for name, weight in weights.items()]
