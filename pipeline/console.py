"""What a user sees while something works (stderr) and what a program reads afterwards (stdout)."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

REPEAT_SECONDS = 10.0  # where lines cannot be rewritten (a log file), the same work is mentioned this often


class Interrupted(Exception):
    """The user interrupted; the message says how to go on."""


class Progress:
    """One line on stderr for what goes on now: rewritten on a terminal, repeated sparsely in a log.

    Call it with what is being done, the share done (0 to 1), the seconds left and a detail, where those are known.
    """

    def __init__(self) -> None:
        self.rewrites = sys.stderr.isatty()
        self._what = ""
        self._shown_at = 0.0
        self._open = False  # a rewritable line stands on the terminal, without its newline

    def __call__(
        self, what: str, share: float | None = None, seconds_left: float | None = None, detail: str = ""
    ) -> None:
        """Shows the state of the work `what`."""
        line = what
        if share is not None:
            line += f" {share:4.0%}"
        if seconds_left is not None:
            line += f", {duration(seconds_left)} left"
        line += detail
        now = time.monotonic()
        if self.rewrites:
            width = terminal_width() - 1
            print(f"\r\x1b[K{line[:width]}", end="", file=sys.stderr, flush=True)
            self._open = True
        elif what != self._what or now - self._shown_at >= REPEAT_SECONDS:
            print(line, file=sys.stderr, flush=True)
            self._shown_at = now
        self._what = what

    def say(self, text: str) -> None:
        """Prints a line that stays."""
        if self._open:
            print("\r\x1b[K", end="", file=sys.stderr)
            self._open = False
        print(text, file=sys.stderr, flush=True)
        self._what = ""

    def close(self) -> None:
        """Clears the rewritable line."""
        if self._open:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._open = False


def terminal_width() -> int:
    """Columns of the terminal on stderr, 100 where there is none."""
    try:
        return os.get_terminal_size(2).columns
    except OSError:
        return 100


def duration(seconds: float) -> str:
    """Seconds as a person says them: 42s, 3m 05s, 2h 10m."""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m {seconds % 60:02d}s"
    return f"{seconds // 3600}h {seconds % 3600 // 60:02d}m"


def size(count: float) -> str:
    """Bytes as a person says them."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


@contextlib.contextmanager
def stdout_kept_clean() -> Iterator[None]:
    """Whatever libraries print to stdout inside goes to stderr, so that stdout carries nothing but the result."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def document(value: Any) -> None:
    """Prints one JSON document on stdout (see `paths.plain` for what nouns and numbers become)."""
    from pipeline.paths import plain

    print(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False))
