"""Scores without items: compared by counts or errors, or not at all, and the choice among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from pipeline.noise import binomial_error
from pipeline.types import Score
from pipeline.unpaired import UNKNOWN, Marked, choose, fisher, p_value, smallest_difference


def score(value: float, stderr: float | None = None, n: int | None = None) -> Score:
    error = binomial_error(value, n) if n and stderr is None else stderr
    return Score(benchmark="b", metric="m", value=value, stderr=error, n=n, role="search")


def trials(*scores: Score) -> list[Marked]:
    return [Marked(id=f"t{number}", score=each) for number, each in enumerate(scores, 1)]


@given(st.integers(0, 40), st.integers(1, 40), st.integers(0, 40), st.integers(1, 40))
def test_fishers_test_is_scipys(right_a, n_a, right_b, n_b):
    right_a, right_b = min(right_a, n_a), min(right_b, n_b)
    theirs = fisher_exact([[right_a, n_a - right_a], [right_b, n_b - right_b]]).pvalue
    assert fisher(right_a, n_a, right_b, n_b) == pytest.approx(theirs, rel=1e-6)


def test_counts_are_compared_exactly_and_other_scores_by_their_errors():
    assert p_value(score(1.0, n=3), score(0.0, n=3)) == pytest.approx(0.1)
    assert p_value(score(0.5, 0.1), score(0.5, 0.1)) == 1.0
    assert p_value(score(0.7, 0.05), score(0.5, 0.05)) == pytest.approx(0.0047, abs=1e-4)
    assert p_value(score(0.7, 0.05, n=10), score(0.5, 0.05, n=10)) == pytest.approx(0.0047, abs=1e-4)
    assert p_value(score(0.7), score(0.5, 0.05)) is None
    assert p_value(score(0.7, 0.0), score(0.5, 0.0)) == 0.0


def test_the_best_trial_is_chosen_where_it_beats_the_base_beyond_noise():
    choice = choose(trials(score(0.3, n=200), score(0.6, n=200)), score(0.1, n=200))
    assert choice.trial == "t2" and choice.runner_up == "t1" and not choice.unresolved
    assert "base beaten" in choice.why


def test_the_base_stays_where_nothing_beats_it_beyond_noise():
    choice = choose(trials(score(0.12, n=50)), score(0.1, n=50))
    assert choice.trial is None and choice.unresolved and "beyond noise" in choice.why
    below = choose(trials(score(0.05)), score(0.1))
    assert below.trial is None and "nothing beats the base" in below.why and not below.unresolved


def test_the_best_of_many_needs_more_to_beat_the_base():
    base, best = score(0.5, 0.03), score(0.6, 0.03)
    assert choose(trials(best), base).trial == "t1"
    assert choose(trials(best, *[score(0.4, 0.03)] * 9), base).trial is None


def test_trials_whose_weights_are_gone_count_among_those_that_the_best_is_the_best_of():
    base, best = score(0.5, n=200), score(0.62, n=200)
    assert choose(trials(best), base).trial == "t1"
    kept = choose(trials(best), base, tried=20)
    assert kept.trial is None and "x 20 trials" in kept.why


@pytest.mark.parametrize("over", [30, 29])
def test_the_error_of_right_and_wrong_items_is_known_as_programs_reckon_it(over):
    ours, theirs = score(4 / 30, (4 / 30 * 26 / 30 / over) ** 0.5, 30), score(0.0, n=30)
    assert p_value(ours, theirs) == pytest.approx(0.1124, abs=1e-3)  # Fisher's, where the errors alone say .03


def test_where_noise_is_not_known_the_best_is_chosen_and_called_unresolved():
    choice = choose(trials(score(0.2), score(0.3)), score(0.1))
    assert choice.trial == "t2" and choice.unresolved and choice.p_base is None
    assert UNKNOWN in choice.why and "0.200 above the base" in choice.why
    assert smallest_difference(score(0.3)) is None


def test_without_trials_or_without_the_bases_score_the_choice_says_so():
    assert choose([], score(0.1)).trial is None
    assert "not tested against the base" in choose(trials(score(0.2, 0.01)), None).why


def test_scores_below_zero_are_ranked_alike():
    assert choose(trials(score(-3.0, 0.01), score(-2.0, 0.01)), score(-4.0, 0.01)).trial == "t2"
