"""The search inside one strategy: TPE over its numbers and its sources' weights, told this strategy's trials only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.agents._probes import mixture
from pipeline.agents.tpe import STARTUP, create
from pipeline.strategy import of_trial
from pipeline.types import Brief, Space, Strategy, Trial

FLOOR = 0.05  # least weight of a source: one that is left out would be another strategy


def is_modelled(brief: Brief, begun: Sequence[Trial], strategy: Strategy) -> bool:
    """Whether the recipes that were begun with a strategy tell TPE more than chance does. Scores of 0 tell nothing."""
    same = [stage.trainer for stage in strategy.stages] == [stage.trainer for stage in brief.recipe.stages]
    return same and sum(trial.score is not None and trial.score.value > 0 for trial in begun) >= STARTUP


def ask(brief: Brief, seed: int, trials: Sequence[Trial], strategy: Strategy) -> dict[str, Any]:
    """TPE's next recipe of a strategy, as a patch on the run's recipe; `trials`: the run's, of all strategies."""
    mine = [trial for trial in trials if (found := of_trial(trial)) and found.key == strategy.key]
    last = next(trial for trial in reversed(mine) if trial.recipe)
    space = space_of(brief.space, strategy)
    changes = create(brief.model_copy(update={"space": space, "recipe": last.recipe}), seed).draw(mine)
    for path, dimension in brief.space.items():
        if dimension.kind == "mixture":
            asked = {each["name"]: each["weight"] for each in changes.get(path, ())}
            names = _sources(path, strategy)
            changes[path] = mixture(names, [max(FLOOR, asked.get(name, 0.0)) for name in names])
    return changes


def space_of(space: Space, strategy: Strategy) -> Space:
    """The space with each stage's mixture held to the strategy's sources; a source alone has no weight to search."""
    kept = {}
    for path, dimension in space.items():
        if dimension.kind != "mixture":
            kept[path] = dimension
        elif len(names := _sources(path, strategy)) > 1:
            kept[path] = dimension.model_copy(update={"choices": names})
    return kept


def _sources(path: str, strategy: Strategy) -> tuple[str, ...]:
    return strategy.stages[int(path.split(".")[1])].sources
