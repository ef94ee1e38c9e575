"""One trial in flight: its job as JSON, what it tells on the way, and how it ended."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pipeline import scoring_progress, totals
from pipeline.errors import InputError
from pipeline.jobs import ITEMS, JOB, OUTCOME, SubmissionJob, TrialJob
from pipeline.judging import judge_for
from pipeline.paths import read_json, read_jsonl, write_json
from pipeline.training import CHECKPOINT, PROGRESS
from pipeline.types import Cost, Finished, Job, Outcome, Trial, TrialState

if TYPE_CHECKING:
    from pipeline.session import Session

TRIAL_CALL, SUBMISSION_CALL = "pipeline.trial.main", "pipeline.submission.main"
TAIL_BYTES = 4096  # read from the end of a file for its last line


@dataclass
class Flight:
    """A started trial. `started_at` is the unix time of its proposal."""

    trial: Trial
    folder: Path
    started_at: float
    is_cut: bool = False  # the budget's end was reached, and it was killed


def prepare(session: Session, trial: Trial, started_at: float, train_seconds: float | None) -> Flight:
    """Write the trial's job.json. Its key has no salt: a trial cannot know which final items count."""
    request, folder = session.request, session.folder / "trials" / trial.id
    assert trial.recipe is not None, "only admitted trials run"
    continues = trial.proposal.continues
    job = TrialJob(
        trial=trial.id,
        recipe=trial.recipe,
        model_path=request.model_path,
        benchmark=request.benchmark,
        protocol=request.protocol,
        key=request.key,
        fidelity=trial.proposal.fidelity,
        resume_from=str((session.folder / "trials" / continues / CHECKPOINT).absolute()) if continues else None,
        limit_seconds=train_seconds,
        proposed_at=started_at,
        search_limit=request.search_limit,
        judge=judge_for(request.judge, session.folder, "search"),
        program=request.program,
        guards=tuple(name for name, guard in session.guards.items() if hasattr(guard, "on_source")),
        threads=session.threads,
    )
    folder.mkdir(parents=True)
    write_json(folder / JOB, job)
    return Flight(trial, folder, started_at)


def prepare_submission(session: Session, trial: Trial, source: Path, started_at: float) -> Flight:
    """Write the job.json of a submission; it names the instruct model, so it is the owner's only."""
    request, folder = session.request, session.folder / "trials" / trial.id
    references = {"base": request.model_path, "instruct": request.instruct_path}
    job = SubmissionJob(
        trial=trial.id,
        source=str(source.absolute()),
        model_path=request.model_path,
        references={role: path for role, path in references.items() if path},
        benchmark=request.benchmark,
        protocol=request.protocol,
        key=request.key,
        search_limit=request.search_limit,
        judge=judge_for(request.judge, session.folder, "search"),
        guards=tuple(name for name, guard in session.guards.items() if hasattr(guard, "on_submission")),
    )
    folder.mkdir(parents=True)
    write_json(folder / JOB, job, mode=0o600)
    return Flight(trial, folder, started_at)


def job_of(flight: Flight, threads: int) -> Job:
    """The executor's job for a flight."""
    call = SUBMISSION_CALL if flight.trial.kind == "submission" else TRIAL_CALL
    return Job(id=flight.trial.id, call=call, folder=str(flight.folder.absolute()), threads=threads)


def outcome_of(flight: Flight, ended: Finished, now: float) -> Outcome:
    """What the trial's process wrote; for one that died, how it died and what it cost."""
    written = written_outcome(flight.folder) if ended.exit_code == 0 else None
    if written is not None:
        return written
    why = ended.reason or "its process ended without an outcome"
    if flight.is_cut:
        why = "cut at the end of the budget"
    last = last_line(flight.folder / "log.txt")
    error = f"{why}; the log ends: {last[:300]}" if last and not flight.is_cut else why
    return Outcome(error=error, cost=Cost(seconds=max(0.0, now - flight.started_at)))


def written_outcome(folder: Path) -> Outcome | None:
    """The complete outcome.json of a folder; None if there is none."""
    try:
        return Outcome.model_validate(read_json(folder / OUTCOME))
    except (FileNotFoundError, InputError, ValidationError):
        return None


def state_of(outcome: Outcome) -> TrialState:
    """Scored, failed, or rejected by a guard that read its data."""
    if outcome.error is None and outcome.scores:
        return "scored"
    return "rejected" if any(not verdict.ok for verdict in outcome.verdicts) else "failed"


def search_items(run: Path, trial_id: str) -> dict[str, float]:
    """A trial's search scores by item (`totals.shares`); empty if they cannot be read."""
    try:
        return totals.by_item(read_jsonl(run / "trials" / trial_id / ITEMS))
    except (OSError, InputError, KeyError, TypeError, ValueError):
        return {}


def latest_progress(folder: Path) -> dict[str, Any] | None:
    """The last whole line of a trial's trainer on its progress, with how far its scoring is; None before both."""
    found = [_last_object(folder / name) for name in (PROGRESS, scoring_progress.FILE)]
    return None if not any(found) else (found[0] or {}) | (found[1] or {})


def _last_object(path: Path) -> dict[str, Any] | None:
    line = last_line(path, whole=True)
    try:
        found = json.loads(line) if line else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def last_line(path: Path, whole: bool = False) -> str:
    """The last line of a text file that is not empty, "" if there is none; `whole`: the last that has its newline."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = text.split("\n")[: -1 if whole else None]
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def describe(trial: Trial) -> str:
    """A trial that starts, in one line: what it changes, at which fidelity."""
    proposal = trial.proposal
    if trial.kind == "submission":
        return f"{trial.id}: a checkpoint made outside"
    names = {path: path.removeprefix("stages.0.").removeprefix("params.") for path in proposal.changes}
    changes = ", ".join(f"{names[path]}={_short(value)}" for path, value in proposal.changes.items())
    how = f"continues {proposal.continues}" if proposal.continues else changes or "the recipe as it is"
    return f"{trial.id} at fidelity {proposal.fidelity:.2g}: {how}"


def summary(trial: Trial) -> str:
    """A trial that ended, in one line: its score or its error, and what it cost."""
    outcome = trial.outcome or Outcome()
    cost = f"{outcome.cost.train_seconds:.1f} s training, {outcome.cost.seconds:.1f} s in all"
    if trial.score is None:
        return f"{trial.id} {trial.state}: {outcome.error or 'no score'} ({cost})"
    labels = f" [{'; '.join(outcome.remarks)}]" if outcome.labels else ""
    length = "" if trial.kind == "submission" else f" at fidelity {outcome.fidelity:.2g}"
    return f"{trial.id} scored {trial.score.value:.3f}{length}{labels} ({cost})"


def _short(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, dict) and "name" in item for item in value):
        return " + ".join(f"{item.get('weight', 1.0):.2g} {item['name']}" for item in value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)
