"""What happens around the steps: learning rates, progress, the end of the body, checkpoints and the time limit."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback

from pipeline.errors import TrainError
from pipeline.paths import read_json, write_json
from pipeline.trainers import _model
from pipeline.trainers._average import Average
from pipeline.training import CHECKPOINT, LOSSES, META, PROGRESS, TrainTask
from pipeline.training_plan import Plan

PROGRESS_SECONDS = 0.5
RECENT = 10  # steps whose mean loss is reported, and whose pace is expected of the next
DISK_BYTES_PER_SECOND = 2e8  # assumed for saving, on the slow side


class Run(TrainerCallback):
    """Steers one stage. Positions count from the stage's first step, over all continuations."""

    def __init__(self, task: TrainTask, plan: Plan, start: int, begun: float) -> None:
        self.task, self.plan, self.start, self.begun = task, plan, start, begun
        self.position = start
        self.body_steps = max(plan.body_steps, start)
        self.cut_short = False
        self.tail_cut: int | None = None  # steps of a tail that the time limit ended
        self.first_step_at = 0.0
        self.losses: list[float] = []
        self.step_seconds: list[float] = []
        self.trainer: Any = None  # set once it exists
        self.average: Average | None = None  # likewise, where the mean over the steps is what is scored
        self._loop_began = self._step_began = self._reported = 0.0
        self._unwritten: list[str] = []

    @property
    def end(self) -> int:
        """The position after the tail."""
        tail = self.plan.tail_steps(self.body_steps)
        limit = self.task.tail_limit if self.tail_cut is None else self.tail_cut
        return self.body_steps + (tail if limit is None else min(tail, limit))

    @property
    def tokens(self) -> int:
        """Trained on in this call."""
        return self._tokens_at(self.position) - self._tokens_at(self.start)

    def _tokens_at(self, position: int) -> int:
        return self.plan.tokens[position - 1] if position else 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take up the optimizer and the random numbers where the checkpoint left them."""
        if self.task.resume_from is not None:
            _restore(self.trainer, self.task.resume_from)
        self._loop_began = time.perf_counter()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Set the step's learning rate, a function of its position alone."""
        self._step_began = time.perf_counter()
        self.trainer.step_loss.zero_()
        rate = args.learning_rate * self.plan.rate(self.position, self.body_steps)
        for group in self.trainer.optimizer.param_groups:
            group["lr"] = rate

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Record the step; end the body at its last step or when time is short; end the run after the tail.

        Where the machine becomes slower in the tail, the tail ends early, too: late weights are no weights.
        """
        loss = float(self.trainer.step_loss)
        if not math.isfinite(loss):
            self._write()
            raise TrainError(f"the loss became {loss} at step {self.position + 1}: lower the learning rate")
        self._record(loss)
        if self.average is not None:
            self.average.add()
        if self.position <= self.body_steps and self._must_end_body():
            self.cut_short = self.position < self.body_steps
            self.body_steps = self.position
            self._save_checkpoint()
        elif self.body_steps < self.position < self.end and self._out_of_time(1, savings=1):
            self.tail_cut = self.position - self.body_steps
        control.should_training_stop = self.position >= self.end
        return control

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write what is not written yet."""
        self._report()

    def _record(self, loss: float) -> None:
        tail = self.position >= self.body_steps
        self.position += 1
        self.losses.append(loss)
        self.step_seconds.append(time.perf_counter() - self._step_began)
        line = {"stage": self.task.stage_index, "step": self.position, "loss": loss, "tail": tail}
        self._unwritten.append(json.dumps(line) + "\n")
        if not self.first_step_at:
            self.first_step_at = time.time()
        if time.perf_counter() - self._reported >= PROGRESS_SECONDS:
            self._report()

    def _must_end_body(self) -> bool:
        if self.position == self.body_steps:
            return True
        # one more body step, then the tail, the checkpoint with its mean if there is one, and the scored weights
        return self._out_of_time(1 + self.plan.tail_steps(self.position + 1), savings=2 + (self.average is not None))

    def _out_of_time(self, steps: int, savings: int) -> bool:
        """Whether so many more steps and so many savings are too much for the time limit."""
        if self.task.limit_seconds is None:
            return False
        pace = float(np.mean(self.step_seconds[-max(RECENT, steps) :]))  # over as many steps as are still to come
        needed = pace * steps * 1.1 + savings * self._saving_seconds()
        return time.perf_counter() - self.begun + needed > self.task.limit_seconds

    def _saving_seconds(self) -> float:
        model = self.trainer.model
        adapter = hasattr(model, "get_base_model")
        saved = [p for p in model.parameters() if p.requires_grad or not adapter]
        return 0.1 + 3 * sum(p.numel() * p.element_size() for p in saved) / DISK_BYTES_PER_SECOND

    def _report(self) -> None:
        self._reported = time.perf_counter()
        seconds = self._reported - self._loop_began
        if self.losses:
            line = {
                "stage": self.task.stage_index,
                "step": self.position,
                "steps": self.end,
                "tokens": self._tokens_at(self.position),
                "loss": float(np.mean(self.losses[-RECENT:])),
                "tokens_per_second": self.tokens / seconds,
                "seconds": seconds,
            }
            _append(self.task.folder / PROGRESS, json.dumps(line) + "\n")
        self._write()

    def _write(self) -> None:
        _append(self.task.folder / LOSSES, "".join(self._unwritten))
        self._unwritten = []

    def _save_checkpoint(self) -> None:
        """Everything that a continuation needs, whole or not at all."""
        target, temporary = _cleared(self.task.folder)
        _model.save(self.trainer.model, temporary)
        if self.average is not None:
            self.average.save(temporary)
        torch.save(self.trainer.optimizer.state_dict(), temporary / "optimizer.pt")
        torch.save(_random_state(), temporary / "random.pt")
        write_json(temporary / META, {"stage": self.task.stage_index, "step": self.position})
        os.rename(temporary, target)


def hand_on(checkpoint: Path, folder: Path) -> None:
    """The checkpoint of a run that had no body step of its own: the one that it began with."""
    target, temporary = _cleared(folder)
    shutil.copytree(checkpoint, temporary)
    os.rename(temporary, target)


def _cleared(folder: Path) -> tuple[Path, Path]:
    target = folder / CHECKPOINT
    temporary = folder / f".{CHECKPOINT}.tmp"
    for path in (target, temporary):
        shutil.rmtree(path, ignore_errors=True)
    return target, temporary


def start_of(checkpoint: Path | None) -> int:
    """The position at which a checkpoint was taken; 0 without one."""
    return int(read_json(checkpoint / META)["step"]) if checkpoint is not None else 0


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def _random_state() -> dict[str, Any]:
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": np.random.get_state(),
        "python": random.getstate(),
    }


def _restore(trainer: Any, checkpoint: Path) -> None:
    # our own files, with NumPy's and Python's states in them, which weights-only loading refuses
    optimizer = torch.load(checkpoint / "optimizer.pt", map_location=trainer.args.device, weights_only=False)
    trainer.optimizer.load_state_dict(optimizer)
    state = torch.load(checkpoint / "random.pt", weights_only=False)
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    np.random.set_state(state["numpy"])
    random.setstate(state["python"])
