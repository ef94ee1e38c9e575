"""The prior: what the shipped recipes would change in a run's recipe, which is what agents try first."""

from __future__ import annotations

from typing import Any

from pipeline.recipe import apply_changes, fingerprint, load_recipe, recipe_names
from pipeline.sizes import SUFFIX
from pipeline.space import check_space
from pipeline.types import Recipe, Space

LAB = "lab/"  # rates and lengths of lab models are not those of real ones: each has its own recipes


def prior_changes(recipe: Recipe, space: Space, is_small: bool = False) -> tuple[dict[str, Any], ...]:
    """Patches that give `recipe` the parameters of each shipped recipe for models of its scale, without repetitions.

    `is_small` of the run's model: whether the small variants of recipes count (see `pipeline.sizes`), or the others.

    Parameters only, and only those in `space`: the mixture is for the agent to find. The first patch is empty.
    """
    whole = apply_changes(recipe, {})
    patches: dict[str, dict[str, Any]] = {fingerprint(whole): {}}
    for name in recipe_names():
        if name.endswith(SUFFIX) != (is_small and not recipe.model.startswith(LAB)):
            continue
        other = load_recipe(name)
        if other.model.startswith(LAB) == recipe.model.startswith(LAB) and _alike(whole, other):
            changes = _changes(whole, other, space)
            patches.setdefault(fingerprint(apply_changes(whole, changes)), changes)
    return tuple(patches.values())


def _alike(recipe: Recipe, other: Recipe) -> bool:
    return [stage.trainer for stage in recipe.stages] == [stage.trainer for stage in other.stages]


def _changes(recipe: Recipe, other: Recipe, space: Space) -> dict[str, Any]:
    changes = {}
    for index, (mine, theirs) in enumerate(zip(recipe.stages, other.stages, strict=True)):
        for key, value in theirs.params.items():
            path = f"stages.{index}.params.{key}"
            if mine.params.get(key) != value and path in space and not check_space({path: value}, space):
                changes[path] = value
    return changes
