"""The contamination guard on random texts, on the real sources, and on many rows."""

from __future__ import annotations

import gzip
import json
import random
import string
import time
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline import benchmarks, catalogue
from pipeline.guards.contamination import on_source
from pipeline.rowfiles import read_rows
from pipeline.types import ItemsKey
from tests.guards.planted import ALPHABET, FORMATS, chat, verdict, words

REAL = Path(__file__).parents[3] / "shared" / "data"

# ---------------------------------------------------------------- properties


@settings(max_examples=150, deadline=None)
@given(words, st.sampled_from(sorted(FORMATS)), words, words, st.integers(0, 2))
def test_an_item_planted_anywhere_in_any_format_is_found(question, name, before, after, place):
    text = " ".join(question) + "?"
    rows = [FORMATS["text"](" ".join(before)) for _ in range(3)]
    rows[place] = FORMATS[name](" ".join([*before, text, *after]))
    assert not verdict(*rows, items=[{"id": 1, "question": text}]).ok


@settings(max_examples=150, deadline=None)
@given(words, st.sampled_from(sorted(FORMATS)), st.data())
def test_an_item_with_one_word_changed_is_not_accused(question, name, data):
    at = data.draw(st.integers(0, len(question) - 1))
    other = data.draw(st.text(ALPHABET, min_size=2, max_size=8))
    assume(other.casefold() != question[at].casefold())
    changed = [*question[:at], other, *question[at + 1 :]]
    assert verdict(FORMATS[name](" ".join(changed)), items=[{"id": 1, "question": " ".join(question)}]).ok


# ---------------------------------------------------------------- the real sources


@pytest.mark.parametrize("name", benchmarks.tiny_names())
def test_of_the_shipped_sources_only_the_last_holds_final_items(name):
    benchmark, key = benchmarks.load_benchmark(name), ItemsKey(lab_seed=3)
    pool = benchmarks.final_pool(benchmark, key)
    accused = [
        source
        for source in catalogue.names(benchmark.kind)
        if not on_source(source, catalogue.rows(source, key), pool).ok
    ]
    assert accused == [f"{benchmark.kind}_8"]


@pytest.mark.skipif(not REAL.is_dir(), reason="real benchmark items are not beside this checkout")
def test_real_items_are_found_and_a_real_training_split_is_not_accused():
    train, test = (read_rows(REAL / "gsm8k" / f"{split}.jsonl") for split in ("train", "test"))
    assert on_source("gsm8k", train, test).ok
    assert on_source("gsm8k", [{"data": json.dumps(row)} for row in test], test).reason.startswith("gsm8k: 1319 rows")
    with gzip.open(REAL / "humaneval" / "HumanEval.jsonl.gz", "rt") as lines:
        code = [json.loads(line) for line in lines]
    items = [{"id": row["task_id"], "question": row["prompt"]} for row in code]
    rows = [{"text": f"```python\n{row['prompt']}{row['canonical_solution']}```"} for row in code]
    assert on_source("code", rows, items).reason.startswith("code: 164 rows")


def test_items_of_the_pool_count_that_no_salt_has_selected():
    benchmark = benchmarks.load_benchmark("tiny_gsm8k")
    key = ItemsKey(salt="a run's own")
    selected = {item["id"] for item in benchmarks.items(benchmark, "final", key)}
    pool = benchmarks.final_pool(benchmark, key)
    other = next(item for item in pool if item["id"] not in selected)
    assert not on_source("x", [{"text": other["question"]}], pool).ok


def test_five_thousand_rows_against_two_thousand_items_take_about_a_second():
    rng = random.Random(0)
    vocabulary = ["".join(rng.choices(string.ascii_lowercase, k=6)) for _ in range(300)]
    items = [{"id": i, "question": "In the shop " + " ".join(rng.choices(vocabulary, k=30))} for i in range(2000)]
    rows = [{"messages": chat("In the shop " + " ".join(rng.choices(vocabulary, k=60)))} for _ in range(5000)]
    begin = time.process_time()
    assert verdict(*rows, items=items).ok
    assert time.process_time() - begin < 2.5  # 0.2 s where it was written; shared machines are slow at times


def test_one_row_that_holds_every_item_is_read_in_seconds():
    items = [{"id": i, "question": f"Tom has {i} pens. He buys {i + 2}. How many pens now?"} for i in range(2000)]
    begin = time.process_time()
    assert not verdict({"text": " ".join(item["question"] for item in items)}, items=items).ok
    assert time.process_time() - begin < 5
