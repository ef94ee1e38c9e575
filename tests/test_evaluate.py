"""A model and items in, a score with per-item results out."""

from __future__ import annotations

import math
import stat

import pytest

from pipeline import benchmarks, evaluate
from pipeline.jobs import ITEMS, JOB, OUTCOME
from pipeline.paths import read_json, read_jsonl, write_json
from pipeline.types import ItemsKey, Score
from tests import tiny_models

BENCHMARK = benchmarks.load_benchmark("tiny_gsm8k")


def result(strict: float, lenient: float, stopped: bool) -> dict:
    return {"id": "x", "strict": strict, "lenient": lenient, "stopped": stopped}


def test_a_score_is_the_mean_with_its_standard_error():
    results = [result(1, 1, True), result(0, 1, True), result(0, 0, False), result(1, 1, True)]
    score = evaluate.summarise(BENCHMARK, results, "search", few_shot=0)
    assert (score.value, score.n, score.role, score.lenient, score.stops) == (0.5, 4, "search", 0.75, 0.75)
    assert score.stderr == pytest.approx(math.sqrt(0.25 / 3))
    assert (score.benchmark, score.metric) == ("tiny_gsm8k", BENCHMARK.metric)
    assert evaluate.summarise(BENCHMARK, results, "final", few_shot=4).stops is None
    assert evaluate.summarise(BENCHMARK, results[:1], "search", few_shot=0).stderr == 0.0
    unknown = [{**each, "stopped": None} for each in results]
    assert evaluate.summarise(BENCHMARK, unknown, "search", few_shot=0).stops is None


def test_a_score_by_reading_is_strict_and_lenient_or_strict_alone():
    results = [result(1, 1, True), result(0, 1, True), result(0, 0, False), result(0, 1, True)]
    score = evaluate.summarise(BENCHMARK, results, "final", few_shot=0)
    strict, lenient = evaluate.by_reading(evaluate.Evaluation(score, results, 1.0))
    assert (strict.value, strict.stderr, strict.metric) == (0.25, score.stderr, "exact match, strict")
    assert (lenient.value, lenient.stderr, lenient.metric) == (0.75, pytest.approx(0.25), "exact match, lenient")
    assert (strict.n, strict.role) == (lenient.n, lenient.role) == (4, "final")
    alone = evaluate.Evaluation(score.model_copy(update={"lenient": None}), results, 1.0)
    assert [each.metric for each in evaluate.by_reading(alone)] == ["exact match, strict"]


@pytest.mark.parametrize(("stops", "enough"), [(0.949, False), (0.95, True), (1.0, True), (None, True)])
def test_nineteen_answers_in_twenty_have_to_end_by_themselves(stops, enough):
    score = Score(benchmark="b", metric="m", value=0.0, stderr=0.0, n=32, role="search", stops=stops)
    assert evaluate.stops_enough(score) == enough


@pytest.mark.parametrize("name", tiny_models.FAMILIES)
def test_a_model_is_scored_in_chat_and_in_raw_form(name):
    items = benchmarks.items(BENCHMARK, "search", ItemsKey(), 12)
    folder = tiny_models.taught(name)
    chat = evaluate.evaluate(folder, BENCHMARK, items, "search", dtype="float32")
    raw = evaluate.evaluate(folder, BENCHMARK, items, "search", few_shot=2, dtype="float32")
    assert chat.score.n == raw.score.n == 12 and chat.seconds > 0
    assert [item["id"] for item in chat.items] == [item["id"] for item in items]
    assert chat.score.stops == sum(item["stopped"] for item in chat.items) / 12
    assert [item["response"] for item in chat.items] != [item["response"] for item in raw.items]
    again = evaluate.evaluate(folder, BENCHMARK, items, "search", dtype="float32", batch_rows=5)
    assert again.items == chat.items


def job(folder, **changes):
    write_json(folder / JOB, {"model_path": str(tiny_models.taught("qwen3")), "benchmark": "tiny_gsm8k"} | changes)
    evaluate.main(folder)
    return read_json(folder / OUTCOME)


def test_a_job_leaves_its_score_and_its_items(tmp_path):
    outcome = job(tmp_path, limit=9, key={"lab_seed": 2})
    items = read_jsonl(tmp_path / ITEMS)
    assert outcome["score"]["n"] == len(items) == 9 and outcome["score"]["role"] == "search"
    assert outcome["cost"]["seconds"] >= outcome["cost"]["eval_seconds"] > 0
    expected = benchmarks.items(BENCHMARK, "search", ItemsKey(lab_seed=2), 9)
    assert [item["id"] for item in items] == [item["id"] for item in expected]


def test_final_results_are_for_their_owner_only_and_the_salt_selects_them(tmp_path):
    ids = []
    for salt in ("a", "b"):
        (tmp_path / salt).mkdir()
        outcome = job(tmp_path / salt, limit=5, role="final", key={"lab_seed": 0, "salt": salt})
        assert outcome["score"]["role"] == "final"
        for name in (ITEMS, OUTCOME):
            assert stat.S_IMODE((tmp_path / salt / name).stat().st_mode) == 0o600
        ids.append([item["id"] for item in read_jsonl(tmp_path / salt / ITEMS)])
    assert ids[0] != ids[1]
