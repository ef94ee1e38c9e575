"""Proposals that go on from a trial's checkpoint, as every agent with rungs makes them."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.agents._pace import Pace, can_continue, fidelity_of, score_of
from pipeline.types import Budget, Proposal, Trial

LEAST_STEP = 1.05  # times as long: continuing by less is not worth a trial


def open_trials(trials: Sequence[Trial]) -> list[Trial]:
    """Those with a checkpoint that nobody has gone on from."""
    continued = {trial.proposal.continues for trial in trials}
    return [trial for trial in trials if can_continue(trial) and trial.id not in continued]


def chains(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Each new recipe with the trials that continue it, in the order of their start; refused and abandoned
    continuations are left out: they may be asked for again."""
    found: dict[str, list[Trial]] = {}
    root_of: dict[str, str] = {}
    for trial in trials:
        root = root_of[trial.id] = root_of.get(trial.proposal.continues or "", trial.id)
        if root == trial.id or trial.state not in ("rejected", "abandoned"):
            found.setdefault(root, []).append(trial)
    return list(found.values())


def go_on(trial: Trial, fidelity: float, why: str, author: str) -> Proposal:
    """The same recipe, trained on to `fidelity`."""
    text = f"continues {trial.id} ({score_of(trial):.3f} at {fidelity_of(trial):.2g}): {why}"
    further = min(1.0, max(fidelity, fidelity_of(trial) * LEAST_STEP))
    return Proposal(
        changes=trial.proposal.changes, fidelity=round(further, 6), continues=trial.id, parent=trial.id,
        rationale=text, author=author,
    )  # fmt: skip


def last_stretch(open_: Sequence[Trial], pace: Pace, remaining: Budget, author: str) -> Proposal | None:
    """The best of the open trials takes all that is left; None if there is none or it is at full length."""
    if not open_:
        return None
    # a longer trial is preferred to a shorter one that looks a little better: it has more of the way behind it
    best = max(open_, key=lambda trial: (round(score_of(trial), 2), fidelity_of(trial)))
    if fidelity_of(best) >= 1.0:
        return None
    return go_on(best, min(1.0, pace.reach(best, remaining)), "the leader takes the rest", author)
