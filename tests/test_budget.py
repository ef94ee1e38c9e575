"""What a run may spend, and what becomes of it when it is closed, killed or extended."""

from __future__ import annotations

import os
import shutil

import pytest

from pipeline.errors import InputError, PosttrainError
from pipeline.fakes import fake_request
from pipeline.types import Budget, Proposal
from tests import runs
from tests.runs import GOOD, WEAK, Bench

bench = runs.bench  # the fixture


# ---------------------------------------------------------------- the budget


def test_anchors_are_outside_the_budget_and_itemised(bench: Bench) -> None:
    session = bench.open()
    session.begin()
    assert session.clock.used() == 0
    assert session.clock.outside_seconds == {"anchors": pytest.approx(6)}
    session.begin()
    assert len(bench.executor.started) == 3


def test_what_was_done_before_opening_is_itemised_as_outside_the_budget(bench: Bench) -> None:
    session = bench.open(before={"lab": 130.0})
    report = session.finish()
    assert report["spend"]["outside_budget"]["lab"] == 130.0
    assert session.clock.used() == 0


def test_a_trial_may_train_for_what_is_left_less_what_its_scoring_will_take(bench: Bench) -> None:
    session = bench.open()
    session.step(GOOD)
    session.step(WEAK)
    assert bench.job("t001")["limit_seconds"] == pytest.approx(
        100 - 2.42
    )  # as the anchors took, and a tenth twice: a first trial, and room
    assert bench.job("t002")["limit_seconds"] == pytest.approx(88 - 2.2)


def test_a_trial_that_does_not_fit_is_cut_short_in_time(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=20.0))
    session.step(GOOD)
    trial = session.step(GOOD)
    assert trial.outcome is not None and trial.outcome.labels == ("cut short",) and trial.state == "scored"
    assert 19 < session.clock.used() <= 20
    assert not session.has_room()
    with pytest.raises(InputError, match="the budget is spent"):
        session.start(GOOD)


def test_what_does_not_keep_its_limit_is_killed_within_two_percent_or_two_seconds(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = bench.open(budget=Budget(seconds=30.0))
    session.begin()
    monkeypatch.setattr("pipeline.limits.train_seconds", lambda *_: 1e9)
    monkeypatch.setenv("POSTTRAIN_FAKE_SECONDS", "500")
    trial = session.step(GOOD)
    assert trial.state == "failed" and trial.outcome is not None
    assert trial.outcome.error == "cut at the end of the budget" and trial.outcome.cost.seconds > 30
    assert 30 < session.clock.used() <= 32


def test_the_number_of_trials_is_a_budget_too(bench: Bench) -> None:
    session = bench.open(budget=Budget(trials=2))
    session.step(GOOD)
    session.step(Proposal(changes={"model": "x"}))  # a rejected one costs nothing
    session.step(WEAK)
    assert session.remaining() == Budget(trials=0)
    assert not session.has_room()


# ---------------------------------------------------------------- ends, crashes, extensions


def test_after_closing_the_run_goes_on_with_history_and_time(bench: Bench) -> None:
    session = bench.open()
    session.step(GOOD)
    session.close()
    bench.time.pass_(1000)
    resumed = bench.resume()
    assert resumed.clock.used() == pytest.approx(12)
    assert [t.state for t in resumed.history()] == ["scored"] * 4
    resumed.step(WEAK)
    assert resumed.clock.used() == pytest.approx(24)
    assert len(bench.executor.started) == 1  # the anchors are not measured again


def test_what_runs_when_a_session_is_closed_is_abandoned(bench: Bench) -> None:
    session = bench.open()
    session.start(GOOD)
    session.wait(1.0)
    session.close()
    session.close()
    resumed = bench.resume()
    assert resumed.history()[-1].state == "abandoned"
    assert resumed.remaining().trials is None and resumed.step(GOOD).id == "t002"


def test_after_a_crash_pending_trials_are_abandoned_and_scored_ones_are_kept(bench: Bench) -> None:
    session = bench.open(slots=2)
    session.start(GOOD), session.start(WEAK)
    (bench.folder / "trials" / "t001" / "outcome.json").unlink()  # t002 was done, though nobody had written it down
    bench.crash()
    resumed = bench.resume()
    assert [(t.id, t.state) for t in resumed.history()[3:]] == [("t001", "abandoned"), ("t002", "scored")]
    assert resumed.history()[4].score is not None


def test_a_crash_while_the_anchors_are_measured_measures_them_again(bench: Bench) -> None:
    session = bench.open()
    shutil.rmtree(bench.place / "instruct")
    with pytest.raises(PosttrainError, match="instruct cannot be scored: .*log.txt says more"):
        session.begin()
    bench.crash()
    fake_request(bench.place)
    resumed = bench.resume()
    resumed.begin()
    assert {t.id: t.state for t in resumed.history()} == dict.fromkeys(("base", "base_few_shot", "instruct"), "scored")
    assert resumed.clock.used() == 0


def test_after_a_crash_the_time_up_to_the_last_beat_counts(bench: Bench) -> None:
    session = bench.open()
    session.step(GOOD)
    bench.time.pass_(5)
    os.utime(bench.folder / "owner.json", (bench.time(), bench.time()))
    bench.crash()
    os.utime(bench.folder / "owner.json", (bench.time(), bench.time()))
    bench.time.pass_(1000)
    assert bench.resume().clock.used() == pytest.approx(17, abs=0.1)


def test_trying_to_open_over_a_crashed_run_leaves_its_last_beat(bench: Bench) -> None:
    bench.open().step(GOOD)
    bench.crash()
    before = (bench.folder / "owner.json").stat().st_mtime
    with pytest.raises(InputError, match="holds a run: go on with --resume"):
        bench.open()
    assert (bench.folder / "owner.json").stat().st_mtime == before


def test_a_run_driven_by_steps_counts_from_opening_to_finish(bench: Bench) -> None:
    session = bench.open(agent=None)
    session.begin()
    session.close()
    bench.time.pass_(50)
    resumed = bench.resume()
    assert resumed.clock.used() == pytest.approx(50)
    resumed.step(GOOD)
    resumed.finish()
    used = resumed.clock.used()
    resumed.close()
    bench.time.pass_(500)
    assert bench.resume().clock.used() == pytest.approx(used) == pytest.approx(62)


def test_a_budget_is_extended_on_resume(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=20.0))
    session.step(GOOD)
    session.finish()
    session.close()
    extended = bench.resume(30.0)
    assert extended.remaining().seconds == pytest.approx(38)
    assert extended.step(WEAK).state == "scored"
