"""The doors of a run: what is checked, recorded and kept."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputError, OwnedError
from pipeline.request import News, RunRequest
from pipeline.session import Session
from pipeline.types import Budget, Job, Proposal
from tests import runs
from tests.runs import GOOD, RATE, WEAK, Bench

bench = runs.bench  # the fixture


# ---------------------------------------------------------------- opening


def test_a_folder_with_something_in_it_is_refused_and_left_alone(bench: Bench) -> None:
    bench.folder.mkdir()
    (bench.folder / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty: name a new folder"):
        bench.open()
    assert os.listdir(bench.folder) == ["thesis.txt"]


def test_a_run_that_somebody_owns_is_refused_with_the_pid(bench: Bench) -> None:
    bench.open()
    with pytest.raises(OwnedError, match=f"living process {os.getpid()}"):
        bench.open()
    with pytest.raises(OwnedError, match=f"living process {os.getpid()}"):
        bench.resume()


def test_a_run_that_nobody_owns_is_not_opened_over(bench: Bench) -> None:
    bench.open().close()
    with pytest.raises(InputError, match="holds a run: go on with --resume"):
        bench.open()


def test_a_request_that_cannot_run_leaves_no_folder(bench: Bench) -> None:
    with pytest.raises(InputError, match="unknown benchmark 'tiny_gsm9k'.*tiny_gsm8k"):
        bench.open(benchmark="tiny_gsm9k")
    assert not bench.folder.exists()


def test_only_a_run_folder_is_resumed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run folder"):
        Session.resume(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_run_json_has_the_request_versions_and_fingerprints(bench: Bench) -> None:
    session = bench.open()
    document = json.loads((bench.folder / "run.json").read_text())
    assert RunRequest.model_validate(document["request"]) == session.request
    assert document["versions"]["torch"] and document["versions"]["posttrain"]
    assert {"recipe", "data", "benchmark"} <= document["fingerprints"].keys()


# ---------------------------------------------------------------- the salt and the final split


def test_the_salt_is_for_the_owner_only_and_no_trial_is_given_it(bench: Bench) -> None:
    session = bench.open()
    sealed = bench.folder / "sealed"
    assert stat.S_IMODE(sealed.stat().st_mode) == 0o700
    assert stat.S_IMODE((sealed / "salt").stat().st_mode) == 0o600
    salt = (sealed / "salt").read_text()
    session.step(GOOD)
    assert len(salt) >= 16 and bench.job("t001")["key"]["salt"] == ""
    outside = [path for path in bench.folder.rglob("*") if path.is_file() and sealed not in path.parents]
    assert len(outside) > 5 and not [path for path in outside if salt in path.read_text()]


def test_history_never_shows_a_final_score(bench: Bench) -> None:
    session = bench.open()
    session.step(GOOD)
    session.finish()
    shown = json.dumps([trial.model_dump() for trial in session.history()])
    assert '"final"' not in shown and "sealed" not in shown
    finals = [event for event in session.ledger.events() if event["kind"] == "scored"]
    assert {event["which"] for event in finals} == {"base", "base_few_shot", "instruct", "best"}
    assert all(event["items"].startswith("sealed/") for event in finals)


# ---------------------------------------------------------------- start, wait, step, cancel


def test_a_step_is_recorded_from_start_to_score(bench: Bench) -> None:
    session = bench.open()
    trial = session.step(GOOD)
    assert trial.state == "scored" and trial.score is not None and trial.score.value > 0.3
    assert [t.id for t in session.history()] == ["base", "base_few_shot", "instruct", "t001"]
    assert bench.job("t001")["recipe"]["stages"][0]["params"]["learning_rate"] == 2e-3


def test_a_trial_that_is_running_is_pending_in_history_and_counts_as_spent(bench: Bench) -> None:
    session = bench.open(slots=2, budget=Budget(seconds=100, trials=5))
    first, second = session.start(GOOD), session.start(WEAK)
    assert [t.state for t in session.history() if t.kind == "recipe"] == ["pending", "pending"]
    assert session.remaining().trials == 3
    ended = [session.wait(), session.wait()]
    assert {t.id for t in ended if t} == {first.id, second.id}
    assert session.wait() is None


def test_two_slots_run_two_trials_at_once(bench: Bench) -> None:
    session = bench.open(slots=2)
    session.begin()
    before = session.clock.used()
    session.start(GOOD), session.start(WEAK)
    session.wait(), session.wait()
    assert session.clock.used() - before == pytest.approx(12)  # not 24


def test_a_start_without_a_free_slot_says_what_to_do(bench: Bench) -> None:
    session = bench.open()
    session.start(GOOD)
    assert not session.has_room()
    with pytest.raises(InputError, match="all slots are busy: wait"):
        session.start(WEAK)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({RATE: 0.9}, "must be from"),
        ({"stages.0.params.no_such": 1}, "no_such"),
        ({"model": "lab/qwen3"}, "model"),
        ({"stages.0.data": [{"name": "maths_3"}, {"name": "/etc/passwd"}]}, "passwd"),
        ({"stages.0.data": [{"name": "calls_1"}]}, "calls_1"),
    ],
)
def test_a_proposal_outside_the_space_is_a_record_not_an_exception(
    bench: Bench, changes: dict[str, Any], reason: str
) -> None:
    session = bench.open()
    trial = session.step(Proposal(changes=changes))
    assert trial.state == "rejected"
    assert reason in trial.verdicts[-1].reason and not trial.verdicts[-1].ok
    assert session.history()[-1] == trial and session.remaining().trials is None
    assert len(bench.executor.started) == 3  # the anchors


def test_a_failed_trial_is_a_result_with_its_error_and_cost(bench: Bench) -> None:
    session = bench.open()
    trial = session.step(Proposal(changes={RATE: 0.019}))
    assert trial.state == "failed" and trial.outcome is not None
    assert (
        trial.outcome.error and "NaN" in trial.outcome.error and trial.outcome.cost.train_seconds == pytest.approx(10)
    )


def test_a_process_that_dies_is_a_failed_trial_with_the_end_of_its_log(bench: Bench) -> None:
    session = bench.open()
    session.begin()
    shutil.rmtree(bench.place / "base")
    monkey = bench.executor.start

    def start(job: Job) -> None:
        (Path(job.folder) / "job.json").write_text("{}")
        monkey(job)

    bench.executor.start = start  # type: ignore[method-assign]
    trial = session.step(GOOD)
    assert trial.state == "failed" and trial.outcome is not None
    assert "ended with exit code 1; the log ends:" in str(trial.outcome.error)


def test_a_cancelled_trial_fails_with_that_reason_and_its_cost(bench: Bench) -> None:
    session = bench.open()
    trial = session.start(GOOD)
    assert session.wait(3.0) is None
    session.cancel(trial.id)
    ended = session.wait()
    assert ended is not None and ended.state == "failed" and ended.outcome is not None
    assert ended.outcome.error == "cancelled" and ended.outcome.cost.seconds == pytest.approx(3)
    with pytest.raises(InputError, match="t001 is not running"):
        session.cancel(trial.id)


def test_progress_is_the_last_line_that_the_trial_wrote(bench: Bench) -> None:
    session = bench.open()
    trial = session.start(GOOD)
    found = session.progress(trial.id)
    assert found is not None and found["step"] == found["steps"] == 10
    assert session.progress("t999") is None
    with (bench.folder / "trials" / trial.id / "progress.jsonl").open("a") as file:
        file.write('{"step": 1')  # in the middle of being written
    assert session.progress(trial.id) == found


def test_watchers_hear_of_anchors_starts_progress_and_ends(bench: Bench) -> None:
    session = bench.open()
    heard: list[News] = []
    session.on_event = heard.append
    session.step(GOOD)
    assert [news.what for news in heard if news.what != "progress"] == ["anchor"] * 3 + ["started", "finished"]
    assert any(news.what == "progress" and news.progress for news in heard)
    assert heard[-1].seconds_left == pytest.approx(88)


# ---------------------------------------------------------------- continuing


def test_a_promoted_trial_continues_its_checkpoint_with_the_same_recipe(bench: Bench) -> None:
    session = bench.open()
    first = session.step(GOOD.model_copy(update={"fidelity": 0.25}))
    second = session.step(Proposal(continues=first.id, fidelity=1.0))
    assert second.recipe == first.recipe
    assert bench.job(second.id)["resume_from"] == str((bench.folder / "trials" / first.id / "checkpoint").absolute())
    assert second.outcome is not None and second.outcome.fidelity == 1.0
    assert second.outcome.cost.train_seconds == pytest.approx(7.5)


@pytest.mark.parametrize(
    ("proposal", "reason"),
    [
        (Proposal(continues="t009", fidelity=1.0), "there is no trial t009"),
        (Proposal(continues="t001", fidelity=0.5), "has reached fidelity 0.500 already"),
        (Proposal(continues="t001", fidelity=1.0, changes={RATE: 1e-3}), "another recipe than t001's"),
    ],
)
def test_what_cannot_be_continued_is_rejected(bench: Bench, proposal: Proposal, reason: str) -> None:
    session = bench.open()
    session.step(GOOD.model_copy(update={"fidelity": 0.5}))
    trial = session.step(proposal)
    assert trial.state == "rejected" and reason in trial.verdicts[-1].reason


def test_weights_stay_for_the_best_and_checkpoints_for_those_that_may_go_on(bench: Bench) -> None:
    session = bench.open(keep_best=1, keep_open=2, budget=Budget(seconds=1000))
    rates = [1e-3, 1e-4, 2e-3, 3e-4]
    trials = [session.step(Proposal(changes={RATE: rate}, fidelity=0.5)) for rate in rates]
    places = [bench.folder / "trials" / trial.id for trial in trials]
    assert [place.joinpath("model").exists() for place in places] == [False, False, True, False]
    assert [place.joinpath("checkpoint").exists() for place in places] == [True, False, True, False]
    assert [t.outcome.resumable for t in session.history()[3:] if t.outcome] == [True, False, True, False]
    session.step(Proposal(continues=trials[2].id, fidelity=1.0))
    assert not (places[2] / "checkpoint").exists()  # superseded
    assert all((place / "items.jsonl").exists() and (place / "outcome.json").exists() for place in places)
    refused = session.step(Proposal(continues=trials[1].id, fidelity=1.0))
    assert refused.state == "rejected" and "no checkpoint" in refused.verdicts[-1].reason
