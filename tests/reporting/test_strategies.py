"""The report on strategies: their timeline, the switch rate, what each earned; in every format, for old ledgers too."""

from __future__ import annotations

import json

import pytest

from pipeline.recipe import apply_changes
from pipeline.report import build_report, render
from pipeline.reporting.story import read_run
from pipeline.reporting.strategies import MOST_STRETCHES, strategies_of
from pipeline.types import Cost, Outcome, Proposal, Trial, Verdict
from tests.made_runs import RECIPE, START, Made, finished, score


def mixture(*names):
    return apply_changes(RECIPE, {"stages.0.data": [{"name": name} for name in names]})


def told(made, number, names, right, why=""):
    """One scored trial of ten seconds."""
    trial = Trial(id=f"t{number:03d}", recipe=mixture(*names), proposal=Proposal(author="asha", rationale=why))
    made.ledger.append("started", trial=trial, at=START + 10 * number)
    scores = (score(right, 300, "search"),) if right is not None else ()
    outcome = Outcome(scores=scores, cost=Cost(seconds=9.0), error=None if scores else "no memory")
    state = "scored" if scores else "failed"
    made.ledger.append("finished", trial=trial.id, state=state, outcome=outcome, at=START + 10 * number + 9)


@pytest.fixture
def made(tmp_path):
    run = Made(tmp_path / "run")
    run.clock("runs", 0)
    told(run, 1, ["maths_1"], 30)
    told(run, 2, ["maths_2"], 60, "probes maths_2")
    told(run, 3, ["maths_2"], 150)
    told(run, 4, ["maths_1"], 90, "reopens: the leader gains nothing")
    told(run, 5, ["facts_1"], None)
    return run


def test_switches_and_returns_are_counted_over_neighbouring_trials(made):
    found = build_report(made.folder)["strategies"]
    assert (found["pairs"], found["switches"], found["reopened"]) == (4, 3, 1)
    assert found["switch_rate"] == 0.75
    assert found["approach_switches"] == 1  # only the facts are another kind of data
    assert [step["switch"] for step in found["timeline"]] == [False, True, False, True, True]


def test_what_each_strategy_earned_is_told_best_first(made):
    rows = build_report(made.folder)["strategies"]["earned"]
    assert [(row["strategy"], row["trials"], row["scored"], row["seconds"], row["best"]) for row in rows] == [
        ("sft maths 2", 2, 2, 18.0, 0.5),
        ("sft maths 1", 2, 2, 18.0, 0.3),
        ("sft facts 1", 1, 0, 9.0, None),
    ]
    assert [row["best_trial"] for row in rows] == ["t003", "t004", None]


def test_the_timeline_says_when_what_and_why(made):
    steps = build_report(made.folder)["strategies"]["timeline"]
    assert [step["seconds"] for step in steps] == [19.0, 29.0, 39.0, 49.0, None]
    assert steps[3]["why"] == "reopens: the leader gains nothing" and steps[4]["state"] == "failed"


@pytest.mark.parametrize("form", ["text", "md", "html"])
def test_every_format_shows_them(made, form):
    page = " ".join(render(made.folder, form).split())
    for shown in ("sft maths 2", "3 switches in 4 pairs of neighbouring trials (75%)", "sft maths 2 (t002 to t003, up"):
        assert shown in page
    assert ("reopens: the leader gains nothing" in page) == (form != "text")  # trial by trial, too long for a terminal


def test_the_numbers_are_plain_json(made):
    assert json.loads(render(made.folder, "json"))["strategies"]["switches"] == 3


def test_a_rejected_proposal_and_an_anchor_have_no_place_in_it(tmp_path):
    run = finished(tmp_path / "run")
    rejected = Trial(id="t006x", proposal=Proposal(), verdicts=(Verdict(guard="bounds", ok=False, reason="no"),))
    run.ledger.append("started", trial=rejected, at=START + 200)
    run.ledger.append("finished", trial="t006x", state="rejected", at=START + 200)
    found = build_report(run.folder)["strategies"]
    assert "t006x" not in [step["trial"] for step in found["timeline"]] and found["switch_rate"] == 0.0


def test_a_run_whose_every_proposal_was_refused_tells_of_no_strategy(tmp_path):
    run = Made(tmp_path / "run")
    run.ledger.append("started", trial=Trial(id="t001"), at=START)
    run.ledger.append("finished", trial="t001", state="rejected", at=START)
    assert strategies_of(read_run(run.folder)) is None
    assert "Strategies" not in render(run.folder, "text")


def test_one_trial_has_no_switch_rate(tmp_path):
    run = Made(tmp_path / "run")
    told(run, 1, ["maths_1"], 30)
    assert build_report(run.folder)["strategies"]["switch_rate"] is None
    assert "one trial, nothing to switch from" in render(run.folder, "text")


def test_a_long_timeline_is_cut_in_the_middle(tmp_path):
    run = Made(tmp_path / "run")
    for number in range(1, MOST_STRETCHES + 12):
        told(run, number, [f"maths_{1 + number % 2}"], 30)
    text = " ".join(render(run.folder, "text").split())
    assert "; 11 more;" in text and "(t001," in text and f"(t{MOST_STRETCHES + 11:03d}," in text
