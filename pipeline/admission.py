"""The door that every proposal goes through: guards, the patch itself, and what it continues. Nothing is run here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pipeline import plugins
from pipeline.errors import InputError
from pipeline.recipe import apply_changes
from pipeline.types import Proposal, Recipe, Space, Trial, Verdict


class Admission(NamedTuple):
    """What the door says. Without a recipe the proposal is refused, and the last verdict says why."""

    recipe: Recipe | None
    verdicts: tuple[Verdict, ...]


def load_guards(more: Sequence[str] = ()) -> dict[str, Any]:
    """The guards that ship, and `more` by dotted address."""
    return {name: plugins.load("guards", name) for name in (*plugins.names("guards"), *more)}


def admit(
    proposal: Proposal, recipe: Recipe, space: Space, guards: Mapping[str, Any], history: Sequence[Trial]
) -> Admission:
    """Ask every guard that looks at proposals, patch the recipe, check the continuation."""
    asked = [guard for guard in guards.values() if hasattr(guard, "on_proposal")]
    verdicts = tuple(guard.on_proposal(proposal, recipe, space) for guard in asked)
    if not all(verdict.ok for verdict in verdicts):
        return Admission(None, tuple(sorted(verdicts, key=lambda verdict: not verdict.ok)))
    try:
        patched = apply_changes(recipe, proposal.changes)
        continued = _continued(proposal, patched, history)
    except InputError as error:
        return Admission(None, (*verdicts, Verdict(guard="patch", ok=False, reason=str(error))))
    return Admission(continued or patched, verdicts)


def _continued(proposal: Proposal, patched: Recipe, history: Sequence[Trial]) -> Recipe | None:
    """The recipe that goes on; None if nothing is continued. Raises InputError if it cannot go on."""
    name = proposal.continues
    if name is None:
        return None
    trial = next((trial for trial in history if trial.id == name), None)
    if trial is None or trial.recipe is None:
        raise InputError(f"continues: there is no trial {name}")
    if trial.outcome is None or not trial.outcome.resumable:
        raise InputError(f"continues: {name} has no checkpoint (any more): start it anew, without `continues`")
    if proposal.fidelity <= trial.outcome.fidelity:
        reached = f"{trial.outcome.fidelity:.3f}"
        raise InputError(f"continues: {name} has reached fidelity {reached} already: ask for more than {reached}")
    if proposal.changes and patched != trial.recipe:
        raise InputError(f"continues: the changes make another recipe than {name}'s: give the same ones, or none")
    return trial.recipe
