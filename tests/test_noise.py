"""The noise floor, the paired tests and the choice of a result."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.noise import Candidate, choose, noise_floor, paired_test, standard_error, unseen

BITS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80)


def by_id(values):
    return {str(number): float(value) for number, value in enumerate(values)}


def half(n, right):
    """n items of which the first `right` are right."""
    return [1.0] * right + [0.0] * (n - right)


def test_mcnemar_gives_the_textbook_number():
    """10 discordant items, 9 to 1: p = 2 (1 + 10) / 2^10."""
    a, b = [1] * 9 + [0] + [1] * 5, [0] * 9 + [1] + [1] * 5
    assert paired_test(a, b) == pytest.approx(22 / 1024)


@given(BITS)
def test_mcnemar_is_symmetric_ignores_order_and_agreeing_items(pairs):
    a, b = np.array(pairs, dtype=float).T
    order = np.random.default_rng(0).permutation(len(a))
    p = paired_test(a, b)
    assert 0 < p <= 1
    assert p == paired_test(b, a) == paired_test(a[order], b[order])
    assert p == paired_test(np.append(a, [1, 0]), np.append(b, [1, 0]))


def test_thousands_of_items_stay_exact():
    m = 3001
    p = paired_test([1.0] * 1400 + [0.0] * 1601, [0.0] * 1400 + [1.0] * 1601)
    assert p == pytest.approx(2 * sum(comb(m, k) for k in range(1401)) / 2**m, rel=1e-12)


def test_graded_items_are_tested_by_flipping_signs():
    """Three differences of one sign: only 2 of 8 patterns are as extreme. Zeros say nothing."""
    assert paired_test([0.5, 0.7, 0.9, 0.2], [0.1, 0.2, 0.3, 0.2]) == pytest.approx(2 / 8)
    assert paired_test([0.3, 0.3], [0.3, 0.3]) == 1.0


@given(st.integers(0, 1000))
def test_graded_items_are_tested_alike_in_any_order_and_from_either_side(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.random(40), rng.random(40) * 0.9
    p = paired_test(a, b)
    assert 0 < p <= 1
    order = rng.permutation(40)
    assert p == paired_test(b, a) == paired_test(a[order], b[order])


def test_under_the_null_five_percent_is_rarely_exceeded():
    """False alarms of the exact test stay at or below its level."""
    rng = np.random.default_rng(1)
    alarms = [paired_test(*rng.integers(0, 2, size=(2, 60)).astype(float)) <= 0.05 for _ in range(600)]
    assert np.mean(alarms) <= 0.06


def test_the_standard_error_is_that_of_lm_eval():
    items = [1, 0, 0, 1, 1, 0, 1, 1]
    assert standard_error(items) == pytest.approx(np.std(items, ddof=1) / np.sqrt(8))
    assert standard_error([1.0]) == 0.5
    assert standard_error([0.0] * 9) == 0.0


def test_what_items_did_not_show_is_bounded_by_the_rule_of_three():
    assert unseen(500) == pytest.approx(3 / 500, rel=0.01)
    assert unseen(1) == pytest.approx(0.95)


def test_the_noise_floor_has_known_values():
    """1.96 * sqrt(2 * 0.25 * 0.5 / 300), and six items in one direction where a score cannot vary."""
    assert noise_floor(300) == pytest.approx(0.0566, abs=1e-4)
    assert noise_floor(300, value=1.0) == pytest.approx(6 / 300)
    assert noise_floor(4) == 1.0
    assert noise_floor(300, correlation=0.0) == pytest.approx(noise_floor(300) * 2**0.5)


@given(st.integers(2, 5000), st.floats(0, 1))
def test_more_items_never_raise_the_floor(n, value):
    assert noise_floor(n + 1, value) <= noise_floor(n, value) <= 1.0


def test_the_best_is_chosen_over_runner_up_and_base():
    choice = choose([Candidate(id="a", items=by_id(half(200, 80))), Candidate(id="b", items=by_id(half(200, 120)))],
                    by_id(half(200, 4)))  # fmt: skip
    assert (choice.trial, choice.runner_up, choice.unresolved) == ("b", "a", False)
    assert "base beaten" in choice.why


def test_the_best_of_many_has_to_beat_the_base_by_more_than_the_best_of_one():
    best, base = [Candidate(id="b", items=by_id(half(200, 112)))], by_id(half(200, 104))
    assert choose(best, base).trial == "b"
    of_many = choose(best, base, tried=20)
    assert of_many.trial is None and "x 20 trials" in of_many.why


def test_a_win_within_noise_is_labelled_unresolved():
    near = [Candidate(id="a", items=by_id(half(200, 120))), Candidate(id="b", items=by_id(half(200, 122)))]
    choice = choose(near, by_id(half(200, 4)))
    assert choice.trial == "b" and choice.unresolved and "unresolved" in choice.why


def test_the_floor_is_the_base():
    choice = choose([Candidate(id="a", items=by_id(half(100, 33)))], by_id(half(100, 30)))
    assert choice.trial is None and choice.unresolved and "nothing beats the base" in choice.why
    assert choose([], by_id([0, 1])).trial is None


def test_the_more_trials_were_tried_the_more_a_win_must_show():
    """Seven items ahead, all in one direction: p = 1/64. Enough for one trial, not for the best of ten."""
    base = by_id(half(100, 30))
    lucky = Candidate(id="lucky", items=by_id(half(100, 37)))
    others = [Candidate(id=str(number), items=base) for number in range(9)]
    assert choose([lucky], base).trial == "lucky"
    assert choose([*others, lucky], base).trial is None


def test_what_does_not_stop_stands_back_while_another_can_be_chosen():
    wild = Candidate(id="wild", items=by_id(half(50, 45)), stops=False)
    calm = Candidate(id="calm", items=by_id(half(50, 40)))
    assert choose([wild, calm]).trial == "calm"
    only = choose([wild])
    assert only.trial == "wild" and "does not stop" in only.why


def test_a_probe_on_few_items_cannot_win_by_luck():
    probe = Candidate(id="probe", items=by_id([1.0] * 10))
    full = Candidate(id="full", items=by_id(half(100, 80)))
    assert choose([probe, full]).trial == "full"


def test_of_equals_the_first_is_chosen():
    same = by_id(half(20, 15))
    choice = choose([Candidate(id="first", items=same), Candidate(id="second", items=same)], by_id(half(20, 1)))
    assert choice.trial == "first" and choice.unresolved


def test_the_winners_search_score_is_optimistic_and_the_test_is_not_fooled():
    """40 trials no better than the base: the best looks better, and is chosen over the base in under 5% of runs."""
    rng, chosen, lead = np.random.default_rng(2), 0, []
    for _ in range(60):
        base = by_id(rng.random(100) < 0.3)
        tried = [Candidate(id=str(k), items=by_id(rng.random(100) < 0.3)) for k in range(40)]
        chosen += choose(tried, base).trial is not None
        lead.append(max(trial.value for trial in tried) - 0.3)
    assert np.mean(lead) > 0.07
    assert chosen <= 3


@pytest.mark.parametrize(("a", "b", "said"), [
    ([1, 0], [1], "a 2, b 1"),
    ([], [], "at least one item"),
    ([float("nan")], [1], "a: item 0"),
    ([[1]], [[1]], "shape"),
])  # fmt: skip
def test_items_that_cannot_be_compared_are_refused(a, b, said):
    with pytest.raises(InputError, match=said):
        paired_test(a, b)
