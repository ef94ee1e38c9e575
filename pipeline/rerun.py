"""The same job once more: what a trial of a run scored, it must score again on the same machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline import flight, models, plugins
from pipeline.cores import cores
from pipeline.errors import InputError, PosttrainError, unknown
from pipeline.evaluations import EVALUATE_CALL
from pipeline.ledger import Ledger
from pipeline.paths import read_json, write_json
from pipeline.request import RunRequest, read_run
from pipeline.types import Job, Outcome, Score, Trial

RERUNS = "reruns"  # in the run's folder: TRIAL-1, TRIAL-2 ...


def rerun(folder: Path, trial_id: str) -> dict[str, Any]:
    """Train and score a trial again, in DIR/reruns/; the ledger and the trial's own folder stay as they are.

    A continued trial is trained from the beginning in one go, as long as it was trained over all its parts: that gives
    the same weights. Raises InputError if there is no such trial or it never had a score.
    """
    request, _ = read_run(folder)
    trial = _find(folder, trial_id)
    place = _new_place(folder / RERUNS, trial_id)
    job = _job(folder, request, trial)
    write_json(place / "job.json", job)
    executor = plugins.entry("executors", request.executor)(1, int(job["threads"]))
    try:
        call = flight.TRIAL_CALL if "recipe" in job else EVALUATE_CALL
        executor.start(Job(id=f"rerun/{trial_id}", call=call, folder=str(place.absolute()), threads=job["threads"]))
        ended = executor.wait()
    finally:
        executor.close()
    again = _score(place, ended.reason if ended else "the executor lost the job")
    before = trial.score
    assert before is not None
    return {"trial": trial_id, "folder": place, "before": before, "again": again, "same": before.value == again.value}


def _find(folder: Path, trial_id: str) -> Trial:
    """The trial, if it has a score."""
    history = {trial.id: trial for trial in Ledger(folder / "ledger.jsonl").history()}
    if trial_id not in history:
        raise unknown("trial", trial_id, list(history))
    if history[trial_id].score is None:
        scored = [trial.id for trial in history.values() if trial.score]
        state = history[trial_id].state
        raise InputError(f"trial {trial_id} is {state} and has no score; scored are {', '.join(scored) or 'none'}")
    return history[trial_id]


def _new_place(parent: Path, trial_id: str) -> Path:
    number = 1
    while (parent / f"{trial_id}-{number}").exists():
        number += 1
    place = parent / f"{trial_id}-{number}"
    place.mkdir(parents=True)
    return place


def _job(folder: Path, request: RunRequest, trial: Trial) -> dict[str, Any]:
    """The trial's job without its time limit; a recipe from the beginning, over the length that was really trained."""
    path = folder / "trials" / trial.id / "job.json"
    if not path.is_file():
        raise InputError(f"{path}: missing; a trial can be rerun only with its job.json: restore it")
    job: dict[str, Any] = read_json(path)
    job.setdefault("threads", cores())
    if not Path(job["model_path"]).is_dir():  # the cache was cleared since
        name = request.instruct if trial.id == "instruct" and request.instruct else request.model
        job["model_path"] = str(models.resolve(name, request.lab_seed))
    if "recipe" in job and trial.outcome:
        job |= {"resume_from": None, "limit_seconds": None, "eval_seconds": 0.0, "fidelity": trial.outcome.fidelity}
    return job


def _score(place: Path, reason: str) -> Score:
    """The score in a job's outcome. Raises PosttrainError if it has none."""
    path = place / "outcome.json"
    found = read_json(path) if path.is_file() else {"error": reason}
    if "score" in found:
        return Score.model_validate(found["score"])
    outcome = Outcome.model_validate(found)
    if not outcome.scores:
        raise PosttrainError(f"the rerun failed ({outcome.error or reason}); {place / 'log.txt'} says more")
    return outcome.scores[0]
