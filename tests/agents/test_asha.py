"""asha: every source is probed, mixtures are promoted and continued, the leader takes the rest."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipeline.agents import _drawing, asha
from pipeline.agents._pace import ETA, Pace
from pipeline.recipe import apply_changes, load_recipe, search_space
from pipeline.types import Brief, Budget, Cost, Outcome, Proposal, Score, Trial

NAMES = [f"maths_{i}" for i in range(1, 6)]
WORTH = {"maths_1": 0.0, "maths_2": 0.4, "maths_3": 0.02, "maths_4": 0.3, "maths_5": 0.2}
RECIPE = load_recipe("tiny_gsm8k")
FULL_SECONDS, BESIDE_SECONDS = 160.0, 1.0


def brief(budget: float = 120.0) -> Brief:
    return Brief(
        model="m", benchmark="b", recipe=RECIPE, space=search_space(RECIPE, NAMES), cards=(),
        budget=Budget(seconds=budget),
    )  # fmt: skip


def run(seed: int = 0, budget: float = 120.0, refused: Sequence[str] = ()) -> list[Trial]:
    """A search in which a mixture is worth the mean of its sources, more with length, and more for more sources."""
    history: list[Trial] = []
    left = budget
    while left > 2:
        proposal = asha.create(brief(budget), seed).propose(history, Budget(seconds=left))
        if proposal is None:
            break
        before = next((t for t in history if t.id == proposal.continues), None)
        done = before.outcome.fidelity if before and before.outcome else 0.0
        seconds = min((proposal.fidelity - done) * FULL_SECONDS, left - BESIDE_SECONDS)
        recipe = apply_changes(RECIPE, proposal.changes)
        trial = Trial(id=f"t{len(history) + 1:03d}", state="scored", recipe=recipe, proposal=proposal)
        shares = _drawing.mixture_of(trial)
        if set(refused) & set(shares):
            history.append(trial.model_copy(update={"state": "rejected"}))
            continue
        fidelity = done + seconds / FULL_SECONDS
        good = sum(WORTH[name] > 0.1 for name in shares)
        value = min(1.0, sum(WORTH[n] * s for n, s in shares.items()) * (0.5 + fidelity) + 0.1 * (good - 1))
        score = Score(benchmark="b", metric="m", value=max(0.0, value), stderr=0.02, n=300, role="search")
        cost = Cost(seconds=seconds + BESIDE_SECONDS, train_seconds=seconds, tokens=1000)
        outcome = Outcome(scores=(score,), fidelity=fidelity, cost=cost, resumable=True)
        history.append(trial.model_copy(update={"outcome": outcome}))
        left -= seconds + BESIDE_SECONDS
    return history


def test_every_source_is_probed_alone_before_any_mixture() -> None:
    history = run()
    probed = [next(iter(_drawing.mixture_of(trial))) for trial in history[: len(NAMES)]]
    assert sorted(probed) == NAMES and all(len(_drawing.mixture_of(t)) == 1 for t in history[: len(NAMES)])
    assert all(len(_drawing.mixture_of(trial)) > 1 for trial in history[len(NAMES) :])


def test_the_first_mixture_is_of_all_sources_that_showed_promise() -> None:
    assert set(_drawing.mixture_of(run()[len(NAMES)])) == {"maths_2", "maths_4", "maths_5"}


def test_a_refused_source_is_never_asked_for_again() -> None:
    history = run(refused=["maths_2"])
    assert sum("maths_2" in _drawing.mixture_of(trial) for trial in history) == 1


def test_the_leader_takes_the_rest_of_the_budget_from_its_checkpoint() -> None:
    last = run()[-1]
    assert last.proposal.continues and last.outcome and last.outcome.cost.train_seconds > 0.2 * 120


def test_a_promotion_is_the_same_recipe_further_on() -> None:
    history = {trial.id: trial for trial in run(budget=600.0)}
    continued = [trial for trial in history.values() if trial.proposal.continues]
    assert continued
    for trial in continued:
        before = history[trial.proposal.continues or ""]
        assert before.recipe == trial.recipe and before.outcome
        assert trial.proposal.fidelity > before.outcome.fidelity


def test_rungs_are_powers_of_three_of_the_probe() -> None:
    history = run(budget=600.0)
    pace = Pace(brief(600.0), history)
    for rung, trials in pace.rungs(history).items():
        for trial in trials:
            assert (
                trial.outcome
                and rung == 0
                or ETA**-0.51 < trial.outcome.fidelity / (pace.probe * ETA**rung) < ETA**0.51
            )


def test_seeds_differ_and_one_seed_repeats_itself() -> None:
    orders = [[trial.proposal for trial in run(seed)] for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_sources_are_valued_by_the_best_they_had_a_share_in() -> None:
    def trial(name: str, share: float) -> Trial:
        data = [{"name": name, "weight": share}, {"name": "maths_1", "weight": 1 - share}]
        changes = {_drawing.DATA: data}
        return Trial(id=name, recipe=apply_changes(RECIPE, changes), proposal=Proposal(changes=changes))

    values = _drawing.source_values([(trial("maths_2", 0.25), 1.0), (trial("maths_3", 0.25), 0.2)])
    assert values["maths_2"] == 0.5 and values["maths_1"] > values["maths_2"] > values["maths_3"]


@pytest.mark.parametrize(("seconds", "explores"), [(60.0, False), (600.0, False), (7200.0, True)])
def test_where_looks_are_dear_the_recipe_as_it_is_gets_the_whole_budget(seconds, explores):
    told = brief(seconds)
    slow = Trial(id="base", kind="anchor", state="scored", outcome=Outcome(cost=Cost(seconds=110.0)))
    slower = slow.model_copy(update={"id": "base_few_shot", "outcome": Outcome(cost=Cost(seconds=300.0))})
    proposal = asha.create(told, 0).propose([slow, slower], Budget(seconds=seconds))
    assert (proposal.changes != {}) == explores and (proposal.fidelity < 0.1) == explores


@pytest.mark.parametrize(("seconds", "explores"), [(20.0, False), (5.0, True)])
def test_one_source_is_explored_only_where_looks_are_cheap(seconds, explores):
    told = brief(600.0)
    data = told.space[_drawing.DATA].model_copy(update={"choices": ("maths_1",)})
    alone = told.model_copy(update={"space": told.space | {_drawing.DATA: data}})
    base = Trial(id="base", kind="anchor", state="scored", outcome=Outcome(cost=Cost(seconds=seconds)))
    assert asha.create(told, 0).propose([base], Budget(seconds=600.0)).changes != {}
    assert (asha.create(alone, 0).propose([base], Budget(seconds=600.0)).changes != {}) == explores
