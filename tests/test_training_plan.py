"""What each step sees and how fast it learns is decided by its position alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data import Built
from pipeline.errors import DataError
from pipeline.params import SftParams
from pipeline.paths import digest
from pipeline.training_plan import Plan, make_plan, usable, why_not
from pipeline.training_rows import Tokens

CHAT, RAW = {"messages": [{"role": "user"}]}, {"messages": [{"role": "text"}]}
LENGTHS = (np.full(50, 10), np.arange(20, 70))
BUILT = Built(("a", "b"), (1.0, 2.0), ([CHAT] * 50, [CHAT] * 50), {}, {})


def plan(fidelity: float = 1.0, seed: int = 0, lengths=LENGTHS, **params) -> Plan:
    return make_plan(BUILT, lengths, SftParams(**{"batch_size": 4, **params}), fidelity, seed)


def test_the_full_length_is_given_in_tokens_steps_or_epochs():
    by_tokens = plan(tokens=3000)
    assert by_tokens.tokens[by_tokens.full_steps - 2] < 3000 <= by_tokens.full_tokens
    assert plan(steps=7).full_steps == 7
    assert plan(epochs=2.0).full_steps == 2 * 100 / 4
    assert plan(tokens=1).full_steps == 1


@given(st.floats(0.001, 1.0), st.integers(0, 3))
def test_every_fidelity_is_a_beginning_of_the_same_steps(fidelity, seed):
    whole, part = plan(seed=seed, tokens=2000), plan(fidelity, seed, tokens=2000)
    assert part.steps == whole.steps and part.full_tokens == whole.full_tokens
    body = part.body_steps
    assert part.tokens[body - 1] >= fidelity * part.full_tokens
    assert body == 1 or part.tokens[body - 2] < fidelity * part.full_tokens
    assert len(part.steps) >= body + part.tail_steps(body)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 20))
def test_the_body_learns_at_the_same_rate_wherever_it_ends_and_the_tail_falls_to_zero(body, longer, warmup):
    made = plan(steps=50, warmup_steps=warmup, tail=0.5)
    rates = [made.rate(step, body) for step in range(body + made.tail_steps(body))]
    assert rates[:body] == [made.rate(step, body + longer) for step in range(body)]
    assert all(0 < rate <= 1 for rate in rates)
    tail = [rates[body - 1], *rates[body:], 0.0]
    assert all(later < earlier for earlier, later in zip(tail[1:], tail[2:], strict=False))
    assert body <= warmup or rates[body - 1] == 1.0


# ---------------------------------------------------------------- rows of like length


def widths(made: Plan, count: int) -> list[list[int]]:
    return [[int(LENGTHS[source][row]) for source, row in step] for step in made.steps[:count]]


def padding(made: Plan) -> int:
    """Positions of padding in the full length."""
    return sum(len(found) * max(found) - sum(found) for found in widths(made, made.full_steps))


@given(st.integers(2, 60), st.integers(0, 3), st.integers(1, 60))
def test_sorting_deals_the_same_rows_anew_within_each_window(window, seed, steps):
    drawn, dealt = plan(seed=seed, steps=steps), plan(seed=seed, steps=steps, sort_window=window)
    assert dealt.full_steps == drawn.full_steps and dealt.full_tokens == drawn.full_tokens
    assert [len(step) for step in dealt.steps] == [len(step) for step in drawn.steps]
    for begin in range(0, steps, window):
        some = slice(begin, min(begin + window, steps))
        assert sorted(sum(dealt.steps[some], [])) == sorted(sum(drawn.steps[some], []))
        found = sorted((min(each), max(each)) for each in widths(dealt, steps)[some])
        assert all(low >= high for (_, high), (low, _) in zip(found, found[1:], strict=False))
    assert dealt == plan(seed=seed, steps=steps, sort_window=window)


@given(st.floats(0.001, 1.0), st.integers(2, 20))
def test_a_part_of_a_sorted_plan_is_a_beginning_of_the_same_steps(fidelity, window):
    whole, part = plan(tokens=2000, sort_window=window), plan(fidelity, tokens=2000, sort_window=window)
    assert part.steps == whole.steps and part.tokens == whole.tokens
    assert len(part.steps) >= part.body_steps + part.tail_steps(part.body_steps)


def test_sorting_leaves_little_padding_and_the_steps_in_a_mixed_order():
    drawn, dealt = plan(steps=64), plan(steps=64, sort_window=32)
    assert padding(dealt) < 0.2 * padding(drawn)
    first = [max(each) for each in widths(dealt, 32)]
    assert first != sorted(first) and first != sorted(first, reverse=True)


def test_the_steps_of_a_plan_that_is_not_sorted_are_those_of_earlier_versions():
    made = plan(tokens=2000, seed=3)
    assert digest([made.steps, made.tokens, made.full_steps, made.body_steps]) == "63377fe9ed12da4b"


def test_a_constant_schedule_has_no_tail():
    assert plan(steps=10, schedule="constant").tail_steps(10) == 0
    assert plan(steps=10, tail=0.0).tail_steps(10) == 0
    assert plan(steps=100, tail=0.15).tail_steps(100) == 15


def test_conversations_that_are_too_long_are_left_out_and_raw_text_is_cut():
    tokens = Tokens(np.zeros(60, np.int32), np.zeros(60, bool), np.array([0, 10, 40, 60]))
    assert usable(tokens, [CHAT, CHAT, RAW], 20).tolist() == [10, 0, 20]
    assert usable(tokens, [CHAT, RAW, RAW], 15).tolist() == [10, 15, 15]


def test_every_row_that_is_left_out_has_one_reason():
    ids = np.array([1, 2, 3, 4, 5, 6, 7, 99, 8, 9, 10, 11, 12], np.int32)
    answers = ids % 2 == 0
    answers[-2:] = False
    tokens = Tokens(ids, answers, np.array([0, 2, 2, 6, 8, 11, 13]))  # the second row was refused
    rows = [CHAT] * 6
    masks = why_not(tokens, rows, 3, answers_only=True, vocabulary=50)
    assert [mask.nonzero()[0].tolist() for mask in masks.values()] == [[1], [2], [3], [5]]
    assert [why.split()[0] for why in masks] == ["the", "are", "hold", "have"]
    assert usable(tokens, rows, 3, answers_only=True, vocabulary=50).tolist() == [2, 0, 0, 0, 3, 0]
    assert usable(tokens, rows, 3).tolist() == [2, 0, 0, 2, 3, 2]
    assert usable(tokens, [RAW] * 6, 3).tolist() == [2, 0, 3, 2, 3, 2]


def test_rows_that_are_left_out_are_never_dealt():
    kept = np.where(np.arange(50) % 2, LENGTHS[1], 0)
    made = plan(steps=30, lengths=(LENGTHS[0], kept))
    assert all(row % 2 for step in made.steps for source, row in step if source == 1)
    assert {len(step) for step in made.steps} == {4}
    with pytest.raises(DataError, match="b: every row is longer than max_length 512"):
        plan(steps=3, lengths=(LENGTHS[0], np.zeros(50, int)))
