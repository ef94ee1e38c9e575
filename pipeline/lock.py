"""One process owns a run folder. A lock names it; a beat beside it tells, after a crash, until when the owner lived."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from pathlib import Path

import filelock

from pipeline.errors import OwnedError
from pipeline.paths import write_json

BEAT_SECONDS = 0.5
OWNER_FILE = "owner.json"  # exists while a run is owned, or after an owner was killed; its mtime is the beat
LOCK_FILE = ".lock"


class Lock:
    """Held from construction to `release`. Raises OwnedError, naming the pid, if a living process holds it.

    `last_beat` is the unix time at which an earlier owner, which did not release, was last alive; None otherwise.
    """

    def __init__(self, folder: Path) -> None:
        self.owner_file = folder / OWNER_FILE
        # The operating system's lock: gone with its process, however that ends, and never left behind.
        self._lock = _acquire(folder)
        self.last_beat = last_beat(folder)
        write_json(self.owner_file, {"pid": os.getpid(), "host": socket.gethostname()})
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="beat")
        self._thread.start()

    @property
    def is_released(self) -> bool:
        """Whether this process has given the folder up."""
        return self._released.is_set()

    def release(self) -> None:
        """Give the folder up; a second call does nothing."""
        if self.is_released:
            return
        self._released.set()
        self._thread.join()
        self.owner_file.unlink(missing_ok=True)
        self._lock.release()

    def _beat(self) -> None:
        while not self._released.wait(BEAT_SECONDS):
            with contextlib.suppress(FileNotFoundError):  # someone deletes the folder under us: not ours to judge
                os.utime(self.owner_file)


def is_owned(folder: Path) -> bool:
    """Whether a living process, this one included, owns the folder. Changes nothing."""
    try:
        refuse_owned(folder)
    except OwnedError:
        return True
    return False


def last_beat(folder: Path) -> float | None:
    """Unix time at which an owner that did not release was last alive, or is; None if the last one released."""
    try:
        return (folder / OWNER_FILE).stat().st_mtime
    except FileNotFoundError:
        return None


def refuse_owned(folder: Path) -> None:
    """Raise OwnedError if a living process owns the folder; nothing in it is changed, a dead owner's beat included."""
    if (folder / LOCK_FILE).exists():
        _acquire(folder).release()


def _acquire(folder: Path) -> filelock.BaseFileLock:
    lock = filelock.FileLock(folder / LOCK_FILE, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise OwnedError(f"{folder} belongs to {owner(folder)}: wait for it or end it first") from None
    return lock


def owner(folder: Path) -> str:
    """Words for the process that owns a run folder."""
    try:
        found = json.loads((folder / OWNER_FILE).read_text())
        elsewhere = "" if found["host"] == socket.gethostname() else f" on {found['host']}"
        return f"the living process {found['pid']}{elsewhere}"
    except (OSError, ValueError, KeyError):  # it has the lock and has not said its name yet
        return "another living process"
