"""Jobs on this machine, each in a Python process started from nothing: any platform, seconds of imports per job."""

from __future__ import annotations

import subprocess
import sys
import time

from pipeline.contracts import Executor
from pipeline.executors import _child
from pipeline.types import Finished, Job

_LOOK_SECONDS = 0.02


def create(slots: int = 1, threads: int = 1) -> Executor:
    """An executor that spawns; `slots` is how many jobs the caller may keep running."""
    return SpawnExecutor(slots, threads)


class SpawnExecutor:
    """One process per job. A job lives while its standard input is open, so none outlives the owner."""

    def __init__(self, slots: int, threads: int) -> None:
        self.slots, self.threads = slots, threads
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.cancelled: set[str] = set()

    @property
    def is_ready(self) -> bool:
        """Always: every job starts a process of its own and imports what it needs there."""
        return True

    def get_ready(self) -> None:
        """Nothing to wait for."""

    def start(self, job: Job) -> None:
        """Start the job's process."""
        self.running[job.id] = subprocess.Popen(
            [sys.executable, "-m", "pipeline.executors._child", job.model_dump_json()],
            stdin=subprocess.PIPE,
            env=_child.environment(job.threads),
            start_new_session=True,
        )

    def cancel(self, job_id: str) -> None:
        """Kill a job; `wait` will bring its end. Unknown or ended jobs are ignored."""
        if job_id in self.running:
            self.cancelled.add(job_id)
            self._kill(self.running[job_id])

    def wait(self, timeout: float | None = None) -> Finished | None:
        """The next job that ended; None when `timeout` seconds passed or nothing runs."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.running:
            for job_id, process in self.running.items():
                if process.poll() is not None:
                    return self._end(job_id)
            if deadline is not None and time.monotonic() >= deadline:
                return None
            time.sleep(_LOOK_SECONDS)
        return None

    def close(self) -> None:
        """Kill every job."""
        for process in self.running.values():
            self._kill(process)
            process.wait()
        self.running.clear()

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        _child.kill_group(process.pid)

    def _end(self, job_id: str) -> Finished:
        process = self.running.pop(job_id)
        _child.kill_group(process.pid)  # what the job left behind
        code = process.returncode
        reason = "cancelled" if job_id in self.cancelled else _child.say_why(code)
        self.cancelled.discard(job_id)
        return Finished(job=job_id, exit_code=code, reason=reason)
