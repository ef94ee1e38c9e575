"""What a proposal would come to if it were started: whether it is allowed, how long it would take. Nothing is run."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from pipeline import limits
from pipeline.admission import admit
from pipeline.types import Budget, Proposal, Recipe, Record, Trial, Verdict

if TYPE_CHECKING:
    from pipeline.view import View


class Appraisal(Record):
    """The door's answer to a proposal, and its price. What nothing was measured of yet is None; `note` says so."""

    ok: bool
    reason: str = ""  # why not, and what would be right
    verdicts: tuple[Verdict, ...] = ()
    recipe: Recipe | None = None
    tokens: int | None = None  # to be trained on
    train_seconds: float | None = None
    beside_seconds: float | None = None  # scoring above all
    fits: bool | None = None  # whether all of it can be trained in the time that is left; else it is cut short
    note: str = ""
    remaining: Budget = Budget()


def appraise(view: View, proposal: Proposal) -> Appraisal:
    """Ask the guards as `start` does, and estimate the price from the trials so far."""
    history, left = view.history(), view.remaining()
    recipe, verdicts = admit(proposal, view.request.recipe, view.space, view.guards, history)
    if recipe is None:
        return Appraisal(ok=False, reason=verdicts[-1].reason, verdicts=verdicts, remaining=left)
    scored = [trial for trial in history if trial.kind == "recipe" and trial.score and trial.outcome]
    tokens, pace = _tokens(proposal, recipe, scored), _tokens_per_second(recipe, scored)
    train = tokens / pace if tokens is not None and pace else None
    limit, total = view.train_seconds(), view.budget().seconds
    beside = limits.beside_training(view.measured_beside(), total) if total is not None else None
    fits = None if train is None or limit is None else train <= limit
    return Appraisal(
        ok=True,
        verdicts=verdicts,
        recipe=recipe,
        tokens=tokens,
        train_seconds=None if train is None else round(train, 1),
        beside_seconds=None if beside is None else round(beside, 1),
        fits=fits,
        note=_note(view, train, limit, fits),
        remaining=left,
    )


def _tokens(proposal: Proposal, recipe: Recipe, scored: list[Trial]) -> int | None:
    """Tokens to train on: the full length, as the recipe says or as trials showed, by the share that is new."""
    stages = [int(stage.params.get("tokens") or 0) for stage in recipe.stages]
    shown = [trial.outcome.tokens / trial.outcome.fidelity for trial in scored if trial.outcome and _trained(trial)]
    full = sum(stages) if all(stages) else median(shown) if shown else None
    if full is None:
        return None
    before = next((trial.outcome.fidelity for trial in scored if trial.id == proposal.continues and trial.outcome), 0.0)
    return round(full * max(0.0, proposal.fidelity - before))


def _tokens_per_second(recipe: Recipe, scored: list[Trial]) -> float | None:
    """What trials reached: those that train the same weights (an adapter, or all of them), else any."""
    trained = [trial for trial in scored if _trained(trial)]
    alike = [trial for trial in trained if trial.recipe and _tuning(trial.recipe) == _tuning(recipe)]
    costs = [trial.outcome.cost for trial in alike or trained if trial.outcome]
    return median(cost.tokens / cost.train_seconds for cost in costs) if costs else None


def _trained(trial: Trial) -> bool:
    found = trial.outcome
    return found is not None and found.cost.train_seconds > 0 and found.cost.tokens > 0 and found.fidelity > 0


def _tuning(recipe: Recipe) -> list[str]:
    return [str(stage.params.get("tuning")) for stage in recipe.stages]


def _note(view: View, train: float | None, limit: float | None, fits: bool | None) -> str:
    if not view.has_room():
        left = view.remaining()
        spent = limit == 0.0 or left.trials == 0 or left.dollars == 0.0
        return "the budget is spent: finish the run, or extend it" if spent else "all slots are busy: wait for a trial"
    if train is None:
        return "its time is not known before a first trial was measured: start one at a low fidelity"
    if fits is False:
        return f"longer than the {limit:.0f} s that a trial may train now: it would be cut short; ask for less fidelity"
    return ""
