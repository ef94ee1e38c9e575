"""The warm worker server: imports the heavy libraries once, then forks one child per job. Linux only.

`python -m pipeline.executors.forkserver SOCKET_FD PARENT_PID MODULE,MODULE,...`; JSON lines on the socket:
in `{"start": job}`, `{"cancel": job id}`; out `{"ready": seconds}`, `{"failed": why}`, `{"pid": n, "job": id}`,
`{"ended": job id, "exit_code": n}`. It runs no torch operation itself: a fork after one can hang (thread pools).
It ends, and every job with it, when the socket closes or the parent dies.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

from pipeline.executors import _child
from pipeline.types import Job


class Server:
    """Forks, kills and reaps jobs as the socket says."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.pids: dict[str, int] = {}  # job id -> pid, which is also the id of its process group
        self.unread = b""
        self.wake_read, wake_write = os.pipe()
        os.set_blocking(self.wake_read, False)
        os.set_blocking(wake_write, False)
        # A child's end interrupts `select` through this pipe, without a race between looking and sleeping.
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def tell(self, **message: Any) -> None:
        self.connection.sendall(json.dumps(message).encode() + b"\n")

    def serve(self) -> None:
        """Until the parent closes the socket, or is gone."""
        while True:
            sources: list[Any] = [self.connection, self.wake_read]
            readable, _, _ = select.select(sources, [], [])
            if self.wake_read in readable:
                os.read(self.wake_read, 4096)
            self._reap()
            if self.connection in readable and not self._obey():
                return

    def _obey(self) -> bool:
        received = self.connection.recv(1 << 16)
        *lines, self.unread = (self.unread + received).split(b"\n")
        for line in lines:
            command = json.loads(line)
            if "start" in command:
                self._start(Job.model_validate(command["start"]))
            elif command["cancel"] in self.pids:
                _child.kill_group(self.pids[command["cancel"]])
        return bool(received)

    def _start(self, job: Job) -> None:
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become(job, server)
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)  # in both processes, so that it holds whichever comes first: a kill goes to the group
        self.pids[job.id] = pid
        self.tell(pid=pid, job=job.id)

    def _become(self, job: Job, server: int) -> None:
        """Turn this fresh fork into the job's process; never returns."""
        code = 1
        try:
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGUSR1, signal.SIG_DFL)
            _child.signal_on_parent_death(signal.SIGKILL)
            self.connection.close()
            if os.getppid() == server:  # else it died before the kernel knew our wish
                code = _child.run(job)
        finally:
            os._exit(code)

    def _reap(self) -> None:
        for job, pid in list(self.pids.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                del self.pids[job]
                _child.kill_group(pid)  # what the job left behind
                self.tell(ended=job, exit_code=os.waitstatus_to_exitcode(status))

    def end(self) -> None:
        for pid in self.pids.values():
            _child.kill_group(pid)


def _watch(parent: int, server: Server) -> None:
    """End with the parent even while importing, when nobody reads the socket."""

    def look(*_: object) -> None:
        if os.getppid() != parent:  # the kernel also signals when only the thread that started us has ended
            server.end()
            os._exit(1)

    signal.signal(signal.SIGUSR1, look)
    _child.signal_on_parent_death(signal.SIGUSR1)
    look()


def main() -> None:
    """See the module's first lines."""
    descriptor, parent, modules = sys.argv[1:]
    server = Server(socket.socket(fileno=int(descriptor)))
    _watch(int(parent), server)
    began = time.monotonic()
    try:
        for module in filter(None, modules.split(",")):
            importlib.import_module(module)
    except Exception as error:
        server.tell(failed=f"{type(error).__name__}: {error}")
        return
    gc.collect()
    gc.freeze()  # keeps the children's collector from touching, and so copying, the shared pages
    server.tell(ready=round(time.monotonic() - began, 3))
    try:
        server.serve()
    except (BrokenPipeError, ConnectionResetError):
        pass  # the parent went away in the middle of a message
    finally:
        server.end()


if __name__ == "__main__":
    main()
