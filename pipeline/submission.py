"""A checkpoint made outside, in a process of its own: copied into the run, guarded, scored on the search split."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from pipeline import benchmarks, checkpoint, plugins, protocols
from pipeline.chat import family_of
from pipeline.errors import PosttrainError
from pipeline.evaluate import Evaluation, evaluate, stops_enough, why_not_stopping
from pipeline.jobs import ITEMS, JOB, OUTCOME, SubmissionJob
from pipeline.keeping import DOES_NOT_STOP
from pipeline.paths import read_json, write_json, write_jsonl
from pipeline.request import UNVERIFIED
from pipeline.training import MODEL
from pipeline.types import Cost, Outcome, Verdict

WHY_UNVERIFIED = "made outside the run: what it was trained from and on is not known"
Scored = Callable[[SubmissionJob, Path], Evaluation]


def main(folder: str | Path) -> None:
    """Read job.json, write outcome.json. One that fails has an outcome with its error and its cost."""
    score(Path(folder), _evaluated)


def score(folder: Path, scored: Scored) -> None:
    """The submission's story; `scored` evaluates the copy. What is not scored is not kept."""
    job, begun = SubmissionJob.model_validate(read_json(folder / JOB)), time.monotonic()
    found, error, verdicts = None, None, list[Verdict]()
    try:
        checkpoint.take(Path(job.source), folder / MODEL, Path(job.model_path))
        verdicts = _verdicts(job, folder / MODEL)
        error = next((verdict.reason for verdict in verdicts if not verdict.ok), None)
        if error is None:
            found = scored(job, folder / MODEL)
            write_jsonl(folder / ITEMS, found.items)
    except PosttrainError as raised:
        error = str(raised)
    except Exception as raised:  # whatever it is, the run goes on; the traceback is in the trial's log
        traceback.print_exc()
        error = " ".join([f"{type(raised).__name__}:", *str(raised).split()])[:300]
    if found is None:
        shutil.rmtree(folder / MODEL, ignore_errors=True)
    labels, reasons = _labels(job, folder / MODEL, found)
    cost = Cost(
        seconds=time.monotonic() - begun,
        eval_seconds=found.seconds if found else 0.0,
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


def _evaluated(job: SubmissionJob, model: Path) -> Evaluation:
    benchmark = protocols.benchmark(job.benchmark, job.protocol)
    items = benchmarks.items(benchmark, "search", job.key, job.search_limit)
    return evaluate(model, benchmark, items, "search", key=job.key, judge=job.judge)


def _labels(job: SubmissionJob, model: Path, found: Evaluation | None) -> tuple[list[str], dict[str, str]]:
    labels, reasons = [UNVERIFIED], {UNVERIFIED: WHY_UNVERIFIED}
    if found is not None and not stops_enough(found.score):
        most = protocols.benchmark(job.benchmark, job.protocol).max_tokens
        labels.append(DOES_NOT_STOP)
        reasons[DOES_NOT_STOP] = why_not_stopping(found.items, most, family_of(model).end_of_turn)
    return labels, reasons
