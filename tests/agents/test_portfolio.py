"""portfolio: probes within a quarter, strategies reopened where the leader flattens; its siblings lock theirs in."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from pipeline.agents import _inside, portfolio, portfolio_first, portfolio_probe
from pipeline.agents._probes import Probes
from pipeline.recipe import apply_changes
from pipeline.strategy import of_trial, strategy_of
from pipeline.types import Budget, Cost, Outcome, Proposal, Recipe, Score, Trial
from tests.agents import simulation
from tests.agents.simulation import Run

NAMES = ["maths_1", "maths_2", "maths_3"]


def plateau(recipe: Recipe, seconds: float) -> float:
    """maths_2 is quick and ends at 0.4, maths_3 starts late and ends at 0.95, maths_1 teaches nothing; a mixture is as
    good as the worst of what it mixes."""
    ends = {"maths_1": 0.02, "maths_2": 0.4 * (1 - math.exp(-seconds / 5)), "maths_3": 0.95 * _late(seconds)}
    return min(ends[reference.name] for reference in recipe.stages[0].data)


def _late(seconds: float) -> float:
    return 1 - math.exp(-((seconds / 30) ** 1.3))


def names_of(run: Run) -> list[str]:
    return [found.name for trial in run.history if (found := of_trial(trial))]


def probes_of(run: Run, names: Sequence[str], seconds: float, seed: int) -> list[Trial]:
    brief = simulation.brief(names, Budget(seconds=seconds))
    return Probes(brief, seed, run.history).made


@pytest.mark.parametrize("seed", range(3))
def test_a_second_strategy_is_found_where_the_first_flattens(seed: int) -> None:
    found = simulation.run(portfolio.create, plateau, NAMES, 300.0, seed)
    assert found.true > 0.8
    turns = [trial.proposal.rationale for trial in found.history if "reopens sft maths 3" in trial.proposal.rationale]
    assert turns and all("at best" in why and "expected to reach" in why for why in turns)


@pytest.mark.parametrize("seed", range(3))
def test_without_reopening_the_search_stays_where_it_flattened(seed: int) -> None:
    for create in (portfolio_probe.create, portfolio_first.create):
        assert simulation.run(create, plateau, NAMES, 300.0, seed).true < 0.5


def test_the_first_strategy_is_kept_for_good_by_portfolio_first() -> None:
    found = simulation.run(portfolio_first.create, plateau, NAMES, 120.0)
    assert set(names_of(found)) == {"sft maths 1-3"} and len(found.history) > 2


def test_the_strategy_that_looked_best_after_the_probes_is_kept_by_portfolio_probe() -> None:
    found = simulation.run(portfolio_probe.create, plateau, NAMES, 300.0)
    after = len(probes_of(found, NAMES, 300.0, 0))
    assert len(set(names_of(found)[:after])) == 3 and len(set(names_of(found)[after:])) == 1


@pytest.mark.parametrize("seconds", [60.0, 120.0, 600.0])
@pytest.mark.parametrize("seed", range(3))
def test_all_probes_together_take_a_quarter_of_the_budget_at_most(seconds: float, seed: int) -> None:
    landscape, names = simulation.lab(seed)
    found = simulation.run(portfolio.create, landscape, names, seconds, seed)
    probes = probes_of(found, names, seconds, seed)
    costs = [trial.outcome.cost for trial in probes if trial.outcome]
    assert len(costs) >= 3 and sum(cost.seconds for cost in costs) <= 0.2501 * seconds
    longest = min(simulation.FULL_SECONDS, 0.5 * seconds)
    assert all(trial.outcome and trial.outcome.fidelity * simulation.FULL_SECONDS <= 0.11 * longest for trial in probes)


def test_where_the_quarter_pays_for_it_every_source_is_probed_alone_and_at_one_length() -> None:
    landscape, names = simulation.lab(1)
    found = simulation.run(portfolio.create, landscape, names, 600.0, 1)
    pieces = Probes(simulation.brief(names, Budget(seconds=600.0)), 1, found.history).pieces()
    assert sorted(pieces) == [(name,) for name in names]
    lengths = [trial.outcome.fidelity for trial in pieces.values() if trial.outcome]
    assert max(lengths) < 1.1 * min(lengths)


def test_where_it_does_not_groups_cover_all_sources() -> None:
    landscape, names = simulation.lab(1)
    found = simulation.run(portfolio.create, landscape, names, 60.0, 1)
    groups = Probes(simulation.brief(names, Budget(seconds=60.0)), 1, found.history).groups
    assert sorted(name for group in groups for name in group) == names and max(map(len, groups)) == 2


def test_a_refused_source_is_found_in_its_group_and_never_asked_for_again() -> None:
    landscape, names = simulation.lab(2)
    found = simulation.run(portfolio.create, landscape, names, 120.0, 2, refused=["maths_5"])
    rejected = [trial for trial in found.history if trial.state == "rejected"]
    assert 1 <= len(rejected) <= 3 and found.true > 0.3
    asked = {name for trial in found.history for name in _sources(trial)}
    assert asked == set(names)


def _sources(trial: Trial) -> set[str]:
    return {reference.name for reference in trial.recipe.stages[0].data} if trial.recipe else set()


def test_on_a_landscape_with_the_labs_traps_it_is_ahead_of_the_locked_ones_and_of_random() -> None:
    arms = {module.__name__.rpartition(".")[2]: _mean(module.create) for module in (portfolio, portfolio_first)}
    assert arms["portfolio"] > arms["portfolio_first"] + 0.2


def _mean(create) -> float:  # type: ignore[no-untyped-def]
    return sum(simulation.run(create, *simulation.lab(seed), 120.0, seed).true for seed in range(6)) / 6


def test_every_move_says_on_which_evidence() -> None:
    landscape, names = simulation.lab(3)
    found = simulation.run(portfolio.create, landscape, names, 300.0, 3)
    starts = ("probes", "continues", "opens", "reopens", "stays with")
    assert all(trial.proposal.rationale.startswith(starts) for trial in found.history)


def test_a_leader_at_full_length_is_not_the_end() -> None:
    landscape, names = simulation.lab(0)
    found = simulation.run(portfolio.create, landscape, names, 600.0, 0, full_seconds=30.0)
    full = [at for at, trial in enumerate(found.history) if trial.outcome and trial.outcome.fidelity >= 1.0]
    assert full and len(found.history) > full[0] + 3
    assert simulation.BESIDE_SECONDS + sum(t.outcome.cost.seconds for t in found.history if t.outcome) > 0.8 * 600


def failed(number: int, changes: dict, recipe: Recipe) -> Trial:
    outcome = Outcome(error="out of memory", cost=Cost(seconds=1.0))
    proposal, done = Proposal(changes=changes), apply_changes(recipe, changes)
    return Trial(id=f"t{number:03d}", state="failed", recipe=done, proposal=proposal, outcome=outcome)


def test_where_every_trial_fails_the_search_ends() -> None:
    brief = simulation.brief(NAMES, Budget(seconds=120.0), prior=[{}, {"stages.0.params.batch_size": 4}])
    history: list[Trial] = []
    for number in range(1, 30):
        proposal = portfolio.create(brief, 0).propose(history, Budget(seconds=120.0 - number))
        if proposal is None:
            break
        history.append(failed(number, proposal.changes, brief.recipe))
    assert proposal is None and {"stages.0.params.batch_size": 4} in [trial.proposal.changes for trial in history]


def test_with_scores_of_zero_it_trains_for_longer_instead_of_giving_up() -> None:
    found = simulation.run(portfolio.create, lambda recipe, seconds: 0.0, NAMES, 120.0)
    lengths = [trial.outcome.fidelity for trial in found.history if trial.outcome]
    assert max(lengths) > 3 * min(lengths) and len(found.history) > 4


def test_trials_of_others_in_the_same_history_count_as_strategies_too() -> None:
    brief = simulation.brief(NAMES, Budget(seconds=120.0))
    changes = {"stages.0.data": [{"name": "maths_1", "weight": 0.7}, {"name": "maths_3", "weight": 0.3}]}
    score = Score(benchmark="b", metric="m", value=0.6, stderr=0.03, n=300, role="search")
    outcome = Outcome(scores=(score,), fidelity=0.05, cost=Cost(seconds=11, train_seconds=10, tokens=9), resumable=True)
    theirs = Trial(id="t001", state="scored", recipe=apply_changes(brief.recipe, changes),
                   proposal=Proposal(changes=changes, author="llm"), outcome=outcome)  # fmt: skip
    history = [theirs]
    for _ in range(6):
        proposal = portfolio.create(brief, 0).propose(history, Budget(seconds=80.0))
        assert proposal is not None
        if proposal.continues == "t001":
            return
        zero = outcome.model_copy(update={"scores": (score.model_copy(update={"value": 0.01}),), "fidelity": 0.02})
        history.append(Trial(id=f"t{len(history) + 1:03d}", state="scored", proposal=proposal, outcome=zero,
                             recipe=apply_changes(brief.recipe, proposal.changes)))  # fmt: skip
    raise AssertionError("the best trial, another agent's, was never continued")


def bowl(recipe: Recipe, seconds: float) -> float:
    """Every mixture learns alike; only the learning rate counts, and 2e-3 is best."""
    rate = recipe.stages[0].params["learning_rate"]
    return 0.9 * math.exp(-abs(math.log(rate / 2e-3))) * (1 - math.exp(-seconds / 15))


def test_where_a_strategy_has_enough_trials_tpe_searches_inside_it_and_keeps_it() -> None:
    found = simulation.run(portfolio.create, bowl, NAMES, 1200.0, 1, full_seconds=60.0)
    inside = [trial for trial in found.history if "TPE" in trial.proposal.rationale]
    assert inside and found.true > 0.8
    by_id = {trial.id: trial for trial in found.history}
    for trial in inside:
        mine, parents = of_trial(trial), of_trial(by_id[trial.proposal.parent or ""])
        assert mine and parents and mine.key == parents.key
        assert trial.proposal.rationale.startswith("stays with")


def test_a_strategy_of_other_stages_than_the_recipes_is_not_asked_of_tpe() -> None:
    brief = simulation.brief(NAMES, Budget(seconds=120.0))
    other = strategy_of(brief.recipe.model_copy(update={"stages": (*brief.recipe.stages, *brief.recipe.stages)}))
    good = simulation.run(portfolio.create, bowl, NAMES, 300.0).history
    assert not _inside.is_modelled(brief, good, other)
    assert _inside.is_modelled(brief, good, strategy_of(brief.recipe))
