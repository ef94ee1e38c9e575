"""`bench start`: how long a trial takes from its proposal to the end of its first training step, on warm workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from pipeline.bench.results import Document, ground, ground_text
from pipeline.clock import wall
from pipeline.contracts import Executor
from pipeline.errors import PosttrainError
from pipeline.reporting.blocks import Page, Table
from pipeline.request import News, RunRequest
from pipeline.session import Session
from pipeline.types import Budget, Proposal, Trial

FIDELITY = 0.005  # of the recipe: a few steps, planned at full length as every trial's are
ITEMS = 4  # scored per trial: what comes after the first step is not measured


def run(
    folder: Path,
    request: RunRequest,
    runs: int,
    watch: Callable[[News], None],
    executor: Executor | None = None,
    now: Callable[[], float] = wall,
) -> Document:
    """Start the run's own recipe `runs` times in fresh trials, one after the other, in a run folder of its own.

    A first trial, in which workers start and rows are tokenised, is told apart. Raises PosttrainError if one fails.
    """
    changes = {"instruct": None, "instruct_path": None, "search_limit": ITEMS, "budget": Budget(), "agent": None}
    with Session.open(folder, request.model_copy(update=changes), executor, now) as session:
        session.on_event = watch
        first, *measured = [_seconds(session.step(Proposal(fidelity=FIDELITY))) for _ in range(runs + 1)]
    return {
        **ground(),
        "kind": "start",
        "model": request.model,
        "benchmark": request.benchmark,
        "lab_seed": request.lab_seed,
        "first_trial_seconds": first,
        "seconds": measured,
        "median_seconds": median(measured),
    }


def _seconds(trial: Trial) -> float:
    outcome = trial.outcome
    if outcome is None or outcome.first_step_seconds is None:
        why = outcome.error if outcome and outcome.error else "it has no training step"
        raise PosttrainError(f"{trial.id} cannot be measured: {why}")
    return outcome.first_step_seconds


def page(document: Document) -> Page:
    """The document in words."""
    rows: list[tuple[str, Any]] = [
        ("first trial, workers starting", document["first_trial_seconds"]),
        *((f"trial {number}", seconds) for number, seconds in enumerate(document["seconds"], start=1)),
        ("median, the first trial left out", document["median_seconds"]),
    ]
    return Page(
        title="Start of a trial",
        subtitle=f"{document['model']}, {document['benchmark']}; {ground_text(document)}",
        headline=f"{document['median_seconds']:.2f} s",
        caption="from a proposal to the end of its first training step (median).",
        warning="",
        blocks=(
            Table(
                title="From a proposal to the end of its first training step, warm workers, rows tokenised before",
                rows=tuple((name, f"{seconds:.2f} s") for name, seconds in rows),
            ),
        ),
    )
