"""Stand-ins that ship: a clock to turn."""

from __future__ import annotations

import time


class FakeTime:
    """A clock that only moves when it is told to; it starts at the present, so that it agrees with files' times."""

    def __init__(self) -> None:
        self.seconds = time.time()

    def __call__(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> None:
        """Let `seconds` go by."""
        self.seconds += seconds
