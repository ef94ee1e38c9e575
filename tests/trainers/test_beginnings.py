"""Rows that begin alike lie together and are run with their beginning once: the same losses, for fewer tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data import Built
from pipeline.trainers import _beginnings, _streams, sft
from tests.tiny_models import FAMILIES
from tests.trainers.test_sft import SUMS, logits, losses, task
from tests.variants import few

ROWS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=40), min_size=1, max_size=9)


def ids(*rows: list[int]) -> list[np.ndarray[Any, Any]]:
    return [np.array(row) for row in rows]


def laid_out(rows: list[np.ndarray[Any, Any]]) -> dict[str, torch.Tensor]:
    """As the trainer lays them out: padded on the right."""
    width = max(map(len, rows))
    padded = [[*row.tolist(), *[0] * (width - len(row))] for row in rows]
    mask = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
    return {"input_ids": torch.tensor(padded), "attention_mask": torch.tensor(mask)}


ONE, OTHER = [1, 2, 3] * 8, [4, 5, 6] * 8


def test_rows_of_a_group_lie_together_the_shortest_first():
    rows = ids([*ONE, 7, 7, 7], [*OTHER, 8], [*ONE, 9], [*OTHER, 7, 7])
    assert _beginnings.order(rows) == [1, 3, 2, 0]
    assert _beginnings.sizes(laid_out([rows[number] for number in (1, 3, 2, 0)])) == [2, 2]


@given(ROWS)
def test_every_row_is_there_once_and_sizes_are_those_of_all_rows(rows):
    given_ids = ids(*rows)
    order = _beginnings.order(given_ids)
    assert sorted(order) == list(range(len(rows)))
    counts = _beginnings.sizes(laid_out([given_ids[number] for number in order]))
    assert sum(counts) == len(rows) and (len(counts) == 1 or min(counts) > 1)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=9))
def test_without_groups_rows_lie_by_length_alone(lengths):
    rows = ids(*([number, *range(length)] for number, length in enumerate(lengths)))
    assert _beginnings.order(rows) == sorted(range(len(rows)), key=lambda row: len(rows[row]))
    assert _beginnings.sizes(laid_out(rows)) == [len(rows)]


@pytest.mark.parametrize(
    "rows",
    [ids([*ONE, 7], [*ONE, 8], [*ONE, 9]), ids([*ONE, 7], [*ONE, 8], [*OTHER, 9]), ids([*ONE[:6], 1], [*ONE[:6], 2])],
    ids=["one group, whose beginning all share", "a row of none", "a beginning of few tokens"],
)
def test_rows_stay_together_where_groups_gain_nothing(rows):
    assert _beginnings.sizes(laid_out(rows)) == [len(rows)]


SYSTEMS = (
    "You add two small numbers and write the sum after four marks at the very end of the line.",
    "Here are some sums of small numbers: tell what they come to, say it once and then stop at the end of it.",
)
TOLD = [
    {"messages": [{"role": "system", "content": SYSTEMS[number // 4 % 2]}, *row["messages"]]}
    for number, row in enumerate(SUMS[:80])
]
IN_GROUPS = Built(("sums",), (1.0,), (sorted(TOLD, key=lambda row: row["messages"][0]["content"]),), {}, {})


@pytest.fixture
def parts(monkeypatch):
    """Into how many rows each micro-batch was split."""
    found: list[list[int]] = []
    run = _streams.split
    monkeypatch.setattr(_streams, "split", lambda inputs, sizes: found.append(list(sizes)) or run(inputs, sizes))
    return found


@pytest.mark.parametrize("name", few(FAMILIES, 1))
@pytest.mark.parametrize("threads", [1, 2])
def test_losses_and_weights_are_those_of_rows_run_together(tmp_path, parts, name, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = sft.train(task(tmp_path / "groups", name, IN_GROUPS, tokens=3000, learning_rate=1e-3))
    finally:
        torch.set_num_threads(before)
    assert len(parts) > found.steps / 2 and {len(sizes) for sizes in parts} == {2}
    parts.clear()
    whole = sft.train(
        task(tmp_path / "whole", name, IN_GROUPS, tokens=3000, learning_rate=1e-3, streams="one", prefix="apart")
    )
    assert parts == [] and losses(tmp_path / "groups") == pytest.approx(losses(tmp_path / "whole"), rel=2e-3)
    assert torch.allclose(logits(found.model_path), logits(whole.model_path), atol=1e-2)
