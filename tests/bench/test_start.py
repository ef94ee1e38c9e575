"""`bench start`: fresh trials of one recipe, the first one told apart."""

from __future__ import annotations

import itertools

import pytest

from pipeline import fakes
from pipeline.bench import start
from pipeline.errors import PosttrainError
from pipeline.jobs import OUTCOME
from pipeline.paths import read_json, write_json
from pipeline.reporting.plain import to_text
from pipeline.types import DataRef, Stage
from tests import runs
from tests.runs import Bench

bench = runs.bench  # the fixture


def nobody(news):
    return None


def test_every_trial_is_fresh_and_the_first_is_told_apart(bench: Bench, monkeypatch):
    steps, trained = itertools.chain([9.0], itertools.cycle([0.4, 0.8, 0.5])), fakes.trial

    def trial(folder):
        trained(folder)
        outcome = read_json(folder / OUTCOME)
        write_json(folder / OUTCOME, outcome | {"first_step_seconds": next(steps)})

    monkeypatch.setattr(fakes.jobs, "trial", trial)
    executor = fakes.FakeExecutor(1, bench.time)
    request = fakes.fake_request(bench.place)
    document = start.run(bench.folder, request, 3, nobody, executor, bench.time)
    assert document["first_trial_seconds"] == 9.0 and document["seconds"] == [0.4, 0.8, 0.5]
    assert document["median_seconds"] == 0.5
    trials = [job for job in executor.started if job.call == "pipeline.trial.main"]
    assert len({job.folder for job in trials}) == 4
    assert bench.job("t004")["resume_from"] is None and bench.job("t004")["search_limit"] == start.ITEMS
    assert "0.50 s" in to_text(start.page(document))


def test_a_trial_that_fails_is_an_error_with_its_reason(bench: Bench):
    request = fakes.fake_request(bench.place)
    hot = Stage(data=(DataRef(name="maths_1"),), params={"tokens": 1000, "learning_rate": fakes.DIVERGING_RATE})
    request = request.model_copy(update={"recipe": request.recipe.model_copy(update={"stages": (hot,)})})
    with pytest.raises(PosttrainError, match="t001 cannot be measured: the loss became NaN"):
        start.run(bench.folder, request, 2, nobody, fakes.FakeExecutor(1, bench.time), bench.time)
