"""What a run's result does to other tasks: the base and the chosen model on items of each, outside the budget."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import benchmarks, offtarget
from pipeline.errors import InputError
from pipeline.evaluations import run_jobs
from pipeline.flight import last_line
from pipeline.jobs import JOB, OUTCOME, EvaluateJob
from pipeline.paths import write_json
from pipeline.reporting.offtarget import BASE, FOLDER, NOTE
from pipeline.types import ItemsKey, Job

if TYPE_CHECKING:
    from pipeline.session import Session

CALL = "pipeline.offtarget.main"


def check(names: Sequence[str], target: str, key: ItemsKey | None = None) -> None:
    """Raises InputError if a benchmark cannot be measured beside `target`; with `key` its items are looked at, too."""
    seen: set[str] = set()
    for name in names:
        benchmark = benchmarks.load_benchmark(name)
        offtarget.check(benchmark)
        if benchmark.name in (short(target), *seen):
            raise InputError(f"--off-target {benchmark.name}: is what is searched on, or named twice: omit it")
        seen.add(benchmark.name)
        if key is not None:
            benchmarks.items(benchmark, "search", key, offtarget.ITEM_COUNT)


def measure(session: Session, trial_id: str | None) -> None:
    """Measure what is not measured yet, of the base and of the chosen trial; the ledger notes which trial it was.

    A task that cannot be measured is told, and the run ends all the same. Nothing is done where the base is the result.
    """
    wanted = session.request.off_target
    if not wanted or trial_id is None:
        return
    models = {BASE: session.request.model_path, trial_id: str(session.folder / "trials" / trial_id / "model")}
    jobs = [_job(session, who, path, name) for name in wanted for who, path in models.items()]
    missing = [job for job in jobs if not (Path(job.folder) / OUTCOME).is_file()]
    places = {Path(job.id).name: Path(job.folder) for job in missing}
    session.tell("progress", f"scoring off target on {', '.join(map(short, wanted))}")
    with session.clock.outside("off-target scoring"):
        for name, ended in run_jobs(session, missing, lambda name: f"scoring {name}"):
            if ended.exit_code:
                why = last_line(places[name] / "log.txt") or ended.reason
                session.tell("warning", f"off target: {name} cannot be scored: {why[:200]}")
    session.note(NOTE, trial=trial_id, benchmarks=[short(name) for name in wanted], at=session.clock.now())


def short(name: str) -> str:
    """A benchmark's name, without its folder's place."""
    return Path(name).name


def _job(session: Session, who: str, path: str, name: str) -> Job:
    folder = session.folder / FOLDER / who / short(name).replace(":", "-")
    folder.mkdir(parents=True, exist_ok=True)
    job = EvaluateJob(
        model_path=path,
        benchmark=name,
        key=session.request.key,
        limit=offtarget.ITEM_COUNT,
    )
    write_json(folder / JOB, job)
    return Job(
        id=f"off-target/{who} on {folder.name}", call=CALL, folder=str(folder.absolute()), threads=session.threads
    )
