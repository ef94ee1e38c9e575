"""tpe: Optuna asked anew on every call, brackets that continue, failures that are no bad scores."""

from __future__ import annotations

import math
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.agents import random as random_agent
from pipeline.agents import tpe
from pipeline.agents._distributions import changes_at, distributions, point_of
from pipeline.recipe import apply_changes, check_space
from pipeline.types import Budget, Dimension, Outcome, Recipe, Trial
from tests.agents import simulation
from tests.agents.simulation import Run

NAMES = ["maths_1", "maths_2", "maths_3"]
BRIEF = simulation.brief(NAMES, Budget(seconds=300.0))
RATE = "learning_rate"


def bowl(recipe: Recipe, seconds: float) -> float:
    """Best at a learning rate of 2e-3 without maths_1, and with length."""
    stage = recipe.stages[0]
    weights = {reference.name: reference.weight for reference in stage.data}
    good = 1 - weights.get("maths_1", 0.0) / sum(weights.values())
    rate = math.exp(-abs(math.log(stage.params[RATE] / 2e-3)))
    return 0.95 * rate * good * (1 - math.exp(-seconds / 15))


def search(seed: int = 0, seconds: float = 300.0) -> Run:
    return simulation.run(tpe.create, bowl, NAMES, seconds, seed)


def test_the_first_trial_is_the_recipe_as_it_is() -> None:
    first = search().history[0].proposal
    assert first.changes == {} and first.continues is None and first.fidelity < 0.1


def test_it_learns_where_the_good_recipes_are() -> None:
    ours = [search(seed).true for seed in range(4)]
    theirs = [simulation.run(random_agent.create, bowl, NAMES, 300.0, seed).true for seed in range(4)]
    assert sum(ours) / 4 > sum(theirs) / 4


def test_trials_go_on_from_their_checkpoints_by_factors_of_three_and_begin_in_several_brackets() -> None:
    history = {trial.id: trial for trial in search().history}
    continued = [trial for trial in history.values() if trial.proposal.continues]
    assert continued
    for trial in continued:
        before = history[trial.proposal.continues or ""]
        assert before.recipe == trial.recipe and before.outcome
        longer = trial.proposal.fidelity / before.outcome.fidelity
        assert 3**0.5 < longer < 3**1.5 or trial is continued[-1]  # the first was made before throughput was known
    begun = {round(trial.proposal.fidelity, 3) for trial in history.values() if not trial.proposal.continues}
    assert len(begun) >= 2


def test_a_trial_without_any_score_is_not_promoted() -> None:
    found = simulation.run(tpe.create, lambda recipe, seconds: 0.0, NAMES, 120.0)
    assert [trial.proposal.continues for trial in found.history[:-3]] == [None] * (len(found.history) - 3)


def begun() -> list[Trial]:
    """Three trials that continue nothing, and that nothing can continue: so that all of them are told."""
    fresh = [trial for trial in search(seconds=60.0).history if not trial.proposal.continues][:3]
    outcomes = [trial.outcome.model_copy(update={"resumable": False}) for trial in fresh if trial.outcome]
    return [trial.model_copy(update={"outcome": done}) for trial, done in zip(fresh, outcomes, strict=True)]


def told(monkeypatch: pytest.MonkeyPatch, history: list[Trial]) -> optuna.Study:
    """The study that a history makes."""
    made: list[optuna.Study] = []
    create = optuna.create_study
    monkeypatch.setattr(optuna, "create_study", lambda **options: made.append(create(**options)) or made[-1])
    tpe.create(BRIEF, 0).propose(history, Budget(seconds=250.0))
    return made[-1]


def test_a_failure_is_told_as_one_and_not_as_a_bad_score(monkeypatch: pytest.MonkeyPatch) -> None:
    history = begun()
    failed = history[1].model_copy(update={"state": "failed", "outcome": Outcome(error="out of memory")})
    study = told(monkeypatch, [history[0], failed, history[2]])
    assert study.trials[1].state == optuna.trial.TrialState.FAIL and study.trials[1].value is None


def test_a_pending_trial_is_told_as_running(monkeypatch: pytest.MonkeyPatch) -> None:
    history = begun()
    history[1] = history[1].model_copy(update={"state": "pending", "outcome": None})
    assert told(monkeypatch, history).trials[1].state == optuna.trial.TrialState.RUNNING


def test_a_recipe_of_other_stages_is_no_point_of_its_space(monkeypatch: pytest.MonkeyPatch) -> None:
    history = begun()
    recipe = history[1].recipe
    assert recipe
    two = recipe.model_copy(update={"stages": (*recipe.stages, *recipe.stages)})
    study = told(monkeypatch, [history[0], history[1].model_copy(update={"recipe": two}), history[2]])
    assert study.trials[1].state == optuna.trial.TrialState.FAIL


def test_it_is_quiet(capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder) -> None:
    search(seconds=60.0)
    assert capfd.readouterr() == ("", "") and not recwarn.list


def test_values_that_do_not_go_together_are_mended_by_leaving_one_out() -> None:
    agent = tpe.Tpe(BRIEF, 0)
    changes = {"stages.0.params.tuning": "full", "stages.0.params.dora": True, "stages.0.params.rank": 4}
    mended = agent._allowed(changes)
    apply_changes(BRIEF.recipe, mended)
    assert len(mended) == 2 and mended["stages.0.params.rank"] == 4


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_every_point_is_a_patch_of_the_space_and_its_recipe_is_that_point_again(seed: int) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
    point = study.ask(distributions(BRIEF.space)).params
    changes = changes_at(point, BRIEF.space)
    assert check_space(changes, BRIEF.space) == []
    changes["stages.0.params.dora"] = False
    back = point_of(apply_changes(BRIEF.recipe, changes), BRIEF.space)
    for path, value in back.items():
        if path.endswith("dora"):
            continue
        if "/" not in path:
            assert value == pytest.approx(point[path], rel=1e-3)
        elif value > 0:
            most = max(max(point[f"stages.0.data/{name}"] for name in NAMES), 1e-9)
            assert point[path] <= 0 or value == pytest.approx(point[path] / most, abs=0.1)


@pytest.mark.parametrize(
    ("dimension", "value", "at"),
    [
        (Dimension(kind="choice", choices=(False, True), also=("auto",)), "auto", 0),
        (Dimension(kind="choice", choices=(1, True)), True, 1),
        (Dimension(kind="int", low=2, high=64, log=True), 1000, 64),
        (Dimension(kind="float", low=1e-5, high=1e-2, log=True), None, 1e-5),
        (Dimension(kind="float", low=0.0, high=0.1, log=True), 0.05, 0.05),
    ],
)
def test_what_lies_outside_the_space_is_told_as_its_nearest_point(dimension: Dimension, value: Any, at: Any) -> None:
    recipe = apply_changes(BRIEF.recipe, {})
    stage = recipe.stages[0].model_copy(update={"params": {} if value is None else {"x": value}})
    space = {"stages.0.params.x": dimension}
    point = point_of(recipe.model_copy(update={"stages": (stage,)}), space)
    assert point == {"stages.0.params.x": at}
    assert distributions(space)["stages.0.params.x"]._contains(
        distributions(space)["stages.0.params.x"].to_internal_repr(at)
    )
