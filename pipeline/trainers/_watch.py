"""Held-out rows, looked at while a trainer trains: the clock that counts training stands still meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback

from pipeline import weights
from pipeline.chat import family_of
from pipeline.training_rows import Row, Tokens, tokenise

LOOK_BATCH = 16


class Watch(TrainerCallback):
    """Looks at held-out rows when the training clock reaches a mark, and ends the training at the last one."""

    def __init__(
        self, model_path: str, rows: Sequence[Row], marks: Sequence[float],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:  # fmt: skip
        self.clock = clock
        self.marks = list(marks)  # seconds of training, by that clock
        self.looks: list[dict[str, float]] = []  # seconds, steps, accuracy, loss
        family = family_of(model_path)
        tokenizer = weights.load_tokenizer(model_path, family)
        self.batches = list(batches(tokenise(rows, tokenizer, family), tokenizer.pad_token_id))
        self.began = self.paused = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock."""
        self.began = self.clock()

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> Any:
        """Look, if a mark is reached."""
        if self.marks and self._trained() >= self.marks[0]:
            self._look(given["model"], state.global_step)
        control.should_training_stop = control.should_training_stop or not self.marks
        return control

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Look once more where the rows were used up before the time was."""
        if self.marks:
            self._look(given["model"], state.global_step)

    def _trained(self) -> float:
        return self.clock() - self.began - self.paused

    def _look(self, model: Any, step: int) -> None:
        seconds, begun = self._trained(), self.clock()
        self.marks = [mark for mark in self.marks if mark > seconds]
        self.looks.append({"seconds": seconds, "steps": step, **held_out(model, self.batches)})
        self.paused += self.clock() - begun


def batches(tokens: Tokens, pad: int) -> Iterator[dict[str, torch.Tensor]]:
    """Rows of like length together, padded on the right."""
    order = np.argsort(tokens.lengths, kind="stable")
    for begin in range(0, len(order), LOOK_BATCH):
        rows = [tokens.row(int(number), answers_only=True) for number in order[begin : begin + LOOK_BATCH]]
        width = max(len(ids) for ids, _ in rows)

        def padded(values: list[Any], filler: int, width: int = width) -> torch.Tensor:
            return torch.tensor([[*value, *[filler] * (width - len(value))] for value in values])

        yield {
            "input_ids": padded([ids.tolist() for ids, _ in rows], pad),
            "attention_mask": padded([[1] * len(ids) for ids, _ in rows], 0),
            "labels": padded([labels.tolist() for _, labels in rows], -100),
        }


@torch.no_grad()
def held_out(model: Any, batches: list[dict[str, torch.Tensor]]) -> dict[str, float]:
    """Loss per token of the answers, and the share of answers that are the likeliest token by token, their end too.

    That is exactly when greedy decoding gives the whole answer and stops.
    """
    training = model.training
    model.eval()
    right = rows = loss = tokens = 0.0
    for batch in batches:
        labels_BxL = batch["labels"][:, 1:].to(model.device)
        trained = labels_BxL != -100
        logits_NxV, labels_N = _logits(model, batch)[trained], labels_BxL[trained]
        wrong_N = logits_NxV.argmax(dim=-1) != labels_N
        of_row = trained.nonzero()[:, 0]
        rows += len(labels_BxL)
        right += len(labels_BxL) - len(set(of_row[wrong_N].tolist()))
        loss += float(torch.nn.functional.cross_entropy(logits_NxV, labels_N, reduction="sum"))
        tokens += len(labels_N)
    model.train(training)
    return {"accuracy": right / rows, "loss": loss / tokens}


def _logits(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The logits of each position but the last, which predicts nothing."""
    inputs = {name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")}
    logits_BxLxV: torch.Tensor = model(**inputs, use_cache=False).logits
    return logits_BxLxV[:, :-1].float()
