"""Rows of a step that begin alike lie together, and so share a micro-batch and what they begin with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data import Built
from pipeline.trainers import _beginnings, _prefix, sft
from tests.trainers.test_sft import SUMS, logits, losses, task

ROWS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=40), min_size=1, max_size=9)


def ids(*rows: list[int]) -> list[np.ndarray[Any, Any]]:
    return [np.array(row) for row in rows]


ONE, OTHER = [1, 2, 3] * 8, [4, 5, 6] * 8


def test_rows_of_a_group_lie_together_the_shortest_first():
    rows = ids([*ONE, 7, 7, 7], [*OTHER, 8], [*ONE, 9], [*OTHER, 7, 7])
    assert _beginnings.order(rows) == [1, 3, 2, 0]


def test_what_all_rows_begin_with_makes_no_group():
    rows = ids([*ONE, 7, *ONE], [*ONE, 8, 8, *ONE], [*ONE, 9], [*ONE, 7, *OTHER])
    assert _beginnings.order(rows) == [2, 0, 3, 1]
    assert _beginnings.order([row[len(ONE) :] for row in rows]) == [2, 0, 3, 1]


@given(ROWS)
def test_every_row_is_there_once(rows):
    assert sorted(_beginnings.order(ids(*rows))) == list(range(len(rows)))


@given(st.lists(st.integers(1, 12), min_size=1, max_size=9))
def test_without_groups_rows_lie_by_length_and_those_of_one_length_keep_their_order(lengths):
    rows = ids(*([number, *range(length)] for number, length in enumerate(lengths)))
    assert _beginnings.order(rows) == sorted(range(len(rows)), key=lambda row: len(rows[row]))


SYSTEMS = (
    "You add two small numbers and write the sum after four marks at the very end of the line.",
    "Here are some sums of small numbers: tell what they come to, say it once and then stop at the end of it.",
)
IN_TURNS = [
    {"messages": [{"role": "system", "content": SYSTEMS[number % 2]}, *row["messages"]]}
    for number, row in enumerate(SUMS)
]
BUILT = Built(("sums",), (1.0,), (IN_TURNS,), {}, {})


def test_micro_batches_of_groups_share_their_beginnings_and_lose_nothing(tmp_path, monkeypatch):
    lengths: list[int] = []
    run = _prefix.hidden
    monkeypatch.setattr(_prefix, "hidden", lambda body, inputs, n: lengths.append(n) or run(body, inputs, n))
    wanted = {"tokens": 3000, "learning_rate": 1e-3, "device_batch": 4}
    found = sft.train(task(tmp_path / "groups", built=BUILT, **wanted))
    # eight rows have both systems four times, but for chance; a look at whether it may be shared is one more
    assert len(lengths) > found.steps and min(lengths) > 15
    monkeypatch.setattr(_beginnings, "order", lambda rows: sorted(range(len(rows)), key=lambda row: len(rows[row])))
    by_length = sft.train(task(tmp_path / "by length", built=BUILT, **wanted, prefix="apart"))
    assert losses(tmp_path / "groups") == pytest.approx(losses(tmp_path / "by length"), rel=2e-3)
    assert torch.allclose(logits(found.model_path), logits(by_length.model_path), atol=1e-2)
