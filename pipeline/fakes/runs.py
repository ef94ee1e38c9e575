"""What a test needs to run a search: a clock that it turns, an agent that says what it was told, a request."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.fakes.jobs import BASE_SCORE, FULL_TOKENS, INSTRUCT_SCORE, fake_model
from pipeline.request import RunRequest
from pipeline.types import Budget, DataRef, Proposal, Recipe, Stage, Trial


class FakeTime:
    """A clock that only moves when it is told to; it starts at the present, so that it agrees with files' times."""

    def __init__(self) -> None:
        self.seconds = time.time()

    def __call__(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> None:
        """Let `seconds` go by."""
        self.seconds += seconds


class ScriptedAgent:
    """Proposes what it was given, one after the other, then nothing. Like all agents it reads its place in history."""

    def __init__(self, *proposals: Proposal) -> None:
        self.proposals = proposals

    def propose(self, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
        """The proposal after those that history holds."""
        tried = sum(trial.kind == "recipe" for trial in history)
        return self.proposals[tried] if tried < len(self.proposals) else None


def fake_request(place: Path, **changes: Any) -> RunRequest:
    """A request that opens anywhere: fake base and instruct models in `place`, tiny_gsm8k, one stage, three sources."""
    recipe = Recipe(
        model="fake/base",
        stages=(Stage(data=(DataRef(name="maths_1"), DataRef(name="maths_2")), params={"tokens": FULL_TOKENS}),),
    )
    standard: dict[str, Any] = {
        "model": "fake/base",
        "model_path": str(fake_model(place / "base", BASE_SCORE)),
        "instruct": "fake/instruct",
        "instruct_path": str(fake_model(place / "instruct", INSTRUCT_SCORE)),
        "benchmark": "tiny_gsm8k",
        "agent": "scripted",
        "budget": Budget(seconds=100.0),
        "recipe": recipe,
        "sources": ("maths_1", "maths_2", "maths_3"),
        "threads": 1,
        "keeps_anchors": False,
    }
    return RunRequest.model_validate(standard | changes)
