"""Fake jobs in this process and at once, for whole commands: `--executor tests.instant`."""

from __future__ import annotations

from pipeline.fakes import FakeExecutor


def create(slots: int = 1, threads: int = 1) -> FakeExecutor:
    """An executor with a clock of its own: jobs take no time of the run's."""
    return FakeExecutor(slots)
