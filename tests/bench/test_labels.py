"""Labels chosen in other ways: TF-IDF with logistic regression, and by likelihood."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import benchmarks
from pipeline.bench import labels
from pipeline.owntask.making import Wanted, create
from tests import tiny_models

COLOURS = {"red": "tomato", "green": "grass", "blue": "sky"}


@pytest.fixture(scope="module")
def model() -> Path:
    """Made before anything is captured: tokenizers show their progress on stdout."""
    return tiny_models.taught("qwen3")


@pytest.fixture
def task(tmp_path, monkeypatch) -> Path:
    """A task whose label hangs on one word of the input."""
    lines = [
        f"{'a b c d e f g'.split()[i % 7]}{i} like {list(COLOURS.values())[i % 3]},{list(COLOURS)[i % 3]}"
        for i in range(400)
    ]
    (tmp_path / "rows.csv").write_text("text,colour\n" + "\n".join(lines) + "\n")
    create(Wanted(name="colours", train=tmp_path / "rows.csv", input="text", target="colour", out=tmp_path / "colours"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "colours"


def test_logistic_regression_learns_what_words_tell(task, command):
    code, out, err = command("bench", "labels", "--benchmark", "./colours", "--json")
    assert code == 0, err
    [way] = json.loads(out)["ways"]
    assert way["accuracy"] == 1.0 and "logistic regression" in way["name"]


def test_a_model_is_scored_both_ways_on_the_same_items(task, command, model):
    code, out, err = command("bench", "labels", model, "--benchmark", "./colours", "--limit", "20", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert [way["way"] for way in found["ways"]] == ["chosen", "written freely", "by likelihood"]
    assert found["items"] == 20 and found["labels"] == 3
    code, out, err = command("bench", "labels", model, "--benchmark", "./colours", "--limit", "20")
    assert code == 0 and "by likelihood" in out and "20 final items, 3 labels" in out


def test_the_likeliest_label_is_that_of_each_answer_scored_by_itself(task, model):
    from pipeline.engines.hf import open_engine
    from pipeline.types import ItemsKey, Request

    benchmark = benchmarks.load_benchmark("./colours")
    items = benchmarks.items(benchmark, "final", ItemsKey(), 6)
    engine = open_engine(str(model))
    module = labels.set_items.module_of(benchmark.folder)
    asked = [Request(messages=({"role": "user", "content": module.question(item)},)) for item in items]
    told: list[float] = []
    chosen = labels.by_likelihood(engine, asked, list(COLOURS), told.append)
    assert told[-1] == 1.0 and len(told) == 6
    for request, label in zip(asked, chosen, strict=True):
        ends = [(request, each + engine.family.end_of_turn) for each in COLOURS]
        scores = dict(zip(COLOURS, (value for value, _ in engine.loglikelihood(ends)), strict=True))
        assert scores[label] == pytest.approx(max(scores.values()), abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--benchmark", "tiny_gsm8k"], "labels are scored for tasks of `posttrain task create --metric choice`"),
        (["--benchmark", "./nowhere"], "nowhere"),
        (["nobody", "--benchmark", "./colours"], "nobody"),
    ],
)
def test_wrong_input_is_one_line(task, command, arguments, message):
    code, out, err = command("bench", "labels", *arguments)
    assert code == 2 and message in err and "Traceback" not in err and not out
