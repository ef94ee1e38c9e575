"""The improvement fraction of one run: golden numbers, properties, coverage."""

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.bootstrap import resample
from pipeline.errors import InputError
from pipeline.gain import fraction, fraction_of_scores, gain_points
from tests.item_scores import answers, clear, triples

ROOT = Path(__file__).parents[1]
FAST = 500  # resamples where only a property is looked at
PROPERTY = settings(max_examples=60, deadline=None)


# ---------------------------------------------------------------- golden numbers


def test_the_fraction_of_a_known_case():
    """Of 500 items the base answers 10, best 425, instruct 485, each those that the weaker one does: 415 / 475."""
    base, best, instruct = ((np.arange(500) < right).astype(float) for right in (10, 425, 485))
    found = fraction(best, base, instruct).interval
    half_width = 1.96 * (415 * 60 / 475**3) ** 0.5  # binomial: of 475 items that the gap is made of, 415 are won
    assert found.value == pytest.approx(415 / 475, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((0.8427, 0.9031), abs=2e-3)
    assert (found.low, found.high) == pytest.approx((found.value - half_width, found.value + half_width), abs=3e-3)
    assert found.confidence == 0.95


def test_the_interval_agrees_with_a_plain_bootstrap_that_draws_item_by_item():
    best, base, instruct = answers(np.random.default_rng(3), 300, 0.4, 0.05, 0.9)
    rng = np.random.default_rng(0)
    picked = rng.integers(0, 300, size=(4000, 300))
    gap = instruct[picked].mean(1) - base[picked].mean(1)
    low, high = np.quantile((best[picked].mean(1) - base[picked].mean(1)) / gap, [0.025, 0.975])
    found = fraction(best, base, instruct).interval
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)


def test_pairing_makes_the_gain_sharper_than_separate_items_would():
    best, base = answers(np.random.default_rng(5), 400, 0.6, 0.5, shared=0.8)
    paired, apart = gain_points(best, base), gain_points(np.sort(best), np.sort(base)[::-1])
    assert paired.value == pytest.approx(apart.value)
    assert paired.high - paired.low < 0.8 * (apart.high - apart.low)


def test_gain_points_are_percentage_points():
    best, base = [1.0] * 60 + [0.0] * 40, [1.0] * 20 + [0.0] * 80
    found = gain_points(best, base)
    assert found.value == pytest.approx(40.0)
    half_width = 1.96 * 100 * (0.4 * 0.6 / 100) ** 0.5
    assert (found.low, found.high) == pytest.approx((40 - half_width, 40 + half_width), abs=1.1)


def test_ten_thousand_resamples_of_five_hundred_items_take_well_under_a_second():
    rng = np.random.default_rng(0)
    binary, graded = answers(rng, 500, 0.8, 0.05, 0.95), [rng.random(500) * top for top in (0.8, 0.3, 1.0)]
    started = time.perf_counter()
    fraction(*binary)
    assert time.perf_counter() - started < 0.3
    fraction(*graded)
    assert time.perf_counter() - started < 3.0  # every item its own group: still seconds on a busy machine


# ---------------------------------------------------------------- properties


@PROPERTY
@given(triples(), st.integers(0, 99))
def test_the_order_of_items_does_not_matter(scores, seed):
    order = np.random.default_rng(seed).permutation(scores[0].size)
    assert fraction(*scores, resamples=FAST) == fraction(*[items[order] for items in scores], resamples=FAST)


@PROPERTY
@given(triples())
def test_the_interval_contains_the_value_or_the_reason_is_given(scores):
    found = fraction(*scores, resamples=FAST)
    if found.interval is None:
        assert "instruct" in found.why
    else:
        assert found.why is None
        assert found.interval.low <= found.interval.value <= found.interval.high
        assert np.isfinite([found.interval.low, found.interval.high]).all()
    points = gain_points(scores[0], scores[1], resamples=FAST)
    assert points.low <= points.value <= points.high


@PROPERTY
@given(triples())
def test_a_best_equal_to_the_base_regains_nothing_and_equal_to_instruct_everything(scores):
    _, base, instruct = scores
    for best, value in ((base, 0.0), (instruct, 1.0)):
        found = fraction(best, base, instruct, resamples=FAST).interval
        assert found is None or (found.value, found.low, found.high) == (value, value, value)


@PROPERTY
@given(st.lists(st.booleans(), min_size=50, max_size=50), st.integers(0, 49))
def test_one_more_right_answer_raises_the_fraction(right, item):
    base, instruct = clear()
    worse, better = np.array(right, dtype=float), np.array(right, dtype=float)
    worse[item], better[item] = 0.0, 1.0
    assume(worse.sum() > 0 and better.sum() < 50)  # where all are alike an unseen item is reckoned with, which widens
    low, high = (fraction(best, base, instruct, resamples=FAST).interval for best in (worse, better))
    assert low.value < high.value
    assert low.low <= high.low + 0.02 and low.high <= high.high + 0.02


@PROPERTY
@given(triples(), st.floats(0.1, 10), st.floats(-3, 3))
def test_the_unit_and_the_zero_of_the_metric_do_not_matter(scores, scale, shift):
    a = fraction(*scores, resamples=FAST)
    b = fraction(*[items * scale + shift for items in scores], resamples=FAST)
    if a.interval and b.interval:
        assert (a.interval.value, a.interval.low) == pytest.approx((b.interval.value, b.interval.low), abs=0.05)


@PROPERTY
@given(triples())
def test_the_same_seed_gives_the_same_interval(scores):
    assert fraction(*scores, resamples=FAST, seed=4) == fraction(*scores, resamples=FAST, seed=4)


def test_groups_of_alike_items_are_drawn_as_the_items_themselves_would_be():
    """Means and spread of the draws are those of a mean of n draws with replacement."""
    columns = [np.array([0.0, 0.0, 1.0, 1.0, 1.0, 0.5]), np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.2])]
    means, draws = resample(columns, 20_000, 0)
    assert means == pytest.approx([column.mean() for column in columns])
    assert draws.mean(0) == pytest.approx(means, abs=0.01)
    assert draws.std(0) == pytest.approx([column.std() / 6**0.5 for column in columns], rel=0.03)


# ---------------------------------------------------------------- honesty


@pytest.mark.parametrize(("n", "rates"), [(60, (0.4, 0.05, 0.9)), (300, (0.85, 0.1, 0.97)), (300, (0.45, 0.3, 0.6))])
def test_ninety_five_percent_of_the_intervals_contain_the_truth(n, rates):
    rng, truth = np.random.default_rng(n), (rates[0] - rates[1]) / (rates[2] - rates[1])
    found = [fraction(*answers(rng, n, *rates), resamples=600).interval for _ in range(400)]
    hits = [interval.low <= truth <= interval.high for interval in found if interval]
    assert len(hits) > 390
    assert 0.91 <= np.mean(hits) <= 0.98  # 400 runs: 95% +- 2.2%, and percentiles cost about a point


def test_a_gap_within_noise_has_no_fraction_and_says_so_in_words():
    best, base, instruct = answers(np.random.default_rng(1), 300, 0.55, 0.5, 0.51)
    found = fraction(best, base, instruct)
    assert found.interval is None
    assert "within noise" in found.why and "300 items" in found.why


def test_an_instruct_model_below_the_base_leaves_no_gain_to_regain():
    base, instruct = clear()
    found = fraction(base, instruct, base)
    assert found.interval is None and "not above" in found.why
    assert fraction(np.zeros(9), np.zeros(9), np.zeros(9)).interval is None


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_handful_of_items_never_gives_a_fraction(n):
    """Bootstrapping five alike items shows no spread at all; the exact test is not fooled."""
    assert fraction(np.ones(n), np.zeros(n), np.ones(n)).interval is None
    one = gain_points([1.0], [0.0])
    assert (one.low, one.value, one.high) == (-100.0, 100.0, 100.0)


def test_a_gap_that_some_resamples_close_gives_bounded_or_no_interval():
    """From three to twelve items ahead of 30, from within noise to beyond it."""
    base = np.zeros(30)
    told = []
    for ahead in range(3, 13):
        instruct = (np.arange(30) < ahead).astype(float)
        found = fraction(base, base, instruct).interval, fraction(1 - instruct, base, instruct).interval
        assert all(interval is None or np.isfinite([interval.low, interval.high]).all() for interval in found)
        told.append(found[0] is not None)
    assert told == sorted(told) and told[0] is False and told[-1] is True


def test_a_result_below_the_base_is_negative_and_above_instruct_beyond_one():
    base, instruct = clear()
    assert fraction(np.zeros(50), base, instruct).interval.value == pytest.approx(-0.125)
    assert fraction(np.ones(50), base, instruct).interval.value == pytest.approx(1.125)


def test_a_flagged_result_counts_as_the_base_with_its_raw_value_beside_it():
    base, instruct = clear()
    found = fraction(instruct, base, instruct, flagged=True)
    assert (found.interval.value, found.interval.high, found.raw.value) == (0.0, 0.0, 1.0)
    assert "flagged" in found.why


def test_scores_without_items_give_a_wider_interval_than_paired_items():
    best, base, instruct = answers(np.random.default_rng(7), 500, 0.6, 0.2, 0.8, shared=0.7)
    pairs = [(items.mean(), items.std(ddof=1) / 500**0.5) for items in (best, base, instruct)]
    alone, paired = fraction_of_scores(*pairs).interval, fraction(best, base, instruct).interval
    assert alone.value == pytest.approx(paired.value)
    assert alone.high - alone.low > paired.high - paired.low
    assert fraction_of_scores((0.3, 0.1), (0.2, 0.1), (0.25, 0.1)).interval is None
    assert fraction_of_scores((0.5, 0.0), (0.0, 0.0), (1.0, 0.0)).interval.value == 0.5


@pytest.mark.parametrize(("scores", "said"), [
    (([1, 0], [1, 0, 1], [1, 0]), "best 2, base 3, instruct 2"),
    (([1, float("nan")], [1, 0], [1, 0]), "best: item 1"),
    (([], [], []), "at least one item"),
    (([1], [1], [[1]]), "instruct: expected one score per item"),
])  # fmt: skip
def test_items_that_do_not_pair_are_an_error_that_names_them(scores, said):
    with pytest.raises(InputError, match=said):
        fraction(*scores)


@pytest.mark.parametrize("n", [20, 50])
def test_where_all_items_are_alike_the_interval_still_covers(n):
    """Rates of .97, .02 and .99: most draws hold a model that is right on all items, or on none."""
    rng, rates = np.random.default_rng(5), (0.97, 0.02, 0.99)
    found = [fraction(*answers(rng, n, *rates), resamples=600).interval for _ in range(150)]
    told = [each for each in found if each]
    true = (rates[0] - rates[1]) / (rates[2] - rates[1])
    assert sum(each.low <= true <= each.high for each in told) > 0.9 * len(told)


def test_a_result_that_is_the_base_has_regained_nothing_for_sure():
    base, instruct = np.zeros(50), np.ones(50)
    found, points = fraction(base, base, instruct).interval, gain_points(base, base)
    assert found and (found.low, found.value, found.high) == (0.0, 0.0, 0.0) == (points.low, points.value, points.high)
    other = gain_points(np.zeros(50), base)  # another model that is right on none, too
    assert other.value == 0.0 and -10 < other.low < -3 and 3 < other.high < 10
