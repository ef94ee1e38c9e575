"""A trial again: the same job, the same score, and the run's own history left alone."""

from __future__ import annotations

import json
import os

import pytest

from pipeline.errors import InputError, OwnedError
from pipeline.fakes import FakeExecutor
from pipeline.rerun import rerun
from pipeline.types import Budget, Proposal
from tests import runs
from tests.runs import GOOD, Bench

bench = runs.bench  # the fixture


def test_a_trial_again_gives_the_same_score_and_items_and_costs_the_run_nothing(bench: Bench) -> None:
    session = bench.open()
    session.step(GOOD)
    used = session.clock.used()
    session.close()
    found = rerun(bench.folder, "t001", FakeExecutor())
    assert found.alike and found.after == found.before and found.changed_items == 0
    assert (bench.folder / "trials" / "t001.rerun-1" / "outcome.json").exists()
    assert rerun(bench.folder, "t001", FakeExecutor()).folder.endswith("t001.rerun-2")
    resumed = bench.resume()
    assert [trial.id for trial in resumed.history() if trial.kind == "recipe"] == ["t001"]
    assert resumed.clock.used() == pytest.approx(used)
    assert [note["rerun"]["alike"] for note in resumed.notes("rerun")] == [True, True]


def test_after_a_crash_doing_a_trial_again_does_not_lengthen_the_time_that_counts(bench: Bench) -> None:
    session = bench.open()
    session.step(GOOD)
    os.utime(bench.folder / "owner.json", (bench.time(), bench.time()))
    bench.crash()
    beat = bench.time()
    os.utime(bench.folder / "owner.json", (beat, beat))
    bench.time.pass_(1000)
    rerun(bench.folder, "t001", FakeExecutor())
    assert bench.resume().clock.used() == pytest.approx(12, abs=0.1)


def test_a_continued_trial_again_is_trained_from_the_beginning(bench: Bench) -> None:
    session = bench.open()
    session.step(GOOD.model_copy(update={"fidelity": 0.25}))
    session.step(Proposal(continues="t001", fidelity=1.0))
    session.close()
    found = rerun(bench.folder, "t002", FakeExecutor())
    job = json.loads((bench.folder / "trials" / "t002.rerun-1" / "job.json").read_text())
    assert found.alike and job["resume_from"] is None and job["fidelity"] == 1.0


def test_a_trial_that_was_cut_short_is_asked_for_what_it_reached(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=8.0))
    reached = session.step(GOOD).outcome
    session.close()
    assert reached is not None and reached.labels == ("cut short",)
    assert rerun(bench.folder, "t001", FakeExecutor()).alike
    job = json.loads((bench.folder / "trials" / "t001.rerun-1" / "job.json").read_text())
    assert job["fidelity"] == pytest.approx(reached.fidelity) and job["limit_seconds"] is None


def test_another_result_is_told_item_by_item(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    session = bench.open()
    session.step(GOOD)
    session.close()
    monkeypatch.setattr("pipeline.fakes.BEST_RATE", 1e-4)  # as if another library version trained differently
    found = rerun(bench.folder, "t001", FakeExecutor())
    assert not found.alike and found.changed_items > 10 and found.after != found.before


def test_only_scored_trials_of_a_run_that_nobody_owns_are_done_again(bench: Bench) -> None:
    session = bench.open()
    session.step(GOOD)
    with pytest.raises(OwnedError):
        rerun(bench.folder, "t001", FakeExecutor())
    session.close()
    with pytest.raises(InputError, match="no scored trial 'base' to do again: there are t001"):
        rerun(bench.folder, "base", FakeExecutor())
