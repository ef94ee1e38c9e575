"""The fraction over several benchmarks and models, and lifts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import settings

from pipeline.errors import InputError
from pipeline.gain import (
    Cell,
    ScoreCell,
    cell_weights,
    fraction,
    fraction_of_scores,
    lift,
    matrix_fraction,
    matrix_fraction_of_scores,
    weighted_average,
)
from tests.item_scores import answers

FAST = 500  # resamples where only a property is looked at
PROPERTY = settings(max_examples=60, deadline=None)


# ---------------------------------------------------------------- several benchmarks and models


def cells(seed=0, flagged=False):
    rng = np.random.default_rng(seed)
    made = []
    for model in ("qwen3", "gemma3"):
        for benchmark, rates in (("gsm8k", (0.8, 0.02, 0.9, 0.2)), ("gpqamain", (0.4, 0.1, 0.7, 0.2))):
            best, base, instruct, few = answers(rng, 400, *rates)
            made.append(Cell(model, benchmark, best, base, instruct, few, flagged and benchmark == "gsm8k"))
    return made


WEIGHTS = {"gsm8k": 1.0, "gpqamain": 3.0, "aime2025": 5.0}


def mean_scores(made, role):
    table = {}
    for cell in made:
        table.setdefault(cell.model, {})[cell.benchmark] = float(np.mean(getattr(cell, role)))
    return table


def test_the_matrix_averages_scores_first_and_then_takes_the_ratio():
    made = cells()
    best, base, instruct = (weighted_average(mean_scores(made, role), WEIGHTS) for role in ("best", "base", "instruct"))
    found = matrix_fraction(made, WEIGHTS).interval
    assert found.value == pytest.approx((best - base) / (instruct - base))
    assert found.low < found.value < found.high
    ratios = [fraction(c.best, c.base, c.instruct).interval.value for c in made]
    assert abs(found.value - np.mean(ratios)) > 0.02


def test_a_matrix_of_one_cell_is_that_cell():
    cell = cells()[0]
    alone = fraction(cell.best, cell.base, cell.instruct).interval
    found = matrix_fraction([cell], WEIGHTS).interval
    assert (found.value, found.low, found.high) == pytest.approx((alone.value, alone.low, alone.high), abs=1e-12)


def test_a_matrix_is_known_better_than_its_cells():
    widths = [i.high - i.low for i in (matrix_fraction([cell], WEIGHTS).interval for cell in cells())]
    whole = matrix_fraction(cells(), WEIGHTS).interval
    assert whole.high - whole.low < max(widths)


def test_the_order_of_cells_does_not_matter_and_few_shot_is_the_second_denominator():
    made = cells()
    assert matrix_fraction(made, WEIGHTS) == matrix_fraction(made[::-1], WEIGHTS)
    few = matrix_fraction(made, WEIGHTS, over="few_shot").interval
    assert few.value < matrix_fraction(made, WEIGHTS).interval.value


def test_a_flagged_cell_counts_as_its_base():
    found = matrix_fraction(cells(flagged=True), WEIGHTS)
    made = [
        Cell(c.model, c.benchmark, c.base if c.flagged else c.best, c.base, c.instruct) for c in cells(flagged=True)
    ]
    assert found.interval.value == pytest.approx(matrix_fraction(made, WEIGHTS).interval.value)
    assert found.raw == matrix_fraction(cells(), WEIGHTS).interval
    assert found.interval.value < found.raw.value


def test_a_matrix_of_scores_is_as_one_of_items_but_wider_and_alone_it_is_that_score():
    made = cells()
    scored = [
        ScoreCell(
            c.model, c.benchmark, *((float(x.mean()), float(x.std(ddof=1)) / 20) for x in (c.best, c.base, c.instruct))
        )
        for c in made
    ]
    paired, alone = matrix_fraction(made, WEIGHTS).interval, matrix_fraction_of_scores(scored, WEIGHTS).interval
    assert alone.value == pytest.approx(paired.value)
    assert alone.high - alone.low > paired.high - paired.low
    assert matrix_fraction_of_scores(scored, WEIGHTS) == matrix_fraction_of_scores(scored[::-1], WEIGHTS)
    first = scored[0]
    assert matrix_fraction_of_scores([first], WEIGHTS) == fraction_of_scores(first.best, first.base, first.instruct)
    with pytest.raises(InputError, match="appear twice"):
        matrix_fraction_of_scores([first, first], WEIGHTS)
    with pytest.raises(InputError, match="not a number"):
        matrix_fraction_of_scores([replace(first, best=(float("nan"), 0.1))], WEIGHTS)


def test_weights_are_renormalised_over_the_benchmarks_present_and_spread_over_their_models():
    share = cell_weights([("a", "gsm8k"), ("b", "gsm8k"), ("a", "gpqamain")], WEIGHTS)
    assert share == {("a", "gsm8k"): 0.125, ("b", "gsm8k"): 0.125, ("a", "gpqamain"): 0.75}


def test_a_matrix_that_cannot_be_averaged_is_refused():
    with pytest.raises(InputError, match="no weight for gsm8k"):
        matrix_fraction(cells(), {"gpqamain": 1.0})
    with pytest.raises(InputError, match="appear twice"):
        matrix_fraction([*cells(), cells()[0]], WEIGHTS)
    with pytest.raises(InputError, match="no few-shot base score"):
        matrix_fraction([replace(cells()[0], few_shot=None)], WEIGHTS, over="few_shot")


def test_the_lift_over_another_agent_is_paired_by_seed_with_students_t():
    found = lift([0.9, 0.8, 0.85], [0.6, 0.4, 0.6])
    assert found.value == pytest.approx(0.95 / 3)
    assert found.high - found.value == pytest.approx(4.3027 * np.std([0.3, 0.4, 0.25], ddof=1) / 3**0.5, rel=1e-4)


@pytest.mark.parametrize(("ours", "theirs"), [([0.9], [0.6]), ([0.5, 0.5], [0.2, 0.2]), ([0.1 + 0.2, 0.4], [0.1, 0.2])])
def test_seeds_without_a_spread_give_a_lift_without_an_interval(ours, theirs):
    found = lift(ours, theirs)
    assert found.value == pytest.approx(ours[0] - theirs[0]) and found.low is None and found.high is None


@pytest.mark.parametrize(("right", "is_told"), [(3, False), (5, False), (6, True)])
def test_one_cell_is_tested_exactly_as_one_run_is(right, is_told):
    base, top = np.zeros(30), (np.arange(30) < right).astype(float)
    found = matrix_fraction([Cell("m", "b", top, base, top)], {"b": 1.0})
    assert (found.interval is not None) == is_told == (fraction(top, base, top).interval is not None)
    assert is_told or "within noise (by 30 items, p = " in (found.why or "")
