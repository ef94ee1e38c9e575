"""How far the scoring of a model is: a line a second in the job's folder, for whoever waits for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILE = "scoring.jsonl"
SECONDS = 1.0  # between two lines
LEAST_SHARE = 0.02  # below it the time left is a guess


class Teller:
    """Called with the share that is done, as often as one likes."""

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / FILE
        self.begun = self.told_at = time.perf_counter()

    def __call__(self, share: float) -> None:
        """Write a line, if the last one is old enough."""
        now = time.perf_counter()
        if now - self.told_at < SECONDS:
            return
        self.told_at = now
        with self.path.open("a") as file:
            file.write(json.dumps({"scored": round(share, 4), "scoring_seconds": round(now - self.begun, 1)}) + "\n")

    def __enter__(self) -> Teller:
        self.path.unlink(missing_ok=True)  # of a job that was begun before
        return self

    def __exit__(self, *_: object) -> None:
        self.path.unlink(missing_ok=True)


def listen(engine: Any, told: Callable[[float], None]) -> None:
    """Have an engine tell how far it is, if it is one that does."""
    if hasattr(engine, "told"):
        engine.told = told


def seconds_left(at: dict[str, Any]) -> float | None:
    """By a line of the file; None where that is too early to tell."""
    share = at["scored"]
    return at["scoring_seconds"] * (1 - share) / share if share >= LEAST_SHARE else None
