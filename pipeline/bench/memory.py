"""The peak memory of this process and all that it started, looked at every two seconds."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Self

import psutil

LOOK_SECONDS = 2.0  # a look takes about 8 ms per process


class PeakMemory:
    """Inside a `with`, `peak_bytes` is the most that was seen so far.

    Pages that processes share are counted once where the system can tell (Linux: proportional set size), because forked
    workers share most of theirs; elsewhere resident sizes are added up, which is too much.
    """

    def __init__(self, look_seconds: float = LOOK_SECONDS) -> None:
        self.peak_bytes = 0
        self._look_seconds = look_seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="memory")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak_bytes = max(self.peak_bytes, tree_bytes())
            if self._done.wait(self._look_seconds):
                return


def tree_bytes() -> int:
    """Bytes that this process and its descendants hold now; one that ends meanwhile counts as nothing."""
    me = psutil.Process()
    return sum(_bytes(process) for process in [me, *me.children(recursive=True)])


def _bytes(process: Any) -> int:
    with contextlib.suppress(psutil.Error, OSError):
        found = process.memory_full_info()
        return int(getattr(found, "pss", 0) or found.rss)
    return 0
