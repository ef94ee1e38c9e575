"""A place for one run in tests: its folder, a clock that the test turns, jobs that only pretend."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.fakes import FakeExecutor, FakeTime, fake_request
from pipeline.session import Session
from pipeline.types import Budget, Proposal

RATE = "stages.0.params.learning_rate"
GOOD, WEAK = Proposal(changes={RATE: 2e-3}), Proposal(changes={RATE: 1e-4})


class Bench:
    """A place for one run: its folder, its clock, its executor."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("POSTTRAIN_FAKE_SECONDS", "10")  # full length; an evaluation takes 2 s
        self.place, self.folder = place, place / "run"
        self.time = FakeTime()
        self.sessions: list[Session] = []

    def open(self, slots: int = 1, **changes: Any) -> Session:
        request = fake_request(self.place, slots=slots, **changes)
        self.executor = FakeExecutor(slots, self.time)
        return self._keep(Session.open(self.folder, request, self.executor, self.time))

    def resume(self, extra: Budget | float | None = None) -> Session:
        self.executor = FakeExecutor(2, self.time)
        return self._keep(Session.resume(self.folder, extra, self.executor, self.time))

    def crash(self) -> None:
        """The owner is gone as by kill -9: its lock is free, nothing was said."""
        session = self.sessions[-1]
        session.lock._released.set()
        session.lock._thread.join()
        session.lock._lock.release()

    def job(self, trial_id: str) -> dict[str, Any]:
        return json.loads((self.folder / "trials" / trial_id / "job.json").read_text())  # type: ignore[no-any-return]

    def _keep(self, session: Session) -> Session:
        self.sessions.append(session)
        return session


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no test here pulls the plug
    made = Bench(tmp_path, monkeypatch)
    yield made
    for session in made.sessions:
        session.close()
