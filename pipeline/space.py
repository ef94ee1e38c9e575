"""The search space that all agents of a run share, and whether a patch keeps to it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.params import dimensions
from pipeline.types import Dimension, Recipe, Space


def search_space(recipe: Recipe, source_names: Sequence[str]) -> Space:
    """Every searchable place of the recipe: each stage's mixture over `source_names` and its trainer's parameters.

    The full length (tokens, steps, epochs) is not searched: it is the run's, and an agent asks for a share of it, its
    proposal's fidelity.
    """
    space: Space = {}
    for index, stage in enumerate(recipe.stages):
        space[f"stages.{index}.data"] = Dimension(kind="mixture", choices=tuple(source_names))
        for name, dimension in dimensions(stage.trainer).items():
            space[f"stages.{index}.params.{name}"] = dimension
    return space


def check_space(changes: Mapping[str, Any], space: Space) -> list[str]:
    """What is wrong with a patch, one line each; empty if it keeps to the space.

    `seed` is always allowed. `stages` is held to the space of the recipe's first stage; what is not searched in it
    (a new stage must say its length) is left to the parameters' own bounds.
    """
    problems: list[str] = []
    for path, value in changes.items():
        if path == "seed":
            continue
        if path == "stages":
            problems += _check_stages(value, space)
        elif path in space:
            problems += [f"{path}: {problem}" for problem in _check(value, space[path])]
        else:
            problems.append(f"{path}: is not searched: searched are {', '.join(space)}, seed, stages")
    return problems


def _check_stages(value: Any, space: Space) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(stage, dict) for stage in value):
        return ["stages: must be a list of stages, each a mapping with data and params"]
    problems = []
    for index, stage in enumerate(value):
        params = stage.get("params", {})
        parts = {f"params.{key}": item for key, item in params.items()} if isinstance(params, dict) else {}
        parts["data"] = stage.get("data")
        for part, item in parts.items():
            dimension = space.get(f"stages.0.{part}")
            if dimension is not None:
                problems += [f"stages.{index}.{part}: {problem}" for problem in _check(item, dimension)]
    return problems


def _check(value: Any, dimension: Dimension) -> list[str]:
    if dimension.kind == "mixture":
        return _check_mixture(value, dimension.choices)
    if dimension.kind == "choice":
        # by type too: in Python True == 1
        allowed = (*dimension.choices, *dimension.also)
        if any(value == choice and type(value) is type(choice) for choice in allowed):
            return []
        return [f"must be one of {', '.join(map(str, allowed))}, not {value!r}"]
    return _check_number(value, dimension)


def _check_number(value: Any, dimension: Dimension) -> list[str]:
    whole = dimension.kind == "int"
    is_number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        return [f"must be {'an integer' if whole else 'a number'}, not {value!r}"]
    low, high = dimension.low, dimension.high
    if (low is not None and value < low) or (high is not None and value > high):
        return [f"must be from {_number(low)} to {_number(high)}, not {value!r}"]
    return []


def _number(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def _check_mixture(value: Any, choices: Sequence[str]) -> list[str]:
    if not isinstance(value, list) or not value:
        return ["must be a list of sources such as {'name': NAME, 'weight': 1.0}"]
    problems = []
    for index, reference in enumerate(value):
        name = reference.get("name") if isinstance(reference, dict) else None
        if not isinstance(name, str):
            problems.append(f"item {index} has no name: give {{'name': NAME, 'weight': 1.0}}")
        elif name not in choices:
            problems.append(f"unknown data source '{name}': known are {', '.join(choices)}")
    return problems
