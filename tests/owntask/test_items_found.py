"""Items of a task of the user's own are found in training data however they are asked, and short ones only then."""

from __future__ import annotations

import json

import pytest

from pipeline import benchmarks, data
from pipeline.admission import load_guards
from pipeline.guards import contamination
from pipeline.inspection import inspect_source
from pipeline.owntask import making
from pipeline.set_items import utils
from pipeline.types import ItemsKey
from tests.owntask.files import write

PAIRS = [(f"premise w{n * 7919 % 99991} is sort q{n}", f"thing v{n * 104729 % 99989} is x{n}") for n in range(400)]
WRITTEN = {
    "the prompt": lambda one, other: {"prompt": f"One: {one}\nOther: {other}\nLabel:", "completion": "yes"},
    "columns": lambda one, other: {"premise": one, "hypothesis": other, "text": f"{one} and {other}"},
    "swapped columns": lambda one, other: {"question": other, "premise": one, "answer": "yes"},
    "the task's own columns": None,
}


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("split", ["search", "final"])
def test_rows_of_a_task_of_several_columns_are_found_however_a_source_writes_them(tmp_path, written, split):
    rows = [{"premise": one, "hypothesis": other, "label": "yn"[n % 2]} for n, (one, other) in enumerate(PAIRS)]
    write(tmp_path / "rows.jsonl", rows)
    folder = tmp_path / "pairs"
    making.create(
        making.Wanted(
            name="pairs",
            train=tmp_path / "rows.jsonl",
            input="premise",
            target="label",
            out=folder,
            prompt="One: {premise}\nOther: {hypothesis}\nLabel:",
        )  # fmt: skip
    )
    held = [json.loads(line) for line in (folder / "data" / f"{split}.jsonl").read_text().splitlines()]
    loader, told = "task" if WRITTEN[written] is None else "file", WRITTEN[written]
    write(folder / "data" / "more.jsonl", [told(row["premise"], row["hypothesis"]) if told else row for row in held])
    source = f"name: more\nloader: {loader}\npath: more.jsonl\nkind: pairs\nsummary: More.\n"
    (folder / "data" / "more.yaml").write_text(source)
    benchmark, key = benchmarks.load_benchmark(folder), ItemsKey(folder=str(folder))
    if split == "final":
        assert [verdict.ok for verdict in inspect_source("more", key, benchmark, load_guards())] == [False]
    else:
        assert data.prepare("more", key, benchmarks.items(benchmark, "search", key)).overlapping == len(held)


def test_short_items_refuse_no_honest_source_and_are_found_as_they_are_asked(tmp_path):
    rows = [{"text": f"The w{n * 7919 % 99991} was q{n}", "label": "yn"[n % 2]} for n in range(400)]
    write(tmp_path / "rows.jsonl", rows)
    short = ["ok", "Great!", "4", "no way", "I see it", "\U0001f44d"]
    write(tmp_path / "test.jsonl", rows[:60] + [{"text": text, "label": "y"} for text in short])
    folder = tmp_path / "mood"
    given = {"train": tmp_path / "rows.jsonl", "test": tmp_path / "test.jsonl", "input": "text", "target": "label"}
    making.create(making.Wanted(name="mood", out=folder, **given))
    benchmark, key = benchmarks.load_benchmark(folder), ItemsKey(folder=str(folder))
    pool = benchmarks.final_pool(benchmark, key)
    assert {item["question"] for item in pool} >= set(short)
    honest = [{"question": "Is it ok?", "answer": "Great! I see it is 4, no way"}, {"text": "It was ok 4 times"}]
    asked = utils(str(folder)).question
    honest += [{"prompt": asked({"row": {"text": f"It was {text}"}}), "completion": "y"} for text in short]
    assert contamination.on_source("more", honest, pool).ok
    for text in short:
        for prompt in (text, asked({"row": {"text": text}})):
            assert not contamination.on_source("more", [{"prompt": prompt, "completion": "y"}], pool).ok, prompt
