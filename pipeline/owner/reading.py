"""What any process may know of a run: the questions that need no owner, and that an owner answers at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from pydantic import ValidationError

from pipeline.errors import InputError
from pipeline.noise import CONFIDENCE, noise_floor, paired_test
from pipeline.reporting.pages import run_page
from pipeline.reporting.plain import to_markdown
from pipeline.reporting.story import Story, read_run
from pipeline.reporting.summary import summarise
from pipeline.types import Proposal, Trial
from pipeline.validation import first_fault
from pipeline.view import View, is_finished


def proposal_of(given: Any) -> Proposal:
    """A proposal as a client gave it. Raises InputError naming what is wrong."""
    try:
        return Proposal.model_validate(given)
    except ValidationError as error:
        fault = first_fault(error, Proposal)
        raise InputError(f"proposal: {'.'.join(map(str, fault.place)) or 'it'} {fault.message}") from None


def compare(view: View, a: str, b: str) -> dict[str, Any]:
    """Trial `a` less trial `b` on the search items that both answered, and whether the difference is worth believing.

    `p` is of 'both score alike', paired by item (`pipeline.noise`).
    """
    of_a, of_b = view.items(a), view.items(b)
    shared = [item for item in of_a if item in of_b]
    if not shared:
        raise InputError(f"{a} and {b} share no scored items: compare trials of the same run and length")
    left, right = np.array([of_a[item] for item in shared]), np.array([of_b[item] for item in shared])
    p = paired_test(left, right)
    trials = view.trial(a), view.trial(b)
    return {
        "a": {"trial": a, "score": float(left.mean())},
        "b": {"trial": b, "score": float(right.mean())},
        "difference": float(left.mean() - right.mean()),
        "items": len(shared),
        "p": p,
        "resolved": p <= 1 - CONFIDENCE,
        "noise_floor": noise_floor(len(shared), float(max(left.mean(), right.mean()))),
        "changes": {trial.id: trial.proposal.changes for trial in trials},
    }


def row(trial: Trial) -> dict[str, Any]:
    """A trial in few words: what was changed, what came of it."""
    outcome, proposal = trial.outcome, trial.proposal
    refused = next((verdict.reason for verdict in trial.verdicts if not verdict.ok), None)
    return {
        "id": trial.id,
        "kind": trial.kind,
        "state": trial.state,
        "score": trial.score.value if trial.score else None,
        "stderr": trial.score.stderr if trial.score else None,
        "fidelity": outcome.fidelity if outcome else proposal.fidelity,
        "changes": proposal.changes,
        "continues": proposal.continues,
        "author": proposal.author,
        "labels": list(outcome.labels) if outcome else [],
        "error": (outcome.error if outcome else None) or refused,
        "seconds": outcome.cost.seconds if outcome else None,
    }


def report_of(view: View) -> dict[str, Any]:
    """The report of a finished run; of one that is not, all of it but what final items say."""
    return summarise(_story(view))


def report_text(view: View) -> str:
    """The same in Markdown."""
    story = _story(view)
    return to_markdown(run_page(story, summarise(story)))


def _story(view: View) -> Story:
    story = read_run(view.folder)
    if is_finished(view.folder):
        return story
    # a run that goes on after its report keeps the final scores that it has from whoever searches
    return dataclasses.replace(story, finals={}, choice=None, verdicts=(), final_looks=0)


READ: dict[str, Callable[..., Any]] = {
    "ping": lambda view: {"folder": str(view.folder.absolute()), "agent": view.request.agent},
    "brief": lambda view: view.brief(),
    "space": lambda view: view.space,
    "catalogue": lambda view: view.brief().cards,
    "budget": lambda view: view.budget(),
    "remaining": lambda view: view.remaining(),
    "has_room": lambda view: view.has_room(),
    "history": lambda view: view.history(),
    "trials": lambda view: [row(trial) for trial in view.history()],
    "trial": lambda view, trial: view.trial(_text(trial, "trial")),
    "progress": lambda view, trial: view.progress(view.trial(_text(trial, "trial")).id),
    "compare": lambda view, a, b: compare(view, _text(a, "a"), _text(b, "b")),
    "propose": lambda view, proposal: view.propose(proposal_of(proposal)),
    "report": report_of,
    "report_text": report_text,
    "is_finished": lambda view: is_finished(view.folder),
}  # fmt: skip


def read(view: View, ask: str, arguments: dict[str, Any]) -> Any:
    """The answer to one question. Raises InputError: an unknown one, other arguments than it takes."""
    return called(ask, lambda **given: READ[ask](view, **given), arguments)


def called(ask: str, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """`function` with the arguments of a request. Raises InputError if they are not those that it takes."""
    try:
        return function(**arguments)
    except TypeError as error:
        if "argument" not in str(error):
            raise
        raise InputError(f"{ask}: {str(error).rpartition('() ')[2]}") from None


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name}: must be a text, not {type(value).__name__}")
    return value
