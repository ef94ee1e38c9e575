"""Items from data sets: local copies, disjoint splits, parts, keys, and what is wrong with a description."""

from __future__ import annotations

import json
import shutil

import pytest

from pipeline import benchmarks, set_items
from pipeline.errors import DataError, InputError
from pipeline.paths import share
from pipeline.recipe import load_recipe
from pipeline.set_items import place
from pipeline.types import ItemsKey

KEY = ItemsKey()


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder of local copies: made-up rows of the real data sets' form."""
    monkeypatch.setenv("POSTTRAIN_DATA_ROOT", str(tmp_path / "data"))

    def put(name, rows):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(json.dumps(row) for row in rows))

    for split, n in (("train", 1200), ("test", 40)):
        put(
            f"gsm8k/{split}.jsonl",
            [{"question": f"{split} {i}?", "answer": f"So <<1+1=2>>2.\n#### {i}"} for i in range(n)],
        )
    for part in ("simple_python", "multiple", "parallel", "parallel_multiple"):
        function = {
            "name": "f",
            "parameters": {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        }
        put(
            f"bfcl/BFCL_v4_{part}.jsonl",
            [
                {
                    "id": f"{part}_{i}",
                    "question": [[{"role": "user", "content": f"{part} {i}"}]],
                    "function": [function],
                }
                for i in range(50)
            ],
        )
        answers = [{"id": f"{part}_{i}", "ground_truth": [{"f": {"a": [i]}}]} for i in range(50)]
        put(f"bfcl/BFCL_v4_{part}_answers.jsonl", answers)
    return put


def test_search_and_final_items_of_different_sets(root):
    benchmark = benchmarks.load_benchmark("gsm8k")
    search, final, shots = (benchmarks.items(benchmark, split, KEY) for split in ("search", "final", "fewshot"))
    assert (len(search), len(final), len(shots)) == (300, 40, 10)
    assert [item["id"] for item in final] == [f"gsm8k-{i}" for i in range(40)] and final[7]["answer"] == "7"
    assert not {item["question"] for item in search} & {item["question"] for item in shots}
    assert final[0]["solution"] == "So 2." and benchmarks.final_pool(benchmark, KEY) == final


def test_a_hash_of_the_question_divides_a_set_and_added_rows_move_no_others(root):
    benchmark = benchmarks.load_benchmark("bfcl_ast")
    search, final = (benchmarks.items(benchmark, split, KEY) for split in ("search", "final"))
    assert 40 < len(search) < 110 and 80 < len(final) < 160
    assert not {item["id"] for item in search} & {item["id"] for item in final}
    assert all(place(item) < 0.35 for item in search) and all(place(item) >= 0.4 for item in final)
    assert json.loads(final[0]["answer"]) == [{"name": "f", "arguments": {"a": final[0]["accepted"][0]["f"]["a"][0]}}]


def test_a_part_is_asked_for_by_name(root):
    whole, part = benchmarks.load_benchmark("bfcl_ast"), benchmarks.load_benchmark("bfcl_ast:parallel")
    found = benchmarks.items(part, "final", KEY)
    assert part.name == "bfcl_ast:parallel" and {item["set"] for item in found} == {"parallel"}
    assert found == [item for item in benchmarks.items(whole, "final", KEY) if item["set"] == "parallel"]
    with pytest.raises(InputError, match="unknown part of bfcl_ast 'paralel'.*parallel"):
        benchmarks.load_benchmark("bfcl_ast:paralel")
    with pytest.raises(InputError, match="gsm8k' has no parts"):
        benchmarks.load_benchmark("gsm8k:easy")


def test_a_part_may_have_a_recipe_of_its_own():
    recipes = {part: benchmarks.load_benchmark(f"bfcl_ast:{part}").recipe for part in ("simple_python", "parallel")}
    assert recipes == {"simple_python": "bfcl_ast_single", "parallel": "bfcl_ast"}
    stage = load_recipe(recipes["simple_python"]).stages[0]
    assert [reference.name for reference in stage.data] == ["function_calls_single"]
    found = benchmarks.load_benchmark("bfcl_ast").items
    with pytest.raises(ValueError, match="set 'nobody' is not among sets"):
        set_items.SetItems.model_validate(found | {"part_recipes": {"nobody": "bfcl_ast"}})


def test_a_missing_copy_and_a_missing_answer_are_named(root, tmp_path):
    (tmp_path / "data" / "gsm8k" / "test.jsonl").unlink()
    with pytest.raises(DataError, match=r"test\.jsonl is missing: put a copy of openai/gsm8k there"):
        benchmarks.items(benchmarks.load_benchmark("gsm8k"), "final", KEY)
    root("bfcl/BFCL_v4_multiple_answers.jsonl", [{"id": "multiple_0", "ground_truth": []}])
    with pytest.raises(DataError, match="no answers to multiple_1, multiple_2"):
        benchmarks.items(benchmarks.load_benchmark("bfcl_ast"), "final", KEY)


def test_the_order_of_gpqa_s_options_hangs_on_the_seed(root):
    row = {"Question": "Why?", "Correct Answer": "right ", **{f"Incorrect Answer {i}": f"wrong {i}" for i in (1, 2, 3)}}
    from pipeline.set_items import utils

    make = utils(benchmarks.load_benchmark("gpqamain").folder).item
    made = [make(row, 0, seed) for seed in range(20)]
    assert len({item["answer"] for item in made}) == 4 and made[0] == make(row, 0, 0)
    assert all(item["options"]["ABCD".index(item["answer"])] == "right" for item in made)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("sets: [train], end", "sets: [trian], end", "set 'trian' is not among sets: test, train"),
        ("final: {sets: [test]}", "final: {sets: [train]}", "search and final overlap in train"),
        ("end: 0.5", "end: 1.5", "items.search.end"),
        ("fewshot: {sets: [train]", "fewshot: {sets: [test]", "fewshot and final overlap in test"),
        ("split: test", "split: test, colour: red", "items.sets.test.colour: unknown key"),
    ],
)
def test_a_wrong_description_is_one_line(tmp_path, old, new, said):
    folder = tmp_path / "mine"
    shutil.copytree(share("evals") / "gsm8k", folder)
    text = (folder / "benchmark.yaml").read_text()
    assert old in text
    (folder / "benchmark.yaml").write_text(text.replace(old, new, 1).replace("name: gsm8k", "name: mine"))
    with pytest.raises(InputError, match=said) as caught:
        benchmarks.load_benchmark(folder)
    assert "\n" not in str(caught.value)
