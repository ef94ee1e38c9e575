"""Executors of fake jobs: in this process on a clock that waiting turns, or in real processes and real time."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import NamedTuple

from pipeline.contracts import Executor
from pipeline.fakes import jobs
from pipeline.fakes.runs import FakeTime
from pipeline.jobs import OUTCOME
from pipeline.types import Finished, Job

INSTEAD = {
    "pipeline.trial.main": "trial",
    "pipeline.evaluate.main": "evaluate",
    "pipeline.export.main": "export",
    "pipeline.submission.main": "submission",
    "pipeline.offtarget.main": "off_target",
}


class _Running(NamedTuple):
    ends_at: float
    finished: Finished
    folder: Path


class FakeExecutor:
    """Runs fake jobs in this process. Each lasts as long as it says that it cost, on a clock that waiting turns."""

    def __init__(self, slots: int = 1, now: FakeTime | None = None, import_seconds: float = 0.0) -> None:
        self.slots, self.now, self.import_seconds = slots, now or FakeTime(), import_seconds
        self.running: dict[str, _Running] = {}
        self.started: list[Job] = []

    @property
    def is_ready(self) -> bool:
        """Whether the imports are done."""
        return not self.import_seconds

    def get_ready(self) -> None:
        """Let the seconds go by that workers need for their imports."""
        self.now.pass_(self.import_seconds)
        self.import_seconds = 0.0

    def start(self, job: Job) -> None:
        """Do the job's work at once; its end is told when its time has passed."""
        self.started.append(job)
        folder, code = Path(job.folder), 0
        try:
            getattr(jobs, INSTEAD[job.call])(folder)
            seconds = jobs.seconds(folder / OUTCOME)
        except Exception:
            (folder / "log.txt").write_text(traceback.format_exc())
            code, seconds = 1, 0.0
        reason = "ended with exit code 1" if code else ""
        self.running[job.id] = _Running(
            self.now() + seconds, Finished(job=job.id, exit_code=code, reason=reason), folder
        )

    def wait(self, timeout: float | None = None) -> Finished | None:
        """The job that ends next, if it does so before the timeout; the clock is then at its end."""
        if not self.running:
            return None
        job_id = min(self.running, key=lambda name: self.running[name].ends_at)
        left = self.running[job_id].ends_at - self.now()
        if timeout is not None and left > timeout:
            self.now.pass_(timeout)
            return None
        self.now.pass_(max(0.0, left))
        return self.running.pop(job_id).finished

    def cancel(self, job_id: str) -> None:
        """End a job now, without its outcome."""
        if job_id in self.running:
            folder = self.running[job_id].folder
            (folder / OUTCOME).unlink(missing_ok=True)
            finished = Finished(job=job_id, exit_code=-9, reason="cancelled")
            self.running[job_id] = _Running(self.now(), finished, folder)

    def close(self) -> None:
        """Forget what runs, as a kill would."""
        for job_id in list(self.running):
            self.cancel(job_id)
        self.running.clear()


class _Rewired:
    """Another executor that is given fake jobs instead of real ones."""

    def __init__(self, inner: Executor) -> None:
        self.inner, self.slots = inner, inner.slots
        self.get_ready, self.wait, self.cancel, self.close = inner.get_ready, inner.wait, inner.cancel, inner.close

    @property
    def is_ready(self) -> bool:
        return self.inner.is_ready

    def start(self, job: Job) -> None:
        call = INSTEAD[job.call].replace("trial", "trial_in_real_time")
        self.inner.start(job.model_copy(update={"call": f"pipeline.fakes.jobs.{call}"}))


def create(slots: int = 1, threads: int = 1) -> Executor:
    """Fake jobs in real processes and real time: `--executor pipeline.fakes`."""
    from pipeline.executors import local

    return _Rewired(local.create(slots, threads, warm=("pipeline.fakes",)))


def instant(slots: int = 1, threads: int = 1) -> Executor:
    """Fake jobs in this process, which take no time: `--executor pipeline.fakes:instant`."""
    return FakeExecutor(slots)
