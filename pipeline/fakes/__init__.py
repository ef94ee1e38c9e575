"""Stand-ins that ship, for tests of this project and of its users: no model, no torch, no waiting.

A fake trial "trains" by arithmetic: its score is a fixed function of its recipe and fidelity, its items pair with
those of every other fake model, and it costs seconds of a clock that the test turns. `FakeExecutor` runs such jobs in
this process; as `--executor pipeline.fakes` they run in real processes and real time.
"""

from pipeline.fakes.executors import FakeExecutor, create, instant
from pipeline.fakes.jobs import (
    BASE_SCORE,
    BEST_RATE,
    CEILING,
    DIVERGING_RATE,
    FEW_SHOT_SCORE,
    FULL_TOKENS,
    INSTRUCT_SCORE,
    MARK,
    N_ITEMS,
    evaluate,
    export,
    fake_model,
    off_target,
    quality,
    submission,
    train_seconds,
    trial,
    trial_in_real_time,
)
from pipeline.fakes.runs import FakeTime, ScriptedAgent, fake_request

__all__ = [
    "BASE_SCORE",
    "BEST_RATE",
    "CEILING",
    "DIVERGING_RATE",
    "FEW_SHOT_SCORE",
    "FULL_TOKENS",
    "FakeExecutor",
    "FakeTime",
    "INSTRUCT_SCORE",
    "MARK",
    "N_ITEMS",
    "ScriptedAgent",
    "create",
    "evaluate",
    "export",
    "fake_model",
    "fake_request",
    "instant",
    "off_target",
    "quality",
    "submission",
    "train_seconds",
    "trial",
    "trial_in_real_time",
]
