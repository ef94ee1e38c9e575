"""What a trainer is given and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.data import Built
from pipeline.types import Record, Stage

MODEL = "model"  # in a trial's folder: the scored weights, or the adapter
CHECKPOINT = "checkpoint"  # in a trial's folder: where a continuation starts
META = "meta.json"  # in a checkpoint: {"stage", "step"}, the place where it was taken
PROGRESS = "progress.jsonl"  # about two lines a second: stage, step, steps, tokens, loss, tokens_per_second, seconds
LOSSES = "losses.jsonl"  # a line per step: stage, step, loss, tail (whether the step belongs to the tail)
NOT_KEPT = "lower outputs not kept"  # a remark: the recipe asked for it, but it is wrong or no use here


@dataclass(frozen=True)
class TrainTask:
    """One stage to train, in this process."""

    model_path: str  # the whole model that the stage starts from
    stage: Stage
    built: Built  # the stage's rows
    seed: int
    folder: Path  # receives MODEL, CHECKPOINT, PROGRESS and LOSSES
    fidelity: float = 1.0  # share of the stage's full length, in tokens
    stage_index: int = 0
    resume_from: Path | None = None  # a CHECKPOINT of the same stage, with the same rows and parameters
    limit_seconds: float | None = None  # from the call on; the stage ends early rather than later
    tail_limit: int | None = None  # steps of the tail at most: as many as an earlier run had time for


class TrainResult(Record):
    """What came of a stage."""

    model_path: str  # what is to be scored: a whole model, or an adapter on the task's model
    tokens: int  # trained on in this call, the tail included
    body_tokens: int  # trained on since the stage began, over all continuations, the tail left out
    full_tokens: int  # the stage's full length
    steps: int  # body steps since the stage began
    final_loss: float  # mean over the last ten steps
    seconds: float
    first_step_at: float  # Unix time of the end of this call's first step
    parameters: int  # of the whole model
    cut_short: bool = False  # the time limit ended it before its fidelity was reached
    tail_steps: int | None = None  # of the tail, if the time limit ended that early, too; None: all
    remarks: dict[str, str] = {}  # what the recipe asks for and could not be had, with the reason
