"""The mean of the weights over a stage's steps."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pipeline.trainers._average import Average


def stepped(model: nn.Linear, average: Average, values: list[float]) -> None:
    """As a trainer would: every step leaves other weights."""
    for value in values:
        with torch.no_grad():
            model.weight.fill_(value)
        average.add()


def model(dtype: torch.dtype = torch.float32) -> nn.Linear:
    made = nn.Linear(2, 3, dtype=dtype)
    made.bias.requires_grad_(False)
    return made


def scored(made: nn.Linear, average: Average) -> float:
    average.put()
    assert bool((made.weight == made.weight[0, 0]).all())
    return float(made.weight.detach()[0, 0])


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=60))
def test_the_weight_of_a_step_grows_as_its_square(values):
    made = model()
    average = Average(made)
    stepped(made, average, values)
    total = len(values) * (len(values) + 1) * (len(values) + 2)
    shares = [3 * step * (step + 1) / total for step in range(1, len(values) + 1)]
    assert sum(shares) == pytest.approx(1)
    expected = sum(share * value for share, value in zip(shares, values, strict=True))
    assert scored(made, average) == pytest.approx(expected, abs=1e-4)


def test_small_steps_in_bfloat16_are_not_lost():
    made = model(torch.bfloat16)
    average = Average(made)
    stepped(made, average, [1.0] * 300 + [1.0 + 2**-7] * 300)
    # the later half weighs seven eighths; bfloat16 has no number between, so the nearest is the later one
    assert scored(made, average) == 1.0 + 2**-7


def test_a_mean_goes_on_where_it_was_saved(tmp_path):
    made, whole = model(), model()
    first, all_at_once = Average(made), Average(whole)
    stepped(made, first, [1.0, 5.0, 2.0])
    first.save(tmp_path)
    second = Average(made, tmp_path)
    stepped(made, second, [7.0, 3.0])
    stepped(whole, all_at_once, [1.0, 5.0, 2.0, 7.0, 3.0])
    assert scored(made, second) == scored(whole, all_at_once)


def test_without_a_step_and_beside_what_is_trained_nothing_changes(tmp_path):
    made = model()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    Average(made, tmp_path).put()
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
    average = Average(made)
    stepped(made, average, [4.0])
    average.put()
    assert torch.equal(made.bias, before["bias"])
