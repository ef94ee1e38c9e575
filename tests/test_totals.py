"""From items to a score: plain, weighted and clipped, and the numbers whose mean it is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import totals
from pipeline.noise import binomial_error

ROWS = st.lists(
    st.tuples(st.floats(-1, 1), st.sampled_from([2, 4, 6])).map(lambda pair: {"strict": pair[0], "weight": pair[1]}),
    min_size=1,
    max_size=30,
)


def test_a_plain_score_is_the_mean_and_its_items_are_left_as_they_are():
    rows = [{"strict": value} for value in (1.0, 0.0, 0.0, 1.0)]
    assert totals.value(rows) == 0.5 and totals.shares(rows) == [1.0, 0.0, 0.0, 1.0]
    assert totals.stderr(rows) == pytest.approx(math.sqrt(0.25 / 3)) and totals.stderr(rows[:1]) > 0.2


@pytest.mark.parametrize("n", [1, 20, 300])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_items_that_are_all_alike_leave_an_error_and_an_interval(value, n):
    rows = [{"strict": value}] * n
    assert totals.stderr(rows) == binomial_error(value, n) > 0.5 / (n + 4)
    found = totals.interval(rows)
    assert max(found.high - value, value - found.low) == pytest.approx(min(1.0, 3 / n), abs=0.5 / n)


def test_a_weighted_score_is_the_weighted_mean():
    rows = [{"strict": 1.0, "weight": 6}, {"strict": 0.0, "weight": 2}]
    assert totals.value(rows) == 0.75


def test_a_score_below_zero_is_zero():
    rows = [{"strict": -0.5}, {"strict": 0.25}]
    assert totals.value(rows) == 0.0 and np.mean(totals.shares(rows)) == pytest.approx(0.0, abs=1e-12)


@given(ROWS)
def test_the_shares_mean_is_the_score_which_lies_in_its_interval(rows):
    value, interval = totals.value(rows), totals.interval(rows)
    assert np.mean(totals.shares(rows)) == pytest.approx(value, abs=1e-9)
    assert 0.0 <= interval.low <= value <= interval.high <= 1.0
    assert totals.stderr(rows) >= 0.0


def test_who_wins_everything_has_no_error_whatever_the_verdicts_strength():
    rows = [{"strict": 1.0, "weight": weight} for weight in (2, 4, 6, 6)]
    assert totals.shares(rows) == pytest.approx([1.0] * 4) and totals.stderr(rows) == pytest.approx(0.0, abs=1e-12)


def test_the_bootstrap_s_error_is_the_shares_standard_error():
    rng = np.random.default_rng(0)
    rows = [{"strict": float(rng.random()), "weight": int(rng.choice([2, 4, 6]))} for _ in range(200)]
    expected = np.std(totals.shares(rows), ddof=1) / math.sqrt(200)
    assert totals.stderr(rows) == pytest.approx(expected, rel=0.05)


def test_results_by_item_need_a_number():
    assert totals.by_item([{"id": 3, "strict": 1}]) == {"3": 1.0} and totals.by_item([]) == {}
    for row in ({"id": "a"}, {"id": "a", "strict": None}, {"strict": 1.0}):
        with pytest.raises((KeyError, TypeError)):
            totals.by_item([row])
