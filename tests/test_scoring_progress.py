"""How far a scoring is: told by the engine, written beside the job, shown to whoever waits."""

from __future__ import annotations

import json

import pytest

from pipeline import benchmarks, flight, offtarget, scoring_progress
from pipeline.commands.watching import Watcher
from pipeline.engines.hf import open_engine
from pipeline.evaluate import evaluate
from pipeline.request import News
from pipeline.training import PROGRESS
from pipeline.types import ItemsKey, Request, Trial
from tests import tiny_models


@pytest.mark.parametrize("rows", [1, 3, 256])
def test_an_engine_tells_the_share_that_is_done_and_it_only_grows(rows):
    engine = open_engine(str(tiny_models.taught("qwen3")), dtype="float32", batch_rows=rows)
    told: list[float] = []
    engine.told = told.append
    asked = [tiny_models.sums(n)[0] for n in range(7)]
    engine.generate([Request(messages=({"role": "user", "content": text},), max_tokens=20) for text in asked])
    assert told == sorted(told) and told[-1] == 1.0 and len(told) >= 7 / rows and told[0] > 0


def test_an_evaluation_hands_it_on():
    benchmark = benchmarks.load_benchmark("tiny_gsm8k")
    told: list[float] = []
    items = benchmarks.items(benchmark, "search", ItemsKey(), 3)
    evaluate(tiny_models.taught("qwen3"), benchmark, items, "search", told=told.append)
    assert told and told[-1] == 1.0


def test_lines_are_written_now_and_then_and_gone_when_the_scoring_is_over(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(scoring_progress.time, "perf_counter", lambda: now[0])
    (tmp_path / PROGRESS).write_text('{"step": 8, "steps": 8, "tokens": 900}\n')
    (tmp_path / scoring_progress.FILE).write_text('{"scored": 0.9}\n')  # of a job that was killed
    with scoring_progress.Teller(tmp_path) as told:
        assert flight.latest_progress(tmp_path) == {"step": 8, "steps": 8, "tokens": 900}
        for share in range(1, 9):
            now[0] += 0.5
            told(share / 10)
        lines = (tmp_path / scoring_progress.FILE).read_text().splitlines()
        assert [json.loads(line)["scored"] for line in lines] == [0.2, 0.4, 0.6, 0.8]
        found = flight.latest_progress(tmp_path)
        assert found is not None and found["step"] == 8 and found["scored"] == 0.8
        assert scoring_progress.seconds_left(found) == pytest.approx(1.0)
    assert not (tmp_path / scoring_progress.FILE).exists()
    assert scoring_progress.seconds_left({"scored": 0.001, "scoring_seconds": 3.0}) is None


def test_it_is_shown_for_anchors_and_for_trials(capfd):
    at = {"scored": 0.25, "scoring_seconds": 30.0}
    watch = Watcher()
    watch(News(what="progress", text="scoring base on the search split", progress=at))
    watch(
        News(
            what="progress", text="t001", trial=Trial(id="t001"), progress=at | {"step": 3, "steps": 3}, seconds_left=70
        )
    )
    told = capfd.readouterr().err
    assert "scoring base on the search split  25%, 1m 30s left" in told
    assert "t001: scoring  25%, 1m 30s left  [1m 10s of budget left]" in told


@pytest.mark.parametrize(("budget", "told"), [(600.0, " 10%, 3m 00s left, loss"), (60.0, " 10%, loss")])
def test_training_that_the_budget_ends_first_tells_the_budgets_rest_alone(capfd, budget, told):
    at = {"step": 10, "steps": 100, "tokens": 1000, "tokens_per_second": 50.0, "loss": 0.5}
    Watcher()(News(what="progress", text="t001", trial=Trial(id="t001"), progress=at, seconds_left=budget))
    err = capfd.readouterr().err
    assert f"t001: training {told} 0.500" in err and "of budget left]" in err


def test_tasks_off_target_tell_it_too():
    benchmark, told = benchmarks.load_benchmark("tiny_gsm8k"), list[float]()
    items = benchmarks.items(benchmark, "search", ItemsKey(), 2)
    offtarget.measure(tiny_models.taught("qwen3"), benchmark, items, told=told.append)
    assert told and told[-1] == 1.0
