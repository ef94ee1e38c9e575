"""The gate: whether a model ends its turns, on at least 32 prompts where a benchmark has them."""

from __future__ import annotations

import json

import pytest

from pipeline import benchmarks, stopping
from pipeline.evaluate import Evaluation, summarise
from pipeline.types import Completion, ItemsKey
from tests import tiny_models

KEY = ItemsKey()
BENCHMARK = benchmarks.load_benchmark("tiny_gsm8k")
QWEN = "qwen3"


class Endless:
    """Stops on every item whose id is in `stops`."""

    asked: list[str] = []

    def __init__(self, stops):
        self.stops = stops

    def generate(self, requests):
        Endless.asked += [request.item for request in requests]
        assert {request.n for request in requests} == {1}
        return [[Completion(text="", stopped=request.item in self.stops, tokens=128)] for request in requests]


def scored(n, stopped, benchmark=BENCHMARK, **more):
    """A search score over the first n items; `stopped` says of each answer whether it ended."""
    items = benchmarks.items(benchmark, "search", KEY, n)
    rows = [{"id": item["id"], "strict": 0.0, "lenient": 0.0, "response": "", "stopped": end, "tokens": 128}
            for item, end in zip(items, stopped, strict=True)]  # fmt: skip
    return Evaluation(
        summarise(benchmark, [row | more for row in rows], "search", 0), [row | more for row in rows], 1.0
    )


@pytest.fixture
def engine(monkeypatch):
    """Puts an engine in place of ours that ends its turns on some items only."""
    from pipeline import plugins

    found = plugins.entry

    def put(stops):
        Endless.asked = []
        opened = lambda *_, **__: Endless(stops)  # noqa: E731
        monkeypatch.setattr(plugins, "entry", lambda kind, name: opened if kind == "engines" else found(kind, name))

    return put


def examine(found, benchmark=BENCHMARK):
    return stopping.examine(tiny_models.untrained(QWEN), benchmark, KEY, found)


@pytest.mark.parametrize(
    ("share", "suffices"), [(30 / 32, False), (0.949, False), (0.95, True), (1.0, True), (None, True)]
)
def test_nineteen_answers_in_twenty_have_to_end_by_themselves(share, suffices):
    assert stopping.Stopping(share=share, answers=32).suffices == suffices


def test_a_score_of_thirty_two_prompts_or_more_is_the_gate(engine):
    engine(())
    found = examine(scored(40, [True] * 38 + [False] * 2))
    assert Endless.asked == [] and (found.share, found.answers, found.suffices, found.seconds) == (0.95, 40, True, 0.0)
    assert not examine(scored(32, [True] * 30 + [False] * 2)).suffices


def test_a_score_of_fewer_prompts_is_filled_up_with_search_items_that_it_is_not_of(engine):
    ids = [item["id"] for item in benchmarks.items(BENCHMARK, "search", KEY)]
    engine(ids[:31])
    found = examine(scored(6, [True] * 6))
    assert Endless.asked == ids[6:32] and found.answers == 32 and found.seconds > 0
    assert found.share == 31 / 32 and found.suffices
    engine(ids[:30])
    found = examine(scored(6, [True] * 6))
    assert found.share == 30 / 32 and not found.suffices and "of 32 answers 2 ran to max_tokens (96)" in found.why


def test_one_endless_answer_of_six_alone_does_not_decide(engine):
    engine([item["id"] for item in benchmarks.items(BENCHMARK, "search", KEY)])
    assert examine(scored(6, [False] + [True] * 5)).suffices


@pytest.fixture
def small(tmp_path, monkeypatch):
    """bfcl with eleven questions in all: too few, examples included."""
    monkeypatch.setenv("POSTTRAIN_DATA_ROOT", str(tmp_path))
    (tmp_path / "bfcl").mkdir()
    function = {"name": "f", "parameters": {"type": "dict", "properties": {"n": {"type": "integer"}}}}
    rows = [
        {"id": f"exec_simple_{i}", "question": [[{"role": "user", "content": f"What is f of {i}?"}]],
         "function": [function], "ground_truth": [f"f(n={i})"]}
        for i in range(11)
    ]  # fmt: skip
    (tmp_path / "bfcl" / "BFCL_v3_exec_simple.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return benchmarks.load_benchmark("bfcl")


def test_a_benchmark_with_fewer_prompts_is_looked_at_on_all_that_are_no_final_items(engine, small):
    search, shots, final = (benchmarks.items(small, split, KEY) for split in ("search", "fewshot", "final"))
    engine([item["id"] for item in (*search, *shots)])
    found = examine(scored(1, [True], small), small)
    (looked_at,) = benchmarks.items(small, "search", KEY, 1)
    assert Endless.asked == [item["id"] for item in (*search, *shots) if item != looked_at]
    assert found.answers == len(search) + len(shots) < 32 and found.share == 1.0
    assert not {item["id"] for item in final} & set(Endless.asked)


def test_several_answers_to_an_item_are_each_looked_at(engine):
    engine(())
    benchmark = benchmarks.load_benchmark("tiny_aime")
    answers = [{"strict": 0.0, "lenient": 0.0, "response": "", "stopped": end, "tokens": 128} for end in (True, False)]
    found = examine(scored(32, [False] * 32, benchmark, responses=answers), benchmark)
    assert (found.share, found.answers, found.suffices) == (0.5, 64, False) and "of 64 answers 32 ran to" in found.why


def test_where_nobody_knows_nothing_more_is_asked(engine):
    engine(())
    found = examine(scored(6, [None] * 6))
    assert (found.share, found.answers, found.suffices) == (None, 0, True) and Endless.asked == []


def test_judged_items_are_answered_and_not_judged(engine):
    benchmark = benchmarks.load_benchmark("tiny_arena").model_copy(update={"scorer": "judge"})
    ids = [item["id"] for item in benchmarks.items(benchmark, "search", KEY)]
    engine(ids)
    found = examine(scored(2, [True] * 2, benchmark), benchmark)
    assert len(Endless.asked) == 30 and found.answers == 32
