"""Items for lm-eval: the scorer's own, or, under plain lm_eval, those that its metadata asks for."""

from __future__ import annotations

import json

import pytest

from pipeline import benchmarks
from pipeline.errors import InputError
from pipeline.task_items import splits
from pipeline.types import ItemsKey


def test_the_scorers_items_are_taken_as_they_are():
    items, shots = [{"id": "a", "odd": [1, "x", None]}], [{"id": "b"}]
    found = splits("tiny_gsm8k", items=items, shots=shots, pretrained="whatever lm-eval adds")
    assert (list(found["test"]), list(found["fewshot"])) == (items, shots)
    assert list(found["test"].features) == ["id", "odd"]


def test_without_them_search_items_are_or_those_that_the_metadata_asks_for():
    benchmark = benchmarks.load_benchmark("tiny_gsm8k")
    assert list(splits("tiny_gsm8k")["test"]) == benchmarks.items(benchmark, "search", ItemsKey())
    found = splits("tiny_gsm8k", lab_seed=3, split="final")
    assert list(found["test"]) == benchmarks.items(benchmark, "final", ItemsKey(lab_seed=3))
    assert list(found["fewshot"]) == benchmarks.items(benchmark, "fewshot", ItemsKey(lab_seed=3))
    with pytest.raises(InputError, match="unknown split 'test'"):
        splits("tiny_gsm8k", split="test")


def test_a_part_is_asked_for_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("POSTTRAIN_DATA_ROOT", str(tmp_path))
    (tmp_path / "bfcl").mkdir()
    for part in ("simple_python", "multiple", "parallel", "parallel_multiple"):
        rows = [
            {"id": f"{part}_{i}", "question": [[{"role": "user", "content": f"{part} {i}"}]], "function": []}
            for i in range(30)
        ]
        keys = [{"id": row["id"], "ground_truth": [{"f": {"a": [1]}}]} for row in rows]
        for name, lines in ((part, rows), (f"{part}_answers", keys)):
            (tmp_path / "bfcl" / f"BFCL_v4_{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = splits("bfcl_ast", part="parallel")["test"]
    assert found and {item["set"] for item in found} == {"parallel"}
    assert len({item["set"] for item in splits("bfcl_ast")["test"]}) == 4
