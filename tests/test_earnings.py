"""Who earned what: rises of the best search score, owed to who found and who went on; what a proposal would cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import earnings
from pipeline.types import Budget, Proposal
from tests.agents.histories import base, made


def test_a_rise_is_over_the_best_so_far_and_starts_at_the_base():
    trials = [base(0.1), made(1, score=0.3), made(2, score=0.2), made(3, score=0.45), made(4, error="no")]
    assert earnings.rises(trials) == pytest.approx({"t001": 0.2, "t002": 0.0, "t003": 0.15})


def test_a_model_that_does_not_stop_raises_nothing_and_does_not_set_the_mark():
    trials = [made(1, score=0.9, labels=("does not stop",)), made(2, score=0.5)]
    assert earnings.rises(trials) == {"t002": 0.5}


def test_who_goes_on_with_another_s_trial_shares_the_rise_with_who_began_it():
    first = made(1, "random", 0.3, fidelity=0.1)
    second = made(2, "asha", 0.4, fidelity=0.3, continues="t001")
    third = made(3, "asha", 0.6, fidelity=0.9, continues="t002")
    found = earnings.earned([first, second, third])
    assert found["random"].gain == pytest.approx(0.3 + 0.1 / 2 + 0.2 / 2) and found["asha"].gain == pytest.approx(0.15)
    assert (found["asha"].trials, found["asha"].best, found["random"].best) == (2, 0.6, 0.3)


def test_an_author_inside_of_a_member_earns_for_the_member():
    assert earnings.owner(made(1, "llm:asha")) == "llm"
    assert set(earnings.earned([made(1, "llm:asha", 0.2), made(2, "llm", 0.3)])) == {"llm"}


def test_costs_and_trials_of_all_states_are_counted():
    trials = [made(1, score=0.2), made(2, error="out of memory", seconds=3.0), made(3), made(4, refused="no")]
    found = earnings.earned(trials)["asha"]
    assert (found.trials, found.scored, found.seconds, found.tokens) == (4, 1, 13.0, 104)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1)), max_size=12), st.floats(0, 1))
def test_all_gains_together_are_the_way_from_the_base_to_the_best(scores, start):
    trials = [base(start), *(made(number, author, value) for number, (author, value) in enumerate(scores, 1))]
    gains = sum(each.gain for each in earnings.earned(trials).values())
    assert gains == pytest.approx(max([start, *(value for _, value in scores)]) - start)


def test_what_a_proposal_would_cost_is_told_by_what_trials_took():
    trials = [made(1, score=0.2, fidelity=0.08), made(2)]  # 80 tokens in 8 s, 2 s of scoring; 1000 tokens in full
    cost = earnings.expected(Proposal(fidelity=0.5), trials, Budget(seconds=80.0))
    assert (cost.tokens, cost.seconds) == (500, 52.0)
    further = earnings.expected(Proposal(fidelity=0.5, continues="t001"), trials, Budget())
    assert (further.tokens, further.seconds) == (420, 44.0)


def test_it_costs_no_more_than_is_left_and_nothing_is_claimed_before_anything_was_measured():
    trials = [made(1, score=0.2, fidelity=0.08)]
    cost = earnings.expected(Proposal(fidelity=1.0), trials, Budget(seconds=12.0))
    assert (cost.tokens, cost.seconds) == (100, 12.0)
    assert earnings.expected(Proposal(), [made(1)], Budget(seconds=9.0)).seconds == 0.0
