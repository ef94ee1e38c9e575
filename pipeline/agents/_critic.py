"""The critic of a team: looks at a proposal with fresh eyes, and says what would be a waste before it costs anything.

It knows the brief and the history, not what its proposer thought. These rules need no model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from pipeline.errors import InputError
from pipeline.recipe import apply_changes
from pipeline.types import Brief, DataRef, Dimension, Proposal, Recipe, Stage, Trial

SAME_FIDELITY = 1.02  # longer by less than this is no higher fidelity
NEAR = 0.02  # of a searched range, and of a mixture's rows: nearer than that, scores differ by noise
OF_ADAPTERS = ("rank", "alpha", "dropout", "targets", "layers", "rslora", "dora", "embeddings")
MOST_FAILURES = 2  # of a structure that never scored, in the same way


GUARD = "critic"  # in whose name a vetoed proposal is refused


class Veto(NamedTuple):
    """Why a proposal is not worth its cost: the rule (or who says so), and the reason in a line."""

    rule: str
    reason: str


class Critic(Protocol):
    """Whoever may veto. One with `begin(remaining)` is told of each turn of the team, one with `note` may tell."""

    def review(self, proposal: Proposal, history: Sequence[Trial]) -> Veto | None:
        """A veto, or None where the proposal is worth trying."""
        ...


class Rules:
    """Vetoes what history has the answer to."""

    def __init__(self, brief: Brief) -> None:
        self.brief = brief

    def review(self, proposal: Proposal, history: Sequence[Trial]) -> Veto | None:
        """The first rule that speaks against it."""
        trials = [trial for trial in history if trial.kind == "recipe" and trial.recipe is not None]
        recipe = self._recipe(proposal, trials)
        if recipe is None:  # not a recipe: the session's door will say what is wrong with it
            return None
        rules: tuple[Callable[[Proposal, Recipe, Sequence[Trial]], Veto | None], ...] = (
            self._duplicate, self._within_noise, self._refused_source, self._failing_structure,
        )  # fmt: skip
        return next((veto for rule in rules if (veto := rule(proposal, recipe, trials))), None)

    def _recipe(self, proposal: Proposal, trials: Sequence[Trial]) -> Recipe | None:
        if proposal.continues is not None:
            return next((trial.recipe for trial in trials if trial.id == proposal.continues), None)
        try:
            return apply_changes(self.brief.recipe, proposal.changes)
        except InputError:
            return None

    def _duplicate(self, proposal: Proposal, recipe: Recipe, trials: Sequence[Trial]) -> Veto | None:
        for trial in trials:
            if (
                trial.recipe
                and distance(recipe, trial.recipe, {}) == 0
                and proposal.fidelity <= SAME_FIDELITY * _reached(trial)
            ):
                how = {"pending": "is being tried", "failed": "failed"}.get(trial.state, "was tried")
                return Veto("duplicate", f"this recipe {how} at fidelity {_reached(trial):.2g} ({trial.id})")
        return None

    def _within_noise(self, proposal: Proposal, recipe: Recipe, trials: Sequence[Trial]) -> Veto | None:
        if proposal.continues is not None:
            return None
        for trial in trials:
            is_as_far = trial.state in ("scored", "pending") and proposal.fidelity <= SAME_FIDELITY * _reached(trial)
            if is_as_far and trial.recipe and distance(recipe, trial.recipe, self.brief.space) < NEAR:
                return Veto("within noise", f"too near {trial.id} for their scores to be told apart")
        return None

    def _refused_source(self, proposal: Proposal, recipe: Recipe, trials: Sequence[Trial]) -> Veto | None:
        refused = refused_sources(trials)
        found = next((name for name in sources(recipe) if name in refused), None)
        return Veto("refused source", f"{found} was refused: {refused[found]}") if found else None

    def _failing_structure(self, proposal: Proposal, recipe: Recipe, trials: Sequence[Trial]) -> Veto | None:
        alike = [trial for trial in trials if trial.recipe and structure(trial.recipe) == structure(recipe)]
        if any(trial.state == "scored" for trial in alike):
            return None  # it can work: what failed were its numbers
        ways = [_way(trial) for trial in alike if trial.state == "failed"]
        for way in ways:
            if way and ways.count(way) >= MOST_FAILURES:
                ids = ", ".join(trial.id for trial in alike if _way(trial) == way)
                return Veto("failing structure", f"its structure never scored and failed alike in {ids}: {way}")
        return None


def is_veto(trial: Trial) -> bool:
    """Whether it is no trial but a proposal that a critic vetoed, as its member is told of it."""
    return trial.state == "rejected" and any(verdict.guard == GUARD for verdict in trial.verdicts)


# ---------------------------------------------------------------- looking at recipes


def distance(one: Recipe, other: Recipe, space: dict[str, Dimension]) -> float:
    """How far apart two recipes are: the largest difference of any number, as a share of its range (of its logarithm's
    where the space is logarithmic), or of any stage's rows; infinite where anything else differs."""
    if len(one.stages) != len(other.stages) or one.seed != other.seed:
        return math.inf
    pairs = enumerate(zip(one.stages, other.stages, strict=True))
    return max(part for index, (mine, theirs) in pairs for part in _parts(index, mine, theirs, space))


def _parts(index: int, mine: Stage, theirs: Stage, space: dict[str, Dimension]) -> Iterator[float]:
    one, other = _effective(mine), _effective(theirs)
    if (mine.trainer, mine.format, set(one)) != (theirs.trainer, theirs.format, set(other)):
        yield math.inf
        return
    yield _rows_apart(mine.data, theirs.data)
    for name, value in one.items():
        yield _numbers_apart(value, other[name], space.get(f"stages.{index}.params.{name}"))


def _effective(stage: Stage) -> dict[str, Any]:
    """The parameters that say something: those of an adapter say nothing where all weights are trained."""
    is_full = stage.params.get("tuning") == "full"
    return {name: value for name, value in stage.params.items() if not (is_full and name in OF_ADAPTERS)}


def _rows_apart(mine: Sequence[DataRef], theirs: Sequence[DataRef]) -> float:
    """Total variation distance between two mixtures: the share of rows that come from elsewhere."""
    one, other = _mixture(mine), _mixture(theirs)
    return 0.5 * sum(abs(one.get(key, 0.0) - other.get(key, 0.0)) for key in {*one, *other})


def _mixture(data: Sequence[DataRef]) -> dict[Any, float]:
    total = sum(reference.weight for reference in data)
    return {(each.name, each.limit, each.filters): each.weight / total for each in data if each.weight > 0}


def _numbers_apart(mine: Any, theirs: Any, dimension: Dimension | None) -> float:
    if mine == theirs:
        return 0.0
    if (
        not (_is_number(mine) and _is_number(theirs))
        or dimension is None
        or dimension.low is None
        or dimension.high is None
    ):
        return math.inf
    ends = (mine, theirs, dimension.low, dimension.high)
    if dimension.log and min(ends) > 0:
        mine, theirs, low, high = (math.log(value) for value in ends)
    else:
        low, high = dimension.low, dimension.high
    return abs(mine - theirs) / (high - low) if high > low else math.inf


def sources(recipe: Recipe) -> list[str]:
    """The sources that a recipe draws rows from."""
    return list(dict.fromkeys(ref.name for stage in recipe.stages for ref in stage.data if ref.weight > 0))


def structure(recipe: Recipe) -> tuple[Any, ...]:
    """A recipe without its numbers: trainers, formats, choices and sources by stage."""
    return tuple(
        (
            stage.trainer,
            stage.format,
            tuple(sorted((key, str(value)) for key, value in _effective(stage).items() if not _is_number(value))),
            tuple(sorted(ref.name for ref in stage.data if ref.weight > 0)),
        )
        for stage in recipe.stages
    )


def refused_sources(trials: Sequence[Trial]) -> dict[str, str]:
    """The sources that a guard refused, each with its reason: those that its verdict names; where it names none, the
    only one that no scored trial has used."""
    used = {name for trial in trials if trial.state == "scored" and trial.recipe for name in sources(trial.recipe)}
    refused: dict[str, str] = {}
    for trial in trials:
        verdicts = [verdict for verdict in trial.outcome.verdicts if not verdict.ok] if trial.outcome else []
        if trial.state != "rejected" or not verdicts or trial.recipe is None:
            continue
        told = " ".join(text for verdict in verdicts for text in (verdict.reason, *verdict.evidence))
        names = sources(trial.recipe)
        named = [name for name in names if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", told)]
        unproven = [name for name in names if name not in used]
        for name in named or (unproven if len(unproven) == 1 else []):
            refused.setdefault(name, f"{verdicts[0].guard} ({trial.id})")
    return refused


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _reached(trial: Trial) -> float:
    """The fidelity that a trial has, or will have; 0 for one that says nothing of its recipe."""
    if trial.state == "scored" and trial.outcome:
        return trial.outcome.fidelity
    return trial.proposal.fidelity if trial.state in ("pending", "failed") else 0.0


def _way(trial: Trial) -> str:
    """How a trial failed, without its figures; "" where that was not its recipe's doing."""
    error = trial.outcome.error if trial.outcome and trial.outcome.error else ""
    if trial.state != "failed" or error.startswith(("cut at the end", "cancelled")):
        return ""
    return " ".join(re.sub(r"[\d.,]+", "#", error).split())[:80]
