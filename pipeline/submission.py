"""A checkpoint made outside, in a process of its own: copied into the run, guarded, scored on the search split."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from pipeline import benchmarks, checkpoint, plugins, protocols, scoring_progress
from pipeline.errors import PosttrainError
from pipeline.evaluate import Evaluation, evaluate
from pipeline.jobs import ITEMS, JOB, OUTCOME, SubmissionJob
from pipeline.keeping import DOES_NOT_STOP
from pipeline.paths import read_json, write_json, write_jsonl
from pipeline.request import UNVERIFIED
from pipeline.stopping import Stopping, examine
from pipeline.training import MODEL
from pipeline.types import Cost, Outcome, Verdict

WHY_UNVERIFIED = "made outside the run: what it was trained from and on is not known"
Scored = Callable[[SubmissionJob, Path], tuple[Evaluation, Stopping]]


def main(folder: str | Path) -> None:
    """Read job.json, write outcome.json. One that fails has an outcome with its error and its cost."""
    score(Path(folder), _evaluated)


def score(folder: Path, scored: Scored) -> None:
    """The submission's story; `scored` evaluates the copy. What is not scored is not kept."""
    job, begun = SubmissionJob.model_validate(read_json(folder / JOB)), time.monotonic()
    found, stopping, error, verdicts = None, None, None, list[Verdict]()
    try:
        checkpoint.take(Path(job.source), folder / MODEL, Path(job.model_path))
        verdicts = _verdicts(job, folder / MODEL)
        error = next((verdict.reason for verdict in verdicts if not verdict.ok), None)
        if error is None:
            found, stopping = scored(job, folder / MODEL)
            write_jsonl(folder / ITEMS, found.items)
    except PosttrainError as raised:
        error = str(raised)
    except Exception as raised:  # whatever it is, the run goes on; the traceback is in the trial's log
        traceback.print_exc()
        error = " ".join([f"{type(raised).__name__}:", *str(raised).split()])[:300]
    if found is None:
        shutil.rmtree(folder / MODEL, ignore_errors=True)
    labels, reasons = _labels(stopping)
    cost = Cost(
        seconds=time.monotonic() - begun,
        eval_seconds=sum(each.seconds for each in (found, stopping) if each),
        dollars=found.dollars if found else 0.0,
    )
    scores = (found.score,) if found else ()
    outcome = Outcome(
        scores=scores, verdicts=tuple(verdicts), cost=cost, error=error, labels=tuple(labels), reasons=reasons
    )
    write_json(folder / OUTCOME, outcome)


def _verdicts(job: SubmissionJob, model: Path) -> list[Verdict]:
    references = {role: Path(path) for role, path in job.references.items()}
    return [plugins.load("guards", name).on_submission(model, references) for name in job.guards]


def _evaluated(job: SubmissionJob, model: Path) -> tuple[Evaluation, Stopping]:
    benchmark = protocols.benchmark(job.benchmark, job.protocol)
    items = benchmarks.items(benchmark, "search", job.key, job.search_limit)
    with scoring_progress.Teller(model.parent) as told:
        found = evaluate(model, benchmark, items, "search", key=job.key, judge=job.judge, told=told)
    return found, examine(model, benchmark, job.key, found)


def _labels(stopping: Stopping | None) -> tuple[list[str], dict[str, str]]:
    labels, reasons = [UNVERIFIED], {UNVERIFIED: WHY_UNVERIFIED}
    if stopping is not None and not stopping.suffices:
        labels.append(DOES_NOT_STOP)
        reasons[DOES_NOT_STOP] = stopping.why
    return labels, reasons
