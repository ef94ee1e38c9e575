"""A trial again: the same job, the same score, and the run itself left alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.errors import InputError, PosttrainError
from pipeline.fakes import FakeExecutor
from pipeline.rerun import find, rerun
from pipeline.types import Budget, Job, Proposal
from tests import runs
from tests.runs import GOOD, RATE, Bench

bench = runs.bench  # the fixture


def again(bench: Bench, trial_id: str) -> dict[str, Any]:
    return rerun(bench.folder, find(bench.folder, trial_id), FakeExecutor())


def job(bench: Bench, name: str) -> dict[str, Any]:
    return json.loads((bench.folder / "trials" / name / "job.json").read_text())  # type: ignore[no-any-return]


def test_a_trial_again_gives_the_same_score_and_items_and_leaves_the_run_alone(bench: Bench) -> None:
    bench.open().step(GOOD)
    ledger = (bench.folder / "ledger.jsonl").read_bytes()
    found = again(bench, "t001")
    assert found["same"] and found["before"] == found["again"] and found["changed_items"] == 0
    assert again(bench, "t001")["folder"].name == "t001.rerun-2"
    assert (bench.folder / "ledger.jsonl").read_bytes() == ledger


def test_a_continued_trial_again_is_trained_from_the_beginning(bench: Bench) -> None:
    session = bench.open()
    session.step(GOOD.model_copy(update={"fidelity": 0.25}))
    session.step(Proposal(continues="t001", fidelity=1.0))
    assert again(bench, "t002")["same"]
    assert job(bench, "t002.rerun-1")["resume_from"] is None and job(bench, "t002.rerun-1")["fidelity"] == 1.0


def test_a_trial_that_was_cut_short_is_asked_for_what_it_reached(bench: Bench) -> None:
    reached = bench.open(budget=Budget(seconds=8.0)).step(GOOD).outcome
    assert reached is not None and reached.labels == ("cut short",)
    assert again(bench, "t001")["changed_items"] == 0
    assert job(bench, "t001.rerun-1")["fidelity"] == pytest.approx(reached.fidelity)
    assert job(bench, "t001.rerun-1")["fidelity"] < reached.fidelity  # a hair, so that no step is added
    assert job(bench, "t001.rerun-1")["limit_seconds"] is None


class Counting(FakeExecutor):
    """Remembers how many threads each job was given."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []

    def start(self, job: Job) -> None:
        self.threads.append(job.threads)
        super().start(job)


def test_a_trial_again_has_as_many_threads_as_it_had(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    session = bench.open(threads=None)
    session.threads = 3  # as measured on that day
    session.step(GOOD)
    for measured in (1, 2):
        monkeypatch.setattr("pipeline.rerun.threads_each", lambda slots, wanted, found=measured: wanted or found)
        executor = Counting()
        rerun(bench.folder, find(bench.folder, "t001"), executor)
        rerun(bench.folder, find(bench.folder, "instruct"), executor)
        assert executor.threads == [3, measured]


def test_an_anchor_is_scored_again(bench: Bench) -> None:
    bench.open().begin()
    assert again(bench, "instruct")["same"]


def test_another_result_is_told_with_the_number_of_items_that_changed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.open().step(GOOD)
    monkeypatch.setattr("pipeline.fakes.jobs.BEST_RATE", 1e-4)  # as if another library version trained differently
    found = again(bench, "t001")
    assert not found["same"] and found["changed_items"] > 10


def test_a_failure_this_time_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.open().step(GOOD)
    monkeypatch.setattr("pipeline.fakes.jobs.DIVERGING_RATE", 1e-4)
    with pytest.raises(PosttrainError, match="this time it failed: the loss became NaN.*log.txt"):
        again(bench, "t001")


def test_only_a_trial_with_a_score_is_done_again(bench: Bench) -> None:
    session = bench.open()
    session.step(GOOD)
    session.step(Proposal(changes={RATE: 9.0}))
    with pytest.raises(InputError, match="unknown trial 't009'.*known are base, base_few_shot, instruct, t001"):
        find(bench.folder, "t009")
    with pytest.raises(InputError, match="t002 is rejected and has no score: scored are .*t001"):
        find(bench.folder, "t002")
