"""The same job once more: what a trial of a run scored, it must score again on the same machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline import flight, models, plugins, programs
from pipeline.contracts import Executor
from pipeline.errors import InputError, PosttrainError, unknown
from pipeline.evaluate import Evaluated
from pipeline.evaluations import EVALUATE_CALL
from pipeline.jobs import JOB, OUTCOME, EvaluateJob, TrialJob
from pipeline.judging import judge_for
from pipeline.ledger import Ledger
from pipeline.machine import threads_each
from pipeline.paths import read_json, write_json
from pipeline.request import RunRequest, read_run
from pipeline.training import MODEL
from pipeline.types import Job, Outcome, Score, Trial

A_HAIR_LESS = 1 - 1e-9  # of a fidelity computed from tokens: rounded up, it would ask for one more step


def find(folder: str | Path, trial_id: str) -> Trial:
    """The trial, if it has a score; anchors have one too. Raises InputError."""
    history = {trial.id: trial for trial in Ledger(Path(folder) / "ledger.jsonl").history()}
    if trial_id not in history:
        raise unknown("trial", trial_id, list(history))
    if history[trial_id].score is None:
        scored = ", ".join(trial.id for trial in history.values() if trial.score) or "none"
        raise InputError(f"trial {trial_id} is {history[trial_id].state} and has no score: scored are {scored}")
    return history[trial_id]


def rerun(folder: str | Path, trial: Trial, executor: Executor | None = None) -> dict[str, Any]:
    """Train and score a trial again in trials/ID.rerun-N; the ledger and the trial's own folder stay as they are.

    Trained from the beginning in one go, over the length that was trained in all: whether the trial continued another
    or was cut short, that gives the same weights. Returns `trial`, `folder`, the scores `before` and `again`, whether
    they are the `same`, and how many items changed. Raises PosttrainError if it fails this time.
    """
    run = Path(folder)
    request, _ = read_run(run)
    job = _job(run, request, trial)
    threads = threads_each(request.slots, (job.threads if isinstance(job, TrialJob) else None) or request.threads)
    place = _new_place(run / "trials", trial.id)
    write_json(place / JOB, job)
    executor = executor or plugins.entry("executors", request.executor)(1, threads)
    call = flight.TRIAL_CALL if isinstance(job, TrialJob) else EVALUATE_CALL
    try:
        executor.start(Job(id=place.name, call=call, folder=str(place.absolute()), threads=threads))
        ended = executor.wait()
    finally:
        executor.close()
    again = _score(place, ended.reason if ended else "the executor lost the job")
    before, after = flight.search_items(run, trial.id), flight.search_items(run, place.name)
    changed = sum(before.get(item) != after.get(item) for item in before.keys() | after.keys())
    return {
        "trial": trial.id,
        "folder": place,
        "before": trial.score,
        "again": again,
        "same": _figures(again) == _figures(trial.score) and not changed,
        "changed_items": changed,
    }


def _figures(score: Score | None) -> dict[str, Any]:
    """What a score says of the model; ledgers of earlier versions say nothing of how answers were drawn."""
    return score.model_dump(exclude={"decoding"}) if score else {}


def _job(run: Path, request: RunRequest, trial: Trial) -> TrialJob | EvaluateJob:
    """The trial's job, without what tied it to its time and its predecessor."""
    path = run / "trials" / trial.id / JOB
    if not path.is_file():
        raise InputError(f"{path}: missing: a trial can be done again only with its {JOB}; restore it")
    if trial.kind == "submission":
        return _of_submission(run, request, trial)
    model = TrialJob if trial.kind == "recipe" else EvaluateJob
    job: TrialJob | EvaluateJob = model.model_validate(read_json(path))
    changes: dict[str, Any] = {}
    if not Path(job.model_path).is_dir():  # the cache was cleared since
        name = request.instruct if trial.id == "instruct" and request.instruct else request.model
        benchmark = programs.benchmark(request.benchmark, request.protocol, request.program)
        changes["model_path"] = str(models.resolve(models.address(name, benchmark), request.lab_seed))
    if isinstance(job, TrialJob):
        changes |= {"resume_from": None, "limit_seconds": None, "proposed_at": 0.0}
        if trial.outcome and "cut short" in trial.outcome.labels:
            changes["fidelity"] = trial.outcome.fidelity * A_HAIR_LESS
        changes["tail_limit"] = trial.outcome.tail_steps if trial.outcome else None
    return job.model_copy(update=changes)


def _of_submission(run: Path, request: RunRequest, trial: Trial) -> EvaluateJob:
    """Its copy in the run, scored again: how it was made is not known."""
    model = run / "trials" / trial.id / MODEL
    if not model.is_dir():
        raise InputError(
            f"{model}: only the best trials' weights are kept, this one's are not: it cannot be done again"
        )
    return EvaluateJob(
        model_path=str(model.absolute()), benchmark=request.benchmark, protocol=request.protocol, key=request.key,
        limit=request.search_limit, judge=judge_for(request.judge, run, "search"),
    )  # fmt: skip


def _new_place(parent: Path, trial_id: str) -> Path:
    number = 1
    while (parent / f"{trial_id}.rerun-{number}").exists():
        number += 1
    place = parent / f"{trial_id}.rerun-{number}"
    place.mkdir(parents=True)
    return place


def _score(place: Path, reason: str) -> Score:
    """The score in a job's outcome. Raises PosttrainError if it has none."""
    found = read_json(place / OUTCOME) if (place / OUTCOME).is_file() else {"error": reason}
    if "score" in found:
        return Evaluated.model_validate(found).score
    outcome = Outcome.model_validate(found)
    if not outcome.scores:
        raise PosttrainError(f"this time it failed: {outcome.error or reason}; {place / 'log.txt'} says more")
    return outcome.scores[0]
