"""Several answers per item: the item is the unit."""

from __future__ import annotations

from itertools import combinations
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import benchmarks, evaluate
from pipeline.repeats import answers_of, merged, pass_at_k, passes, within

BENCHMARK = benchmarks.load_benchmark("tiny_gsm8k")


def answer(strict, stopped=True, lenient=None):
    lenient = strict if lenient is None else lenient
    return {"id": "a", "strict": strict, "lenient": lenient, "response": f"{strict}", "stopped": stopped, "tokens": 3}


def item(*scores):
    return merged([answer(score) for score in scores])


@given(st.lists(st.booleans(), min_size=1, max_size=7), st.data())
def test_pass_at_k_is_the_share_of_all_choices_of_k_that_hold_a_right_answer(answers, data):
    k = data.draw(st.integers(1, len(answers)))
    choices = list(combinations(answers, k))
    assert pass_at_k(len(answers), sum(answers), k) == pytest.approx(sum(map(any, choices)) / len(choices))


@pytest.mark.parametrize(("n", "right", "k"), [(3, 1, 4), (3, 1, 0), (3, 4, 1), (3, -1, 1)])
def test_pass_at_k_of_more_answers_than_there_are_is_refused(n, right, k):
    with pytest.raises(ValueError, match=f"pass@{k} of {right} right among {n}"):
        pass_at_k(n, right, k)


def test_pass_at_k_is_averaged_over_items_up_to_the_fewest_answers_of_one():
    found = passes([item(1, 0), item(0, 0, 1)])
    assert found == {"1": pytest.approx((1 / 2 + 1 / 3) / 2), "2": pytest.approx((1 + 2 / 3) / 2)}


@pytest.mark.parametrize("results", [[item(1), item(0)], [item(1, 0), item(0)], [item(0.5, 1), item(0, 1)]])
def test_there_is_no_pass_at_k_of_single_or_graded_answers(results):
    assert passes(results) is None


def test_an_item_s_result_is_the_mean_of_its_answers_which_are_all_kept():
    found = merged([answer(1.0), answer(0.0, stopped=None, lenient=1.0), answer(0.0, stopped=False)])
    assert (found["id"], found["strict"], found["lenient"]) == ("a", pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert found["stopped"] is False and found["tokens"] == 9 and "response" not in found
    assert [each["strict"] for each in found["responses"]] == [1.0, 0.0, 0.0]
    assert [each["stopped"] for each in answers_of(found)] == [True, None, False]
    assert "id" not in found["responses"][0]


def test_one_answer_stays_as_it_is():
    assert merged([answer(1.0)]) == answer(1.0) and answers_of(answer(1.0)) == [answer(1.0)]


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=20), st.integers(2, 5))
def test_the_same_answer_again_makes_a_score_no_surer(scores, repeats):
    once = evaluate.summarise(BENCHMARK, [item(score) for score in scores], "search", 0)
    again = evaluate.summarise(BENCHMARK, [item(*[score] * repeats) for score in scores], "search", 0)
    assert (again.value, again.stderr, again.n) == pytest.approx((once.value, once.stderr, once.n))
    assert (once.repeats, once.stderr_within) == (1, None) and (again.repeats, again.stderr_within) == (repeats, 0.0)


def test_the_standard_error_covers_the_truth_where_items_differ_and_answers_are_drawn():
    random, n, repeats, hits = np.random.default_rng(0), 60, 4, 0
    for _ in range(300):
        chances = random.beta(0.5, 0.5, n)  # items are easy or hard; their mean over many is 0.5
        drawn = (random.random((n, repeats)) < chances[:, None]).astype(float)
        score = evaluate.summarise(BENCHMARK, [item(*row) for row in drawn], "search", 0)
        hits += abs(score.value - 0.5) < 1.96 * score.stderr
    assert 0.91 < hits / 300 < 0.98  # counting answers as independent covers it four times in five


def test_the_part_of_drawing_is_what_more_answers_would_take_away():
    assert within([item(1, 0), item(1, 1)]) == pytest.approx(sqrt(0.5 / 2) / 2)
    assert within([item(1, 0, 1, 0), item(1, 1, 1, 1)]) == pytest.approx(sqrt((1 / 3) / 4) / 2)


def test_all_answers_count_for_whether_a_model_stops():
    results = [merged([answer(1.0, True), answer(1.0, False)]), merged([answer(1.0, True), answer(1.0, None)])]
    score = evaluate.summarise(BENCHMARK, results, "search", 0)
    assert score.stops == pytest.approx(2 / 3)
