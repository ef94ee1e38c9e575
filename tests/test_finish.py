"""The end of a run: choice, final split, what is handed over."""

from __future__ import annotations

import os
import shutil

import pytest

from pipeline.types import Budget, Proposal
from tests import runs
from tests.runs import GOOD, RATE, WEAK, Bench

bench = runs.bench  # the fixture


def test_the_best_trial_is_chosen_scored_once_and_handed_over_with_a_report(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=1000.0))
    session.step(WEAK)
    best = session.step(GOOD)
    used = session.clock.used()
    report = session.finish()
    assert report["best_trial"] == best.id and report["final_looks"] == 1
    assert 0.3 < report["fraction"]["value"] < 1.0
    assert session.clock.used() == used == pytest.approx(report["spend"]["seconds"])
    assert set(report["spend"]["outside_budget"]) == {"anchors", "final scoring", "final model and guards"}
    assert {"report.json", "report.md", "report.html", "final_model"} <= set(os.listdir(bench.folder))
    card = (bench.folder / "final_model" / "README.md").read_text()
    assert "fake/base" in card and "learning_rate: 0.002" in card and "tiny_gsm8k" in card
    assert (bench.folder / "final_model" / "fake.json").exists()


def test_the_choice_knows_of_all_trials_though_only_the_best_ones_weights_are_kept(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=1000.0), keep_best=1)
    for rate in (1e-3, 2e-3, 5e-4, 1e-4):
        session.step(Proposal(changes={RATE: rate}))
    session.finish()
    chosen = next(event for event in session.ledger.events() if event["kind"] == "chosen")
    assert chosen["trial"] == "t002" and chosen["runner_up"] == "t001" and "best of 4" in chosen["why"]


def test_if_somebody_deleted_the_best_weights_the_next_best_is_chosen(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=1000.0))
    session.step(GOOD)
    session.step(Proposal(changes={RATE: 1e-3}))
    shutil.rmtree(bench.folder / "trials" / "t001" / "model")
    assert session.finish()["best_trial"] == "t002"


def test_finishing_again_is_a_second_look_at_the_final_split(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=15.0))
    session.step(WEAK)
    session.finish()
    session.close()
    extended = bench.resume(20.0)
    extended.step(GOOD)
    report = extended.finish()
    assert report["final_looks"] == 2 and report["best_trial"] == "t002"
    finals = [job.id for job in bench.executor.started if job.id.startswith("final/")]
    assert finals == ["final/best", "final/export"]  # the anchors' items are the same: scored once


def test_if_nothing_beats_the_base_the_base_is_the_result(bench: Bench) -> None:
    session = bench.open()
    session.step(Proposal(changes={RATE: 1e-5}, fidelity=0.02))
    report = session.finish()
    assert report["best_trial"] is None and report["fraction"]["value"] == 0.0 and report["final_looks"] == 1
    card = (bench.folder / "final_model" / "README.md").read_text()
    assert "the base itself" in card


def test_a_run_without_a_single_trial_can_be_finished(bench: Bench) -> None:
    assert bench.open(agent=None).finish()["best_trial"] is None


def test_finishing_ends_what_still_runs(bench: Bench) -> None:
    session = bench.open()
    session.start(GOOD)
    report = session.finish()
    assert report["trials"] == {"scored": 0, "failed": 1, "rejected": 0, "pending": 0}


def test_a_model_that_does_not_stop_is_not_chosen_while_another_can_be(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = bench.open(budget=Budget(seconds=1000.0))
    best = session.step(GOOD)
    session.step(Proposal(changes={RATE: 1e-3}))
    outcome = best.outcome.model_copy(update={"labels": ("does not stop",)}) if best.outcome else None
    session.ledger.append("finished", trial=best.id, state="scored", outcome=outcome)
    assert session.finish()["best_trial"] == "t002"


def test_a_changed_file_flags_the_run(bench: Bench) -> None:
    session = bench.open()
    session.step(GOOD)
    (bench.place / "base" / "fake.json").write_text('{"score": 0.0}')
    report = session.finish()
    assert report["flagged"] and report["fraction"]["value"] == 0.0
    assert any(not verdict["ok"] and verdict["guard"] == "files" for verdict in report["verdicts"])
