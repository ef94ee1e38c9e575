"""How long a trial may train."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import limits


def test_what_recent_trials_took_beside_training_is_kept_free_with_a_tenth() -> None:
    assert limits.train_seconds(50.0, [2.0, 3.0], 100.0) == pytest.approx(50 - 3.3)


def test_one_slow_trial_among_several_is_taken_for_an_accident() -> None:
    assert limits.beside_training([9.0, 2.0, 2.5], 100.0) == pytest.approx(1.1 * 2.5)
    assert limits.beside_training([9.0, 2.0, 8.0], 100.0) == pytest.approx(1.1 * 8)


def test_old_trials_are_forgotten() -> None:
    assert limits.beside_training([9.0, 9.0, 9.0, 1.0, 1.0, 1.0, 1.0], 100.0) == pytest.approx(1.1)


def test_before_anything_was_measured_a_tenth_but_at_most_ten_seconds_is_kept_free() -> None:
    assert limits.beside_training([], 60.0) == 6.0
    assert limits.beside_training([], 36_000.0) == 10.0


def test_however_slow_scoring_is_half_of_the_budget_is_left_to_train() -> None:
    assert limits.train_seconds(100.0, [500.0], 100.0) == 50.0


def test_training_that_would_be_too_short_is_not_started() -> None:
    assert limits.train_seconds(3.0, [2.0], 120.0) == 0.0
    assert limits.train_seconds(4.0, [2.0], 120.0) == pytest.approx(1.8)
    assert limits.train_seconds(0.0, [], 120.0) == 0.0


@pytest.mark.parametrize("budget", [1.0, 60.0, 100.0, 36_000.0])
def test_what_still_runs_is_killed_after_the_budget_and_well_before_its_slack_ends(budget: float) -> None:
    slack = max(0.02 * budget, 2.0)
    assert budget < limits.cut_seconds(budget) <= budget + slack - 0.5


@given(st.none() | st.floats(0, 1e5), st.floats(0, 1e5), st.floats(-1e5, 1e5))
def test_a_budget_before_a_deadline_is_never_more_than_was_given_and_leaves_time_to_cut(budget, used, left):
    found = limits.before_deadline(budget, used, left)
    assert 0 <= found <= (max(0.0, used + left) if budget is None else budget) + 1e-6
    assert found == 0 or limits.cut_seconds(found) <= used + left + 1e-6


def test_with_a_deadline_that_has_passed_no_trial_is_worth_starting():
    total = limits.before_deadline(100.0, 5.0, -200.0)
    assert total == 0 and limits.train_seconds(max(0.0, total - 5.0), [30.0, 40.0], total) == 0
    assert limits.cut_seconds(total) <= 5.0
