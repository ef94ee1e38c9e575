"""The critic's rules: what would be a waste is vetoed with its reason, all else passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.agents import _critic
from pipeline.recipe import apply_changes
from pipeline.types import Proposal
from tests.agents.histories import BRIEF, RATE, RECIPE, data, made

RULES = _critic.Rules(BRIEF)
MIX = data(maths_1=0.5, maths_2=0.5)


def verdict(proposal: Proposal, *history) -> str | None:
    veto = RULES.review(proposal, history)
    return veto.rule if veto else None


def asks(changes=None, fidelity=0.5, **more) -> Proposal:
    return Proposal(changes=changes or {}, fidelity=fidelity, **more)


def test_a_tried_recipe_is_worth_trying_at_a_higher_fidelity_only():
    history = [made(1, score=0.3, changes=MIX)]
    assert verdict(asks(MIX), *history) == "duplicate"
    assert verdict(asks(MIX, 0.2), *history) == "duplicate"
    assert verdict(asks(MIX, 0.9), *history) is None
    assert verdict(asks(data(maths_1=2.0, maths_2=2.0)), *history) == "duplicate"  # the same rows, said otherwise
    assert verdict(asks({**MIX, "seed": 7}), *history) is None  # another seed is asked for on purpose


def test_what_a_trial_reached_counts_not_what_it_asked_for():
    assert verdict(asks(MIX, 1.0), made(1, score=0.3, changes=MIX, fidelity=1.0, reached=0.4)) is None


def test_a_recipe_that_is_being_tried_or_failed_is_a_duplicate_and_one_that_was_abandoned_or_refused_is_not():
    assert verdict(asks(MIX), made(1, changes=MIX)) == "duplicate"
    assert verdict(asks(MIX), made(1, changes=MIX, error="out of memory")) == "duplicate"
    assert verdict(asks(MIX), made(1, changes=MIX, state="abandoned")) is None


def test_going_on_is_judged_by_the_recipe_that_is_continued():
    history = [made(1, score=0.3, changes=MIX, fidelity=0.2)]
    assert verdict(asks(fidelity=0.6, continues="t001"), *history) is None
    running = made(2, changes=MIX, fidelity=0.6, continues="t001")
    assert verdict(asks(fidelity=0.6, continues="t001"), *history, running) == "duplicate"
    assert verdict(asks(continues="t009"), *history) is None  # the session's door says that there is none


def test_parameters_of_an_adapter_make_no_difference_where_all_weights_are_trained():
    full, rank = {"stages.0.params.tuning": "full"}, "stages.0.params.rank"
    assert verdict(asks({**full, rank: 8}), made(1, score=0.3, changes={**full, rank: 32})) == "duplicate"
    lora = {"stages.0.params.tuning": "lora"}
    assert verdict(asks({**lora, rank: 8}), made(1, score=0.3, changes={**lora, rank: 32})) is None


@pytest.mark.parametrize(
    ("tried", "asked", "expected"),
    [
        ({RATE: 2e-3}, {RATE: 2.05e-3}, "within noise"),
        ({RATE: 2e-3}, {RATE: 4e-3}, None),
        (data(maths_1=0.5, maths_2=0.5), data(maths_1=0.51, maths_2=0.49), "within noise"),
        (data(maths_1=0.5, maths_2=0.5), data(maths_1=0.6, maths_2=0.4), None),
        (data(maths_1=1.0), data(maths_2=1.0), None),
        ({"stages.0.params.answers_only": True}, {"stages.0.params.answers_only": False}, None),
        ({"stages.0.params.weight_decay": 0.0}, {"stages.0.params.weight_decay": 0.001}, "within noise"),
    ],
)
def test_a_proposal_too_near_a_tried_one_is_vetoed(tried, asked, expected):
    assert verdict(asks(asked), made(1, score=0.3, changes=tried)) == expected
    assert verdict(asks(asked, 0.9), made(1, score=0.3, changes=tried)) is None  # at a higher fidelity it tells more
    assert verdict(asks(asked), made(1, changes=tried, error="the loss became NaN")) is None


def test_more_stages_are_another_recipe():
    stage = RECIPE.stages[0].model_dump(mode="json")
    assert verdict(asks({"stages": [stage, stage]}), made(1, score=0.3)) is None
    assert verdict(asks({"stages": [stage, stage]}), made(1, score=0.3, changes={"stages": [stage, stage]}))


@given(st.floats(1e-5, 2e-2), st.floats(1e-5, 2e-2))
def test_distance_is_a_share_of_the_logarithmic_range_and_the_same_both_ways(one, other):
    recipes = [apply_changes(RECIPE, {RATE: rate}) for rate in (one, other)]
    there = _critic.distance(*recipes, BRIEF.space)
    assert 0 <= there <= 1 + 1e-9 and there == pytest.approx(_critic.distance(*reversed(recipes), BRIEF.space))


REFUSED = "maths_2: 3 rows hold final benchmark items (900 rows in all): leave this source out"


def test_a_source_that_a_guard_refused_is_vetoed_in_every_mixture_and_the_others_are_not():
    refusal = made(1, changes=MIX, refused=REFUSED)
    assert verdict(asks(data(maths_2=0.1, maths_3=0.9)), refusal) == "refused source"
    assert verdict(asks(data(maths_1=0.5, maths_3=0.5)), refusal) is None
    assert verdict(asks(data(maths_2=0.0, maths_3=1.0)), refusal) is None  # no row of it is drawn


def test_where_a_guard_names_no_source_it_is_the_only_one_that_no_scored_trial_has_used():
    refusal = made(1, changes=MIX, refused="something is wrong with these rows")
    assert verdict(asks(data(maths_2=1.0)), refusal) is None
    assert verdict(asks(data(maths_2=1.0)), refusal, made(2, score=0.2, changes=data(maths_1=1.0))) == "refused source"


def test_a_structure_that_never_scored_and_failed_alike_twice_is_vetoed():
    out = [
        made(number, changes={RATE: rate}, error=f"out of memory: {number} GB")
        for number, rate in [(1, 1e-3), (2, 4e-3)]
    ]
    assert verdict(asks({RATE: 1e-4}), *out) == "failing structure"
    assert verdict(asks({RATE: 1e-4}), out[0]) is None
    assert verdict(asks({RATE: 1e-4}), out[0], made(2, changes={RATE: 4e-3}, error="no row is left")) is None
    assert verdict(asks({RATE: 1e-4}), *out, made(3, score=0.1, changes={RATE: 2e-5})) is None  # its numbers failed
    assert verdict(asks({**MIX, RATE: 1e-4}), *out) is None  # other sources: another structure


def test_trials_that_the_budget_ended_say_nothing_of_their_structure():
    cut = [made(number, changes={RATE: number / 1e3}, error="cut at the end of the budget") for number in (1, 2)]
    assert verdict(asks({RATE: 1e-4}), *cut) is None


def test_what_is_no_recipe_is_left_to_the_door():
    assert verdict(asks({"stages.0.params.no_such": 1}), made(1, score=0.2)) is None
