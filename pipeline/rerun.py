"""The same trial again: the job that its ledger tells of, in a folder of its own, compared by score and by item."""

from __future__ import annotations

from pathlib import Path

from pipeline import finish, flight, plugins
from pipeline.clock import Clock, wall
from pipeline.cores import cores
from pipeline.errors import InputError, PosttrainError
from pipeline.jobs import JOB, TrialJob
from pipeline.ledger import Ledger
from pipeline.lock import Lock
from pipeline.paths import read_json, write_json
from pipeline.request import RunRequest, read_run
from pipeline.types import Executor, Job, Outcome, Record, Score, Trial


class Rerun(Record):
    """What came of doing a trial again. `alike`: every item was answered right or wrong as before."""

    trial: str
    folder: str
    before: Score
    after: Score | None
    error: str | None = None
    alike: bool
    changed_items: int


def rerun(folder: str | Path, trial_id: str, executor: Executor | None = None) -> Rerun:
    """Train and score a trial again, in trials/ID.rerun-N; the run's history and budget stay as they are.

    A trial that continued another is trained from the beginning, which must come to the same. Without a time limit: one
    that was cut short is asked for the fidelity that it reached. Raises InputError if the trial cannot be done again.
    """
    run = Path(folder)
    request, _ = read_run(run)
    trial = _scored(run, trial_id)
    lock = Lock(run)
    try:
        return _again(run, trial, request, lock, executor)
    finally:
        lock.release()


def _again(run: Path, trial: Trial, request: RunRequest, lock: Lock, executor: Executor | None) -> Rerun:
    ledger = Ledger(run / "ledger.jsonl")
    # after a crash: count up to the last sign of life before there is another one, ours
    clock = Clock(lambda name, **fields: ledger.append("note", note=name, **fields))
    clock.replay(ledger.events(), lock.last_beat, counts_on=request.agent is None)
    folder, threads = _prepare(run, trial), request.threads or max(1, cores() // request.slots)
    executor = executor or plugins.entry("executors", request.executor)(1, threads)
    try:
        outcome = _do(folder, executor, threads, trial.id)
    finally:
        executor.close()
    found = _compare(run, trial, folder, outcome)
    ledger.append("note", note="rerun", rerun=found, at=wall())
    return found


def _scored(run: Path, trial_id: str) -> Trial:
    history = Ledger(run / "ledger.jsonl").history()
    scored = [trial for trial in history if trial.state == "scored" and trial.kind == "recipe"]
    for trial in scored:
        if trial.id == trial_id:
            return trial
    names = ", ".join(trial.id for trial in scored) or "none"
    raise InputError(f"{run}: there is no scored trial '{trial_id}' to do again: there are {names}")


def _prepare(run: Path, trial: Trial) -> Path:
    """A new folder with the trial's job."""
    original = run / "trials" / trial.id
    job = TrialJob.model_validate(read_json(original / JOB))
    assert trial.outcome is not None, "it was scored"
    cut = "cut short" in trial.outcome.labels
    fidelity = trial.outcome.fidelity if cut else job.fidelity
    number = 1 + sum(1 for _ in original.parent.glob(f"{trial.id}.rerun-*"))
    folder = original.with_name(f"{trial.id}.rerun-{number}")
    folder.mkdir()
    changes = {"fidelity": fidelity, "resume_from": None, "limit_seconds": None, "proposed_at": wall()}
    write_json(folder / JOB, job.model_copy(update=changes))
    return folder


def _do(folder: Path, executor: Executor, threads: int, trial_id: str) -> Outcome:
    executor.start(Job(id=folder.name, call=flight.TRIAL_CALL, folder=str(folder.absolute()), threads=threads))
    ended = executor.wait()
    outcome = flight.written_outcome(folder) if ended and ended.exit_code == 0 else None
    if outcome is None:
        why = ended.reason if ended else "the executor lost it"
        raise PosttrainError(f"{trial_id} again: {why}; {folder / 'log.txt'} says more")
    return outcome


def _compare(run: Path, trial: Trial, folder: Path, outcome: Outcome) -> Rerun:
    before, after = finish.search_items(run, trial.id), finish.search_items(run, folder.name)
    changed = sum(before.get(item) != after.get(item) for item in before.keys() | after.keys())
    assert trial.score is not None, "it was scored"
    return Rerun(
        trial=trial.id,
        folder=str(folder),
        before=trial.score,
        after=outcome.scores[0] if outcome.scores else None,
        error=outcome.error,
        alike=outcome.error is None and not changed,
        changed_items=changed,
    )
