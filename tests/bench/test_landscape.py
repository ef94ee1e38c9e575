"""`bench landscape`: what is tried, in which order, how it goes on, and the five properties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline import lab, plugins
from pipeline.asking import Asked
from pipeline.bench import landscape, landscape_table, results
from pipeline.errors import InputError
from pipeline.fakes import fake_request
from pipeline.ledger import Ledger
from pipeline.recipe import apply_changes, load_recipe
from pipeline.reporting.plain import to_text
from pipeline.session import Session
from pipeline.types import Brief, Budget, Dimension, Outcome, Proposal, Recipe, Score, Trial
from tests import runs
from tests.runs import Bench

bench = runs.bench  # the fixture
CELL = Asked(model="fake/base", benchmark="tiny_gsm8k", budget=Budget(), agent=None)
BEST = "maths_2 + maths_3"


def survey(session: Session, random: int = 3) -> list[str]:
    """Survey and close; the names of what was tried in this go."""
    before = len(session.ledger.history())
    landscape.survey(session, random, lambda: {})
    session.close()
    return [trial.proposal.rationale for trial in session.ledger.history()[before:] if trial.kind == "recipe"]


def open_run(bench: Bench, **changes: Any) -> Session:
    return bench.open(agent=None, budget=Budget(), keep_best=1, keep_open=0, **changes)


def test_sources_alone_come_first_then_pairs_of_the_best_then_a_triple_then_random_recipes(bench):
    tried = survey(open_run(bench))
    assert tried[:3] == ["maths_1", "maths_2", "maths_3"]
    history = landscape_table.surveyed(Ledger(bench.folder / "ledger.jsonl").history())
    best = max(tried[:3], key=lambda name: history[name].score.value)
    assert all(best in pair.split(" + ") for pair in tried[3:5])
    assert tried[5:] == ["maths_1 + maths_2 + maths_3", "random 0", "random 1", "random 2"]
    assert {trial.outcome.fidelity for trial in history.values() if trial.score} == {1.0}
    kept = [path.parent.name for path in bench.folder.glob("trials/*/model")]
    assert len(kept) == 1  # weights of the best one


def test_a_survey_that_was_interrupted_goes_on_and_more_random_recipes_can_be_added(bench):
    class Stop(Exception):
        pass

    def stop(news: Any) -> None:
        if news.what == "finished" and news.trial.proposal.rationale == "maths_3":
            raise Stop

    session = open_run(bench)
    session.on_event = stop
    with pytest.raises(Stop):
        landscape.survey(session, 2, lambda: {})
    session.close()
    rest = survey(bench.resume(), 2)
    assert len(rest) == 5 and rest[-2:] == ["random 0", "random 1"]
    assert survey(bench.resume(), 3) == ["random 2"]
    assert survey(bench.resume(), 3) == []


def test_random_recipes_are_the_random_agents_in_number_and_order(bench):
    session = open_run(bench)
    survey(session, 2)
    history = landscape_table.surveyed(session.ledger.history())
    changes = history["random 1"].proposal.changes
    assert "stages.0.params.learning_rate" in changes and history["random 0"].proposal.changes != changes
    assert history["random 1"].recipe.stages[0].params["tokens"] == session.request.recipe.stages[0].params["tokens"]
    other = landscape.Surveyor(session.brief(), 2, seed=5)
    assert other.propose(tuple(session.ledger.history())[:-2], Budget()).changes != history["random 0"].proposal.changes


def test_two_slots_are_kept_busy(bench):
    session = open_run(bench, slots=2)
    assert len(set(survey(session))) == 9


# ---------------------------------------------------------------- proposals from histories


RECIPE = apply_changes(load_recipe("tiny_gsm8k"), {})


def brief(*names: str) -> Brief:
    space = {landscape.DATA: Dimension(kind="mixture", choices=names)}
    return Brief(model="m", benchmark="tiny_gsm8k", recipe=RECIPE, space=space, cards=())


def trial(name: str, value: float | None, state: str = "scored", number: int = 0) -> Trial:
    score = Score(benchmark="b", metric="m", value=value or 0.0, stderr=0.0, n=9, role="search")
    outcome = Outcome(scores=(score,) if value is not None else (), error=None if value is not None else "no")
    data = [{"name": each, "weight": 1.0} for each in name.split(" + ") if not name.startswith("random")]
    recipe = apply_changes(RECIPE, {landscape.DATA: data}) if data else RECIPE
    proposal = Proposal(rationale=name, author=landscape_table.AUTHOR, changes={landscape.DATA: data} if data else {})
    given = {"recipe": recipe, "proposal": proposal, "outcome": None if state == "pending" else outcome}
    return Trial(id=f"t-{name}-{number}", state=state, **given)


def test_a_refused_source_is_in_no_mixture_and_a_refused_draw_is_drawn_again():
    surveyor = landscape.Surveyor(brief("maths_1", "maths_2", "maths_8"), 1, 0)
    history = [trial("maths_1", 0.2), trial("maths_2", 0.7), trial("maths_8", None, "rejected")]
    assert surveyor.propose(history, Budget()).rationale == "maths_1 + maths_2"
    history.append(trial("maths_1 + maths_2", 0.6))
    assert surveyor.propose(history, Budget()).rationale == "random 0"
    history.append(trial("random 0", None, "rejected"))
    assert surveyor.propose(history, Budget()).rationale == "random 1"
    history.append(trial("random 1", 0.1))
    assert surveyor.propose(history, Budget()) is None


def test_what_hangs_on_a_pending_trial_waits_and_random_recipes_come_forward():
    surveyor = landscape.Surveyor(brief("maths_1", "maths_2"), 1, 0)
    history = [trial("maths_1", 0.2), trial("maths_2", None, "pending")]
    assert surveyor.propose(history, Budget()).rationale == "random 0"
    history.append(trial("random 0", None, "pending"))
    assert surveyor.propose(history, Budget()) is None


def test_a_trial_that_came_to_no_end_is_tried_again():
    surveyor = landscape.Surveyor(brief("maths_1", "maths_2"), 1, 0)
    history = [trial("maths_1", None, "abandoned"), trial("maths_2", 0.3)]
    assert surveyor.propose(history, Budget()).rationale == "maths_1"
    history += [trial("maths_1", 0.2), trial("maths_1 + maths_2", 0.2), trial("random 0", None, "abandoned")]
    assert surveyor.propose(history, Budget()).rationale == "random 0"


# ---------------------------------------------------------------- properties


ITEMS = 100


def items(right: int) -> dict[str, float]:
    return {f"item-{number}": float(number < right) for number in range(ITEMS)}


def rows(*told: tuple[str, int | None]) -> tuple[list[dict[str, Any]], dict[str, dict[str, float]]]:
    """Recipes with so many right items of 100 each, where the base has 0 and instruct 100."""
    trials = [trial(name, None if right is None else right / ITEMS, "failed" if right is None else "scored")
              for name, right in told]  # fmt: skip
    found = {each.id: items(right) for each, (_, right) in zip(trials, told, strict=True) if right is not None}
    found |= {"base": items(0), "instruct": items(ITEMS)}
    return [landscape_table._row(each.proposal.rationale, each, found) for each in trials], found


GOOD = [("maths_1", 5), ("maths_2", 85), ("maths_3", 30), ("maths_4", 40), ("maths_5", 65)]
PAIRS = [(f"maths_2 + maths_{other}", 80) for other in (1, 4, 5)] + [(BEST, 95)]
TRIPLES = [(f"maths_2 + maths_3 + maths_{other}", 90) for other in (1, 4, 5)]
DRAWS = [("random 0", 10), ("random 1", 50), ("random 2", None)]


def holds(*told: tuple[str, int | None], random: int = 3) -> list[bool | None]:
    return [found["holds"] for found in landscape_table.properties(*rows(*told), random)]


def test_the_five_properties_of_a_landscape():
    found = landscape_table.properties(*rows(*GOOD, *PAIRS, *TRIPLES, *DRAWS), 3)
    assert [row["holds"] for row in found] == [True] * 5
    assert [row["of"] for row in found[:4]] == ["maths_1", "maths_2", "maths_3, maths_4, maths_5", BEST]
    assert found[0]["value"] == pytest.approx(0.05) and found[2]["value"] == 3
    assert found[3]["difference"] == pytest.approx(0.1) and found[3]["value"] > 2
    assert found[4]["value"] == pytest.approx(0.1)  # the failed recipe counts as 0


def test_each_property_can_fail():
    flat = [(f"maths_{number}", 75) for number in range(1, 6)]
    even = [(name, 76) for name, _ in PAIRS + TRIPLES]
    high = [(f"random {number}", 70) for number in range(3)]
    assert holds(*flat, *even, *high) == [False] * 5


def test_nothing_is_said_before_it_is_known():
    assert holds() == [None] * 5
    assert holds(*GOOD) == [None] * 5
    assert holds(*GOOD, *PAIRS) == [True, True, True, None, None]
    assert holds(*GOOD, *PAIRS, *TRIPLES, *DRAWS[:2]) == [True, True, True, True, None]


def test_roles_are_told_only_when_they_are_asked_for(bench):
    survey(open_run(bench), 1)
    hidden = landscape_table.cell(CELL, bench.folder, 1, reveal=False)
    assert "roles" not in hidden
    shown = landscape_table.cell(CELL, bench.folder, 1, reveal=True)
    assert set(shown["roles"]) == {"maths_1", "maths_2", "maths_3"} and all(shown["roles"].values())
    told = {
        reveal: to_text(landscape_table.page(landscape_table.document([CELL], 1, [cell])))
        for reveal, cell in ((False, hidden), (True, shown))
    }
    role = shown["roles"]["maths_1"]
    assert f"maths_1 ({role})" in told[True] and f"({role})" not in told[False]
    assert "best source alone" in told[False] and "random: " in told[False]
    values = [row["value"] for row in shown["recipes"]]
    assert values == sorted(values, reverse=True) and len(values) == 7


# ---------------------------------------------------------------- folders


def test_a_plan_is_checked_before_anything_is_run(tmp_path):
    cell = CELL.model_copy(update={"model": "lab/qwen3-base"})
    plan = landscape.Plan(tmp_path, (cell,), tokens=5000)
    landscape.check(plan)
    assert plan.folder(cell) == tmp_path / "qwen3-tiny_gsm8k"
    request = fake_request(tmp_path / "fake", model="lab/qwen3-base", agent=None)
    recipe = landscape.of_length(load_recipe("tiny_gsm8k"), 6000).model_copy(update={"model": "lab/qwen3-base"})
    results.write_json(plan.folder(cell) / "run.json", {"request": request.model_copy(update={"recipe": recipe})})
    with pytest.raises(InputError, match="another recipe or length"):
        landscape.check(plan)
    plan = landscape.Plan(tmp_path, (cell,), tokens=6000)
    with pytest.raises(InputError, match="built differently now"):
        landscape.check(plan)
    family = plugins.load("families", "qwen3").FAMILY
    base = tmp_path / f"qwen3-0-{lab.fingerprint(family, lab.scale(), 0)}" / "base"
    same = request.model_copy(update={"recipe": recipe, "model_path": str(base)})
    results.write_json(plan.folder(cell) / "run.json", {"request": same})
    landscape.check(plan)


def test_a_length_is_needed_in_tokens():
    by_steps = apply_changes(load_recipe("tiny_gsm8k"), {"stages.0.params.steps": 10})
    with pytest.raises(InputError, match="--tokens"):
        landscape.of_length(by_steps, None)
    assert landscape.of_length(by_steps, 4000).stages[0].params["tokens"] == 4000
    twice = Recipe(model="m", stages=(by_steps.stages[0],) * 2)
    with pytest.raises(InputError, match="2 stages"):
        landscape.of_length(twice, 4000)


def test_a_cells_run_is_opened_and_taken_up_again(bench, monkeypatch):
    request = fake_request(bench.place, agent=None, budget=Budget())
    monkeypatch.setattr(landscape.asking, "to_request", lambda cell, resolve: request)
    plan = landscape.Plan(bench.place / "out", (CELL,), tokens=2000)
    folder, asked = plan.folder(CELL), []

    def resolve(name: str, lab_seed: int) -> Path:
        asked.append(name)
        return bench.place / "elsewhere"

    def opened() -> None:
        session = landscape.opened(plan, CELL, resolve, runs.FakeExecutor(1, bench.time), bench.time)
        assert session.request.recipe.stages[0].params["tokens"] == 2000
        session.close()

    (folder / "sealed").mkdir(parents=True)  # it ended while it was made
    opened()
    opened()
    assert asked == []
    assert sorted(path.name for path in plan.out.iterdir()) == [folder.name, folder.name + ".interrupted"]
    (bench.place / "instruct").rename(bench.place / "cleared")
    with pytest.raises(InputError, match="fake/instruct was .* is another one now"):
        opened()
    assert asked == ["fake/instruct"]
