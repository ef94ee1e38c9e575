"""What counts against a wall-clock budget. The state is three words in the ledger, so that it survives a kill.

A `note` of kind "clock" says at a unix time `at` that the clock `runs`, `pauses` (what happens is outside the budget)
or `stops` (nobody owns the run, or it is finished). Used time is the sum of the stretches after a `runs`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_WALL_MINUS_MONOTONIC = time.time() - time.monotonic()

Note = Callable[..., object]  # writes one ledger note: note(name, **fields)


def wall() -> float:
    """Unix time that does not jump when the machine's clock is set while this process lives."""
    return time.monotonic() + _WALL_MINUS_MONOTONIC


class Clock:
    """Counts seconds and writes each change of state through `note`. `replayed` continues an earlier owner's count."""

    def __init__(self, note: Note, now: Callable[[], float] = wall) -> None:
        self.now = now
        self._note = note
        self._used = 0.0
        self._runs_since: float | None = None
        self.outside_seconds: dict[str, float] = {}

    def replay(self, events: Iterable[Mapping[str, Any]], last_beat: float | None, counts_on: bool) -> None:
        """Take over from a ledger's events.

        A clock that an owner left running is stopped where that owner was last alive: its last event or its last
        beat. With `counts_on` (a run driven by steps) it has run on, owner or not.
        """
        last_seen = last_beat or 0.0
        for event in events:
            last_seen = max(last_seen, event.get("at", 0.0))
            if event.get("note") == "clock":
                self._change(event["state"], event["at"])
            elif event.get("note") == "outside":
                self._itemise(event["what"], event["seconds"])
        if self._runs_since is not None and not counts_on:
            self._say("stops", max(last_seen, self._runs_since))

    def used(self) -> float:
        """Seconds that count, up to now."""
        return self._used + (0.0 if self._runs_since is None else max(0.0, self.now() - self._runs_since))

    def run(self) -> None:
        """Start counting, if it does not count already."""
        if self._runs_since is None:
            self._say("runs", self.now())

    def stop(self) -> None:
        """Stop counting."""
        if self._runs_since is not None:
            self._say("stops", self.now())

    @contextmanager
    def outside(self, what: str) -> Iterator[None]:
        """What happens in here is outside the budget, and itemised as `what`."""
        counted, began = self._runs_since is not None, self.now()
        if counted:
            self._say("pauses", began)
        try:
            yield
        finally:
            ended = self.now()
            self._itemise(what, ended - began)
            self._note("outside", what=what, seconds=round(ended - began, 3), at=ended)
            if counted:
                self._say("runs", ended)

    def _itemise(self, what: str, seconds: float) -> None:
        self.outside_seconds[what] = self.outside_seconds.get(what, 0.0) + seconds

    def _say(self, state: str, at: float) -> None:
        self._change(state, at)
        self._note("clock", state=state, at=at)

    def _change(self, state: str, at: float) -> None:
        if self._runs_since is not None:
            self._used += max(0.0, at - self._runs_since)
        self._runs_since = at if state == "runs" else None
