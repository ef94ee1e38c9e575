"""Which rows each training step sees and at what learning rate: decided beforehand, by position alone.

A run that stops and goes on elsewhere must not notice, so nothing here depends on where it ends: the body is the same
endless sequence of steps for every fidelity. Only the tail, in which the learning rate falls to zero for the weights
that are scored, depends on the end, and a continuation does not inherit it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from pipeline.data import Built, Place
from pipeline.errors import DataError
from pipeline.formats import RAW
from pipeline.params import SftParams
from pipeline.training_rows import Tokens

Lengths = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Plan:
    """The steps of a stage: `steps[k]` are the rows of step k, `tokens[k]` the tokens up to its end."""

    steps: list[list[Place]]
    tokens: list[int]
    full_steps: int
    body_steps: int
    warmup: int
    tail: float  # length of the tail as a share of the body

    @property
    def full_tokens(self) -> int:
        """The stage's full length."""
        return self.tokens[self.full_steps - 1]

    def tail_steps(self, body_steps: int) -> int:
        """Steps of the tail after a body of so many."""
        return max(1, round(self.tail * body_steps)) if self.tail else 0

    def rate(self, step: int, body_steps: int) -> float:
        """The learning rate of a step (from 0) as a share of the full one, if the body has so many steps."""
        warm = min(1.0, (min(step, body_steps) + 1) / (self.warmup + 1))
        if step < body_steps:
            return warm
        length = self.tail_steps(body_steps)
        return warm * (length - (step - body_steps)) / (length + 1)


def usable(
    tokens: Tokens, rows: Sequence[dict[str, Any]], max_length: int, answers_only: bool = False, vocabulary: int = 0
) -> Lengths:
    """The tokens that each row contributes: raw text is cut, a conversation that cannot be trained is left out (0)."""
    lengths = np.where(_is_raw(rows), np.minimum(tokens.lengths, max_length), tokens.lengths)
    for left_out in why_not(tokens, rows, max_length, answers_only, vocabulary).values():
        lengths[left_out] = 0
    return lengths


def why_not(
    tokens: Tokens, rows: Sequence[dict[str, Any]], max_length: int, answers_only: bool = False, vocabulary: int = 0
) -> dict[str, np.ndarray[Any, np.dtype[np.bool_]]]:
    """The rows that cannot be trained, by reason: a mask of rows each, the first reason counts.

    `vocabulary` is the number of embedding rows (0: not known): a tokenizer may know tokens that its model does not.
    """
    # a cut conversation would lose the end of its answer, and teach not to stop
    masks = {
        "the chat template refuses": tokens.lengths == 0,
        f"are longer than max_length {max_length}": ~_is_raw(rows) & (tokens.lengths > max_length),
        "hold a token that the model has no embedding for": _holds(tokens, tokens.ids >= (vocabulary or np.inf)),
        "have no answer where the chat template asks for one": ~_holds(tokens, tokens.answers | (not answers_only)),
    }
    seen = np.zeros(len(rows), bool)
    for mask in masks.values():
        mask &= ~seen
        seen |= mask
    return masks


def _is_raw(rows: Sequence[dict[str, Any]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.array([row["messages"][0]["role"] == RAW for row in rows], bool)


def _holds(tokens: Tokens, some: np.ndarray[Any, np.dtype[np.bool_]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether a row has any of the marked tokens."""
    return np.diff(np.concatenate([[0], np.cumsum(some)])[tokens.ends]) > 0


def make_plan(built: Built, lengths: Sequence[Lengths], params: SftParams, fidelity: float, seed: int) -> Plan:
    """The plan of a stage. Raises DataError if every row of a source is too long."""
    for name, found in zip(built.names, lengths, strict=True):
        if not found.any():
            raise DataError(
                f"{name}: every row is longer than max_length {params.max_length}: raise it or leave the source out"
            )
    tail = params.tail if params.schedule == "constant_tail" else 0.0
    places = _Places(built, lengths, seed)
    if params.tokens is not None:
        full = places.rows_for(params.tokens)
    elif params.epochs is not None:
        full = math.ceil(params.epochs * sum(int((found > 0).sum()) for found in lengths))
    else:
        assert params.steps is not None
        full = params.steps * params.batch_size
    full_steps = max(1, math.ceil(full / params.batch_size))
    reach = full_steps + max(1, round(tail * full_steps))  # the tail of the full length sees rows after it
    order = places.first(reach * params.batch_size)
    steps = [order[begin : begin + params.batch_size] for begin in range(0, len(order), params.batch_size)]
    if params.sort_window is not None:
        # cut at the full length, which is the recipe's: the body sees the same rows as without
        parts = (steps[:full_steps], steps[full_steps:])
        steps = [step for part in parts for step in _by_length(part, places.lengths, params.sort_window, seed)]
    summed = list(accumulate(sum(places.lengths[source][row] for source, row in step) for step in steps))
    wanted = fidelity * summed[full_steps - 1]
    body_steps = next((k + 1 for k in range(full_steps) if summed[k] >= wanted), full_steps)
    return Plan(steps, summed, full_steps, body_steps, params.warmup_steps, tail)


def _by_length(steps: list[list[Place]], lengths: Sequence[list[int]], window: int, seed: int) -> list[list[Place]]:
    """The same rows, dealt anew within each `window` of steps: a step's rows are of like length, steps in any order."""
    dealt: list[list[Place]] = []
    for begin in range(0, len(steps), window):
        sizes = [len(step) for step in steps[begin : begin + window]]
        rows = [place for step in steps[begin : begin + window] for place in step]
        rows.sort(key=lambda place: lengths[place[0]][place[1]])
        ends = list(accumulate(sizes, initial=0))
        alike = [rows[first:last] for first, last in zip(ends, ends[1:], strict=False)]
        random.Random(f"{seed}/lengths/{begin}/{len(steps)}").shuffle(alike)
        dealt += alike
    return dealt


class _Places:
    """The mixture's endless order, without the rows that are left out: dealt once, as far as it is asked for."""

    def __init__(self, built: Built, lengths: Sequence[Lengths], seed: int) -> None:
        self.lengths = [found.tolist() for found in lengths]
        self.order: list[Place] = []
        self._blocks = built.blocks(seed)
        self._longest = max(int(found.max()) for found in lengths)

    def first(self, n: int) -> list[Place]:
        """The first `n` usable rows."""
        while len(self.order) < n:
            self._extend()
        return self.order[:n]

    def rows_for(self, tokens: int) -> int:
        """How many rows it takes to reach so many tokens."""
        summed = known = 0
        while True:
            self.first(known + 1 + (tokens - summed) // self._longest)
            for number, (source, row) in enumerate(self.order[known:], known + 1):
                summed += self.lengths[source][row]
                if summed >= tokens:
                    return number
            known = len(self.order)

    def _extend(self) -> None:
        self.order += [(source, row) for source, row in next(self._blocks) if self.lengths[source][row]]
