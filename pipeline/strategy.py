"""A recipe's strategy: what is trained on what, by which trainer, in which order. Everything else is execution. Pure.

What counts, stage by stage and in the stages' order: the trainer, the format, and the sources that rows come from. The
numbers do not count: weights, limits and filters of rows, a stage's parameters (LoRA or full tuning among them), seed,
length. So to leave a source out or to take one in is another strategy, and to weight it otherwise is not.

Strategies are told apart by sources because that is where searches differ, in the large (one maths set or another, chat
beside it or not) as on the lab, whose sources for a benchmark are all of one kind. The coarse view by kinds of data, as
the catalogue's cards name them, is kept beside it: it tells a change of approach from a change of sources.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from pipeline.paths import digest
from pipeline.types import Recipe, Stage, Strategy, StrategyStage, Trial

MOST_NAMED = 4  # sources or series of sources that a strategy's name lists


def strategy_of(recipe: Recipe, kinds: Mapping[str, str] | None = None) -> Strategy:
    """The recipe's strategy. `kinds`: source -> kind of data; where it is silent, the name less its number
    (`maths_3`: maths). Sources of weight 0 give no rows and do not count."""
    return strategy_from([_stage(stage, kinds or {}) for stage in recipe.stages])


def strategy_from(stages: Sequence[StrategyStage]) -> Strategy:
    """The strategy of these stages, with its key and name."""
    parts = [[stage.trainer, stage.format, list(stage.sources)] for stage in stages]
    return Strategy(key=digest({"strategy": 1, "stages": parts})[:12], name=name_of(stages), stages=tuple(stages))


def of_trial(trial: Trial) -> Strategy | None:
    """A trial's strategy: as recorded, else computed, as for ledgers of earlier versions. None without a recipe."""
    if trial.strategy is not None or trial.recipe is None:
        return trial.strategy
    return strategy_of(trial.recipe)


def switched_from(trial: Trial, history: Sequence[Trial]) -> str | None:
    """The name of the strategy that was tried right before, where this trial's is another; None where it is not."""
    mine, before = of_trial(trial), [found for other in history if (found := of_trial(other))]
    return before[-1].name if mine and before and before[-1].key != mine.key else None


def stem(source: str) -> str:
    """A source's name less its number in a series."""
    return re.sub(r"_\d+$", "", source)


def name_of(stages: Sequence[StrategyStage]) -> str:
    """A short name: `sft maths 1+3`, `sft chat > dpo maths 2-5`. For reading; only the key tells strategies apart."""
    return " > ".join(
        " ".join([stage.trainer, *([stage.format] if stage.format != "chat" else []), _sources(stage.sources)])
        for stage in stages
    )


# ---------------------------------------------------------------- inside


def _stage(stage: Stage, kinds: Mapping[str, str]) -> StrategyStage:
    used = sorted({reference.name for reference in stage.data if reference.weight > 0}, key=_order)
    found = sorted({kinds.get(name) or stem(name) for name in used})
    return StrategyStage(trainer=stage.trainer, format=stage.format, sources=tuple(used), kinds=tuple(found))


def _order(source: str) -> tuple[str, int]:
    number = source.removeprefix(stem(source)).lstrip("_")
    return stem(source), int(number or 0)


def _sources(names: Iterable[str]) -> str:
    """Sources by series: `maths 1+3-5 + chat`; of many series only the first few are named."""
    series: dict[tuple[str, bool], list[int]] = {}  # by stem; a source without a number is a series of its own
    for name in names:
        first, number = _order(name)
        series.setdefault((first, name == first), []).append(number)
    told = [first if alone else f"{first} {_ranges(numbers)}" for (first, alone), numbers in series.items()]
    more = len(told) - MOST_NAMED
    return " + ".join([*told[:MOST_NAMED], *([f"{more} more"] if more > 0 else [])])


def _ranges(numbers: Sequence[int]) -> str:
    """1, 3, 4, 5 as `1+3-5`; two in a row stay two."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return "+".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else "+".join(map(str, run)) for run in runs)
