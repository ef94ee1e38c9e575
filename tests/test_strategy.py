"""A strategy is trainers, formats and sources by stage; all else of a recipe is execution."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.recipe import apply_changes
from pipeline.strategy import of_trial, strategy_of, switched_from
from pipeline.types import Budget, DataRef, Proposal, Recipe, Stage, Strategy, Trial
from tests import runs
from tests.runs import GOOD, Bench

bench = runs.bench  # the fixture
RECIPE = Recipe(model="m", stages=(Stage(data=(DataRef(name="maths_1"), DataRef(name="maths_2"))),))


def recipe(*stages: tuple[str, ...], **more: Any) -> Recipe:
    return Recipe(model="m", stages=tuple(Stage(data=tuple(map(_ref, names)), **more) for names in stages))


def _ref(name: str) -> DataRef:
    return DataRef(name=name)


@pytest.mark.parametrize(
    "changes",
    [
        {"stages.0.params.rank": 2},
        {"stages.0.params.tuning": "full"},
        {"stages.0.params.tokens": 9},
        {"stages.0.data": [{"name": "maths_2", "weight": 0.1}, {"name": "maths_1", "limit": 5}]},
        {"stages.0.data": [{"name": "maths_1", "filters": ["short"]}, {"name": "maths_2"}]},
        {"stages.0.data": [{"name": "maths_1"}, {"name": "maths_2"}, {"name": "facts_1", "weight": 0}]},
        {"seed": 5},
    ],
)
def test_execution_is_not_strategy(changes: dict[str, Any]) -> None:
    assert strategy_of(apply_changes(RECIPE, changes)) == strategy_of(RECIPE)


@pytest.mark.parametrize(
    "other",
    [
        recipe(("maths_1",)),
        recipe(("maths_1", "maths_3")),
        recipe(("maths_1", "maths_2"), ("maths_2",)),
        recipe(("maths_1", "maths_2"), trainer="my.trainer"),
    ],
)
def test_another_source_stage_or_trainer_is_another_strategy(other: Recipe) -> None:
    assert strategy_of(other).key != strategy_of(RECIPE).key
    assert strategy_of(other).name != strategy_of(RECIPE).name


def test_the_order_of_stages_counts_and_that_of_sources_does_not() -> None:
    forward, back = strategy_of(recipe(("a",), ("b",))), strategy_of(recipe(("b",), ("a",)))
    assert forward.key != back.key
    assert strategy_of(recipe(("a", "b"))) == strategy_of(recipe(("b", "a")))


@pytest.mark.parametrize(
    ("stages", "name"),
    [
        ((("maths_3", "maths_1"),), "sft maths 1+3"),
        ((("maths_10", "maths_9", "maths_8", "maths_2"),), "sft maths 2+8-10"),
        ((("chat",), ("maths_1", "chat")), "sft chat > sft chat + maths 1"),
        ((("maths", "maths_1"),), "sft maths + maths 1"),
        ((("OpenR1-Math", "gsm8k_train"),), "sft OpenR1-Math + gsm8k_train"),
        ((("a", "b", "c", "d", "e", "f"),), "sft a + b + c + d + 2 more"),
    ],
)
def test_names_are_short(stages: tuple[tuple[str, ...], ...], name: str) -> None:
    assert strategy_of(recipe(*stages)).name == name


def test_the_coarse_view_is_by_kinds_of_data() -> None:
    kinds = {"maths_1": "maths", "maths_2": "maths", "maths_3": "chat"}
    views = [strategy_of(recipe(names), kinds).approach for names in (("maths_1",), ("maths_2",), ("maths_3",))]
    assert views[0] == views[1] != views[2]
    assert strategy_of(recipe(("facts_7", "calls_2"))).stages[0].kinds == ("calls", "facts")


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,12}", fullmatch=True)


@given(st.lists(st.lists(NAMES, min_size=1, max_size=6, unique=True), min_size=1, max_size=3))
def test_any_names_make_a_strategy_that_crosses_json(stages: list[list[str]]) -> None:
    found = strategy_of(recipe(*map(tuple, stages)))
    assert Strategy.model_validate_json(found.model_dump_json()) == found
    assert [set(stage.sources) for stage in found.stages] == [set(names) for names in stages]
    assert found.key == strategy_of(recipe(*(tuple(reversed(names)) for names in stages))).key


def test_a_trial_of_an_old_ledger_has_the_strategy_of_its_recipe_and_one_without_a_recipe_has_none() -> None:
    old = Trial(id="t001", recipe=RECIPE)
    assert of_trial(old) == strategy_of(RECIPE) and of_trial(Trial(id="t002")) is None
    assert switched_from(Trial(id="t003", recipe=recipe(("a",))), [old, Trial(id="t002")]) == "sft maths 1+2"
    assert switched_from(Trial(id="t003", recipe=RECIPE), [old]) is switched_from(old, []) is None


def test_the_ledger_carries_strategies_and_switches_and_none_of_a_rejected_proposal(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=100.0))
    session.step(GOOD)
    session.step(Proposal(changes={"stages.0.params.rank": 10**6}))
    session.step(Proposal(changes={"stages.0.data": [{"name": "maths_3"}]}))
    started = [event for event in session.ledger.events() if event["kind"] == "started"]
    told = [(event["trial"]["strategy"], event.get("switched_from")) for event in started[-3:]]
    assert told[0][0]["name"] == "sft maths 1+2" and told[0][1] is None
    assert told[1] == (None, None)
    assert told[2][0]["name"] == "sft maths 3" and told[2][1] == "sft maths 1+2"
    assert [trial.strategy and trial.strategy.name for trial in session.history() if trial.kind == "recipe"] == [
        "sft maths 1+2", None, "sft maths 3",
    ]  # fmt: skip
