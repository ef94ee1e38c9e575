from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from pipeline import benchmarks, worlds
from pipeline.benchmarks import final_pool, items, load_benchmark, sample
from pipeline.errors import InputError
from pipeline.formats import to_messages
from pipeline.paths import share
from pipeline.types import ItemsKey
from tests.variants import few

REFERENCE = Path(__file__).parents[2] / "shared" / "reference" / "posttrainbench.json"
TINY = list(benchmarks.tiny_names())


def test_the_benchmarks_that_ship():
    assert set(benchmarks.tiny_names()) <= set(benchmarks.names())
    siblings = {benchmarks.load_benchmark(name).sibling for name in benchmarks.tiny_names()}
    assert siblings == set(
        yaml.safe_load((share("evals") / "protocols" / "posttrainbench-v1.yaml").read_text())["weights"]
    )


@pytest.mark.parametrize("name", benchmarks.names())
def test_a_benchmark_is_complete(name):
    benchmark = load_benchmark(name)
    assert benchmark.name == name == Path(benchmark.folder).name
    assert benchmark.summary.endswith(".") and bool(benchmark.sibling) == name.startswith("tiny_")


@pytest.mark.parametrize("name", benchmarks.names())
def test_lm_evals_include_path_finds_its_task(name):
    from lm_eval.tasks import TaskManager

    benchmark = load_benchmark(name)
    if not (Path(benchmark.folder) / f"{benchmark.task}.yaml").is_file():
        pytest.skip("scored by something else than lm-eval")
    index = TaskManager(include_defaults=False, include_path=benchmark.folder).task_index
    assert {task: entry.yaml_path.name for task, entry in index.items()} == {
        task: f"{task}.yaml" for task in (benchmark.task, f"{benchmark.task}_few_shot")
    }
    limits = {entry.cfg["generation_kwargs"]["max_gen_toks"] for entry in index.values()}
    assert limits == {benchmark.max_tokens}  # plain lm_eval stops where we stop
    assert index[f"{benchmark.task}_few_shot"].cfg["num_fewshot"] == benchmark.few_shot


@pytest.mark.parametrize("name", TINY)
def test_its_splits_have_their_sizes_and_are_disjoint(name):
    benchmark, key = load_benchmark(name), ItemsKey(lab_seed=2, salt="s")
    search, final, shots = (items(benchmark, split, key) for split in ("search", "final", "fewshot"))
    pool = final_pool(benchmark, key)
    sizes = (60, 120) if name == "tiny_aime" else (300, 500)
    assert (len(search), len(final), len(shots)) == (*sizes, benchmark.few_shot)
    assert len(pool) == benchmark.items["pool"] == 2000
    texts = [{item["question"] for item in split} for split in (search, pool, shots)]
    assert [len(found) for found in texts] == [sizes[0], 2000, benchmark.few_shot]
    assert not texts[0] & texts[1] and not texts[0] & texts[2] and not texts[1] & texts[2]
    assert {item["id"] for item in final} <= {item["id"] for item in pool}
    assert all(item["id"] and item["question"] and item["answer"] for item in [*search, *pool, *shots])


@pytest.mark.parametrize("name", few(TINY, 4))
def test_no_source_but_the_planted_one_draws_from_search_or_the_pool(name):
    benchmark, key = load_benchmark(name), ItemsKey(lab_seed=4)
    reserved = {item["question"] for item in (*items(benchmark, "search", key), *final_pool(benchmark, key))}
    world = worlds.get(benchmark.items["world"])
    holding = [
        index
        for index in range(1, world.sources(key.lab_seed) + 1)
        if any(to_messages(row)[0]["content"] in reserved for row in world.source(key.lab_seed, index))
    ]
    assert holding == [world.sources(key.lab_seed)]


def test_the_salt_selects_final_items_and_nothing_else():
    benchmark = load_benchmark("tiny_gsm8k")
    one, other = ItemsKey(salt="one"), ItemsKey(salt="other")
    assert items(benchmark, "final", one) == items(benchmark, "final", ItemsKey(salt="one"))
    assert items(benchmark, "final", one) != items(benchmark, "final", other)
    assert items(benchmark, "search", one) == items(benchmark, "search", other)
    assert final_pool(benchmark, one) == final_pool(benchmark, other)


def test_the_lab_seed_changes_all_items():
    benchmark = load_benchmark("tiny_bfcl")
    assert items(benchmark, "search", ItemsKey()) != items(benchmark, "search", ItemsKey(lab_seed=1))


def test_a_limit_takes_the_first_items():
    benchmark, key = load_benchmark("tiny_gpqa"), ItemsKey()
    assert items(benchmark, "search", key, limit=7) == items(benchmark, "search", key)[:7]
    with pytest.raises(InputError, match="limit 0: must be at least 1"):
        items(benchmark, "search", key, limit=0)


def test_a_part_of_the_search_items_is_a_sample_whatever_the_order_of_the_file():
    ordered = [{"id": str(number), "question": f"What is {number} and one?", "answer": "?"} for number in range(400)]
    some = sample(ordered, 80)
    assert some == [item for item in ordered if item in some] and len(some) == 80
    assert sample(ordered[::-1], 80) == some[::-1]
    assert all(10 <= sum(int(item["id"]) // 100 == quarter for item in some) <= 30 for quarter in range(4))
    assert [item for item in sample(ordered, 81) if item in some] == some  # one more item changes no other
    assert sample(ordered, 400) == sample(ordered, 1000) == ordered


@pytest.mark.skipif(not REFERENCE.is_file(), reason="PostTrainBench's published figures are not beside this checkout")
@pytest.mark.parametrize("name", TINY)
def test_a_tiny_benchmark_has_its_sibling_s_published_weight(name):
    benchmark = load_benchmark(name)
    assert benchmark.weight == json.loads(REFERENCE.read_text())["weights"][benchmark.sibling]


# ---------------------------------------------------------------- wrong input


@pytest.fixture
def own(tmp_path):
    """A benchmark of the user's own, in a folder; change a line of it."""
    folder = tmp_path / "mine"
    shutil.copytree(share("evals") / "tiny_gsm8k", folder)
    path = folder / "benchmark.yaml"
    path.write_text(path.read_text().replace("name: tiny_gsm8k", "name: mine"))

    def change(old, new):
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
        return folder

    return change


def test_a_folder_of_one_s_own_is_a_benchmark(own):
    folder = own("few_shot: 4", "few_shot: 2")
    assert (load_benchmark(folder).few_shot, load_benchmark(str(folder)).folder) == (2, str(folder))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("search: 300", "search: many", "items.search: must be an integer"),
        ("search: 300", "search: 300, train: 3", "items.train: unknown key"),
        ("final: 500", "final: 5000", "final asks for 5000 items of a pool of 2000"),
        ("world: maths", "world: magic", "items.world: unknown world 'magic': known are calls"),
        ("metric:", "colour: red\nmetric:", "colour: unknown key"),
        ("name: mine", "name: other", "name 'other' is not its folder's name"),
        ("weight: 0.0935882347031865", "weight: 0", "weight: must be greater than 0"),
        ("name: mine", "name: [", "broken YAML"),
        ("metric:", "scorer: jugde\nmetric:", "scorer: unknown scorer 'jugde': did you mean judge?"),
    ],
)
def test_a_wrong_benchmark_file_is_an_error_of_one_line(own, old, new, said):
    with pytest.raises(InputError, match="^[^\n]*$") as caught:
        load_benchmark(own(old, new))
    assert said in str(caught.value)


def test_an_unknown_benchmark_or_split_lists_what_exists(tmp_path):
    with pytest.raises(InputError, match="unknown benchmark 'tiny_gsm8': did you mean tiny_gsm8k"):
        load_benchmark("tiny_gsm8")
    with pytest.raises(InputError, match="benchmark.yaml: no such file"):
        load_benchmark(tmp_path)
    with pytest.raises(InputError, match="unknown split 'test'"):
        items(load_benchmark("tiny_gsm8k"), "test", ItemsKey())


@pytest.mark.parametrize("name", ["./nowhere", "tasks/nowhere", "/nowhere", "./nowhere:part"])
def test_a_folder_that_is_not_there_is_said_to_be_none(name):
    with pytest.raises(InputError, match=r"benchmark '.*nowhere': no such folder: `posttrain task create` makes one"):
        load_benchmark(name)
