"""Bits per byte of gold answers, against the model's own probabilities; and who is measured."""

from __future__ import annotations

import json
import math

import pytest

from pipeline import benchmarks, offtarget
from pipeline.errors import InputError
from pipeline.jobs import EvaluateJob
from pipeline.paths import write_json
from pipeline.types import ItemsKey
from tests import tiny_models


def test_bits_are_the_models_own_and_accuracy_is_that_of_evaluate(tmp_path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from pipeline.chat import render
    from pipeline.evaluate import evaluate

    folder = tiny_models.taught("qwen3")
    benchmark = benchmarks.load_benchmark("tiny_gsm8k").model_copy(update={"max_tokens": 8})
    items = benchmarks.items(benchmark, "search", ItemsKey(), 10)
    found = offtarget.measure(folder, benchmark, items)
    plain = evaluate(folder, benchmark, items, "search")
    assert [row["response"] for row in found.items] == [row["response"] for row in plain.items]
    assert found.score.value == plain.score.value and found.score.n == 10
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    gold = offtarget.gold(benchmark, items[3])
    message = [{"role": "user", "content": items[3]["question"]}]
    prompt = tokenizer(render(tokenizer, tiny_models.family("qwen3"), message, True), add_special_tokens=False)[
        "input_ids"
    ]
    answer = tokenizer(gold, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = model(torch.tensor([prompt + answer])).logits[0].float().log_softmax(-1)
    likelihood = sum(float(logits[len(prompt) - 1 + at, token]) for at, token in enumerate(answer))
    assert found.items[3]["bits"] == pytest.approx(-likelihood / math.log(2), rel=1e-3)
    assert found.items[3]["bytes"] == len(gold.encode()) and "####" in gold


def test_a_job_writes_items_and_an_outcome(tmp_path):
    folder = tiny_models.taught("qwen3")
    write_json(tmp_path / "job.json", EvaluateJob(model_path=str(folder), benchmark="tiny_bfcl", limit=3))
    offtarget.main(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text().splitlines()]
    assert len(rows) == 3 and all(row["bits"] > 0 and row["bytes"] > 0 for row in rows)
    assert json.loads((tmp_path / "outcome.json").read_text())["score"]["n"] == 3


@pytest.mark.parametrize("name", benchmarks.names())
def test_every_benchmark_has_gold_answers_or_is_refused(name, monkeypatch):
    monkeypatch.setattr("pipeline.sandbox.how", lambda: None)
    benchmark = benchmarks.load_benchmark(name)
    if benchmark.scorer == "harness":
        offtarget.check(benchmark)
        if benchmark.items.get("world"):
            assert offtarget.gold(benchmark, benchmarks.items(benchmark, "search", ItemsKey(), 1)[0]).strip()
        return
    with pytest.raises(InputError, match="no gold answers"):
        offtarget.check(benchmark)
