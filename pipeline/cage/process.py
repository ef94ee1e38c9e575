"""The life of an agent's program, seen from its owner: started, listened to, ended with all that it started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.cage import inside
from pipeline.cage.walls import Walls

GRACE_SECONDS = 1.0  # between the request to end and the end
HARD_SECONDS = 3.0  # more, until what does not react is killed from outside
LONGEST_LINE = 2**20  # bytes that are kept of a line
INSIDE = Path(inside.__file__)
Heard = Callable[[str, bytes, int], None]  # (stream, a line without its end, bytes that were cut off)


class Process:
    """A program that runs from construction until it ends or `end` is called. `heard` is called on other threads."""

    def __init__(
        self,
        argv: Sequence[str],
        folder: Path,
        variables: dict[str, str],
        heard: Heard,
        walls: Walls | None,
        proxy: Path | None = None,
        ports: Sequence[int] = (),
    ) -> None:
        """Raises OSError if nothing can be started. Without walls only what it leaves behind is looked after."""
        config = {
            "proxy": str(proxy) if proxy else None, "ports": list(ports), "contain": walls is None,
            "grace": GRACE_SECONDS, "folder": str(folder),
        }  # fmt: skip
        python = os.path.realpath(sys.executable)
        command = [python, "-I", "-S", "-B", str(INSIDE), json.dumps(config), *argv]
        self._process = subprocess.Popen(
            walls.command(command) if walls else command,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=variables, cwd=folder,
            start_new_session=True, close_fds=True,
        )  # fmt: skip
        self.began = self.last_heard = time.monotonic()
        self._heard = heard
        streams = {"stdout": self._process.stdout, "stderr": self._process.stderr}
        self._readers = [
            threading.Thread(target=self._read, args=(name, stream.fileno()), daemon=True, name=name)
            for name, stream in streams.items()
            if stream is not None
        ]
        for reader in self._readers:
            reader.start()

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.began

    def wait(self, seconds: float) -> int | None:
        """Its exit status, negative for a signal; None if it runs still after so many seconds."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        for reader in self._readers:
            reader.join(HARD_SECONDS)
        return 128 - status if status > 128 else status

    def end(self) -> None:
        """End it and all that it started: asked first, killed then. May be called by any thread, and again."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_SECONDS + HARD_SECONDS)
        left = inside.descendants(self._process.pid) if self._process.poll() is None else set()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # with bubblewrap's own process its whole space ends
        for process in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(HARD_SECONDS)

    def _read(self, name: str, descriptor: int) -> None:
        line, cut = bytearray(), 0
        while True:
            try:
                part = os.read(descriptor, 2**16)
            except OSError:
                part = b""
            self.last_heard = time.monotonic()
            if not part:
                break
            *whole, rest = part.split(b"\n")
            for piece in whole:
                cut += _grow(line, piece)
                self._heard(name, bytes(line), cut)
                line, cut = bytearray(), 0
            cut += _grow(line, rest)
        if line or cut:
            self._heard(name, bytes(line), cut)


def _grow(line: bytearray, piece: bytes) -> int:
    """Add what fits; the bytes that did not."""
    room = max(0, LONGEST_LINE - len(line))
    line += piece[:room]
    return len(piece) - min(room, len(piece))
