"""Jobs on this machine, forked from a server that has imported torch and friends: warm in milliseconds (Linux)."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from typing import Any

from pipeline.contracts import Executor
from pipeline.errors import PosttrainError
from pipeline.executors import _child, spawn
from pipeline.types import Finished, Job

# What a trial and an evaluation import; the heavy libraries are at the top of the plugin modules.
WARM = (
    "pipeline.trial",
    "pipeline.evaluate",
    "pipeline.trainers.sft",
    "pipeline.engines.hf",
    "pipeline.scorers.harness",
)
_RESTARTS = 3  # a server that dies more often than this dies of something that starting again does not mend


def create(slots: int = 1, threads: int = 1, warm: tuple[str, ...] = WARM) -> Executor:
    """An executor whose server starts importing `warm` at once, in the background.

    `slots` is how many jobs the caller may keep running; `threads` what each is given unless its job says otherwise.
    """
    if sys.platform != "linux":  # forking after the libraries' threads have started is not safe there
        return spawn.create(slots, threads)
    return LocalExecutor(slots, threads, warm)


class LocalExecutor:
    """The client's side of `forkserver`. One caller, one thread."""

    def __init__(self, slots: int, threads: int, warm: tuple[str, ...]) -> None:
        self.slots, self.threads, self.warm = slots, threads, warm
        self.pids: dict[str, int] = {}
        self.running: dict[str, Job] = {}
        self.cancelled: set[str] = set()
        self.ended: deque[Finished] = deque()
        self.import_seconds: float | None = None  # None until the server is ready
        self.deaths = 0
        self._launch()

    def _launch(self) -> None:
        self.unread = b""
        self.connection, theirs = socket.socketpair()
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        arguments = [str(theirs.fileno()), str(os.getpid()), ",".join(self.warm)]
        self.server = subprocess.Popen(
            [sys.executable, "-m", "pipeline.executors.forkserver", *arguments],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self.errors,
            stderr=self.errors,
            env=_child.environment(self.threads),
            start_new_session=True,  # Ctrl-C in a terminal is for the owner, which decides what becomes of the jobs
        )
        theirs.close()

    @property
    def is_ready(self) -> bool:
        """Whether the server has said that it has imported what jobs need."""
        return self.import_seconds is not None

    def get_ready(self) -> None:
        """Wait until it has. Raises PosttrainError if it cannot."""
        while not self.is_ready:
            self._listen()

    def start(self, job: Job) -> None:
        """Hand the job over; it begins as soon as the server is ready."""
        self.running[job.id] = job
        self._say({"start": job.model_dump()})

    def cancel(self, job_id: str) -> None:
        """Kill a job with all that it started; `wait` will bring its end. Unknown or ended jobs are ignored."""
        if job_id in self.running:
            self.cancelled.add(job_id)
            self._say({"cancel": job_id})

    def wait(self, timeout: float | None = None) -> Finished | None:
        """The next job that ended; None when `timeout` seconds passed or nothing runs. Raises if none can start."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.ended and self.running:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self.connection], [], [], left)[0]:
                return None
            self._listen()
        return self.ended.popleft() if self.ended else None

    def close(self) -> None:
        """Kill every job and the server."""
        self.connection.close()
        try:
            self.server.wait(2.0)
        except subprocess.TimeoutExpired:
            self._kill_all()
        self.running.clear()
        self.errors.close()

    def _say(self, message: dict[str, Any]) -> None:
        try:
            self.connection.sendall(json.dumps(message).encode() + b"\n")
        except (BrokenPipeError, ConnectionResetError):
            self._server_died()

    def _listen(self) -> None:
        try:
            received = self.connection.recv(1 << 16)
        except ConnectionResetError:
            received = b""
        if not received:
            self._server_died()
            return
        *lines, self.unread = (self.unread + received).split(b"\n")
        for line in lines:
            self._hear(json.loads(line))

    def _hear(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            self.import_seconds = message["ready"]
        elif "failed" in message:
            raise PosttrainError(f"workers cannot start: {message['failed']}; `posttrain doctor` says what is missing")
        elif "pid" in message:
            self.pids[message["job"]] = message["pid"]
        else:
            self._end(message["ended"], message["exit_code"])

    def _end(self, job_id: str, exit_code: int, reason: str = "") -> None:
        del self.running[job_id]
        self.pids.pop(job_id, None)
        if job_id in self.cancelled:
            self.cancelled.discard(job_id)
            reason = "cancelled"
        self.ended.append(Finished(job=job_id, exit_code=exit_code, reason=reason or _child.say_why(exit_code)))

    def _server_died(self) -> None:
        """Running jobs have died with the server: say so for each, and start another server for the next ones."""
        was_ready, self.import_seconds = self.import_seconds is not None, None
        self._kill_all()
        self.connection.close()
        self.deaths += 1
        if not was_ready or self.deaths > _RESTARTS:
            raise PosttrainError(f"the worker server died: {self._last_words()}; is the machine out of memory?")
        for job_id in list(self.running):
            self._end(job_id, -9, "the worker server died; was the machine out of memory?")
        self._launch()

    def _kill_all(self) -> None:
        for pid in self.pids.values():
            _child.kill_group(pid)
        _child.kill_group(self.server.pid)
        self.server.wait()

    def _last_words(self) -> str:
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else _child.say_why(self.server.returncode)
