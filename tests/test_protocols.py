"""Protocols: what they change of a benchmark, every published row recomputed, and what is wrong with a file."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline import benchmarks, protocols
from pipeline.errors import DataError, InputError
from pipeline.guards import contamination
from pipeline.overlap import Overlap
from pipeline.scorers import harness
from pipeline.types import Decoding, ItemsKey

KEY = ItemsKey()
V1, V1_2 = "posttrainbench-v1", "posttrainbench-v1.2"
PUBLISHED = Path(__file__).parent / "published"  # the rows of the website's scores.json; each file names its source


def published(name):
    """Benchmarks, models, and (total or None, scores as models x benchmarks) by row."""
    found = json.loads((PUBLISHED / f"{name}.json").read_text())
    rows = {row: (told["total"], np.array(told["values"])) for row, told in found["rows"].items()}
    return found["benchmarks"], found["models"], rows


def scores(name, values_MxB):
    names, models, _ = published(name)
    return {model: dict(zip(names, row, strict=True)) for model, row in zip(models, values_MxB.tolist(), strict=True)}


ROWS = [(name, row) for name in (V1, V1_2) for row in published(name)[2]]


# ---------------------------------------------------------------- published rows


def test_all_published_rows_are_there():
    assert [len(published(name)[2]) for name in (V1, V1_2)] == [26, 20]


@pytest.mark.parametrize(("name", "row"), ROWS)
def test_a_published_row_s_average_and_fraction_are_recomputed(name, row):
    terms, (names, _, rows) = protocols.load(name), published(name)
    total, values = rows[row]
    weights = np.array([terms.weights[each] for each in names])
    base, human, own = (values_.mean(0) @ weights for values_ in (rows["base-model"][1], rows["human"][1], values))
    assert terms.average(scores(name, values)) == pytest.approx(own)
    assert terms.fraction(scores(name, values)) == pytest.approx((own - base) / (human - base))
    if total is not None:
        places = 1 if name == V1 else 2
        assert own == pytest.approx(total, abs=0.5 * 10**-places + 0.002)  # the cells are rounded, too


@pytest.mark.parametrize(
    ("name", "row", "over_base", "over_few_shot"),
    [
        (V1, "opus-4.6-1m", 0.40, 0.20), (V1, "opus-4.6", 0.36, 0.15), (V1, "base-model-fewshot", 0.24, 0.0),
        (V1, "human", 1.0, 1.0), (V1, "base-model", 0.0, -0.32), (V1_2, "fable-5.1", 0.91, 0.87),
        (V1_2, "opus-5.5-max", 0.89, 0.84), (V1_2, "gpt-6-astra", 0.84, 0.77), (V1_2, "opus-4.7", 0.40, 0.17),
    ],
)  # fmt: skip
def test_the_fractions_that_agents_are_known_by(name, row, over_base, over_few_shot):
    found, terms = scores(name, published(name)[2][row][1]), protocols.load(name)
    assert terms.fraction(found) == pytest.approx(over_base, abs=0.005)
    assert terms.fraction(found, "base_few_shot") == pytest.approx(over_few_shot, abs=0.005)


@pytest.mark.parametrize("name", [V1, V1_2])
def test_anchors_weights_and_averages_of_the_yaml_are_the_published_ones(name):
    terms, (names, models, rows) = protocols.load(name), published(name)
    assert list(terms.weights) == names and list(terms.pairs) == models
    for role, row in (("base", "base-model"), ("instruct", "human"), ("base_few_shot", "base-model-fewshot")):
        if row in rows:
            cells = scores(name, rows[row][1])
            for model, cell in cells.items():
                assert terms._anchors(role, {model: cell})[model] == pytest.approx(cell, abs=1e-9)
    gains = (rows["human"][1] - rows["base-model"][1]).mean(0)
    assert list(terms.weights.values()) == pytest.approx((1 / gains) / (1 / gains).sum(), rel=2e-4)
    named = {"base": "base-model", "instruct": "human", "base_few_shot": "base-model-fewshot"}
    told = {row: rows[row][1] for row in rows}
    for average, value in terms.averages.items():
        found = told.get(named.get(average, average))
        if found is not None:
            assert terms.average(scores(name, found)) == pytest.approx(value, abs=0.052)


def test_a_row_on_fewer_benchmarks_is_compared_with_the_anchors_of_these():
    terms = protocols.load(V1_2)
    assert terms.fraction({"google/gemma-3-4b-pt": {"gsm8k": 83.55}}) == pytest.approx(1.0)
    with pytest.raises(InputError, match="no weight for bfcl"):
        terms.fraction({"google/gemma-3-4b-pt": {"bfcl": 50.0}})


# ---------------------------------------------------------------- what a protocol changes


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Local copies of GSM8K and HumanEval in miniature."""
    monkeypatch.setenv("POSTTRAIN_DATA_ROOT", str(tmp_path / "data"))
    (tmp_path / "data" / "gsm8k").mkdir(parents=True)
    for split, n in (("train", 60), ("test", 12)):
        rows = [{"question": f"{split} {i}?", "answer": f"It is {i}.\n#### {i}"} for i in range(n)]
        text = "\n".join(map(json.dumps, rows))
        (tmp_path / "data" / "gsm8k" / f"{split}.jsonl").write_text(text)


def test_own_changes_nothing():
    assert protocols.benchmark("tiny_gsm8k") == benchmarks.load_benchmark("tiny_gsm8k")
    assert not protocols.is_whole_test(protocols.benchmark("gsm8k"))


def test_search_and_final_items_are_both_the_whole_test_set(data):
    own, found = benchmarks.load_benchmark("gsm8k"), protocols.benchmark("gsm8k", V1_2)
    search, final = (benchmarks.items(found, split, KEY) for split in ("search", "final"))
    assert search == final == benchmarks.final_pool(found, KEY)
    asked = [{name: value for name, value in item.items() if name != "messages"} for item in search]
    assert asked == benchmarks.items(own, "final", KEY)
    assert len(search) == 12 and search != benchmarks.items(own, "search", KEY)
    assert protocols.is_whole_test(found)


@pytest.mark.parametrize("protocol", [V1, V1_2])
def test_gsm8k_is_asked_after_ten_examples_of_the_training_split_in_a_system_turn(data, protocol):
    from pipeline.types import Completion

    class Asked:
        def generate(self, requests):
            self.requests = requests
            return [[Completion(text="ANSWER: 3", stopped=True, tokens=3)] * request.n for request in requests]

    found, engine = protocols.benchmark("gsm8k", protocol), Asked()
    items = benchmarks.items(found, "final", KEY)
    results = harness.score(engine, found, items)
    assert [result["strict"] for result in results] == [float(item["answer"] == "3") for item in items]
    for request, item in zip(engine.requests, items, strict=True):
        system, user = request.messages
        assert (system["role"], user["role"]) == ("system", "user") and user["content"].endswith(item["question"])
        assert system["content"].count("Reasoning:\nIt is ") == 10 and "test " not in system["content"]
    assert "messages" not in benchmarks.items(benchmarks.load_benchmark("gsm8k"), "final", KEY)[0]
    raw = harness.score(engine, found, items, 4, benchmarks.items(found, "fewshot", KEY))
    assert len(raw) == len(items) and all(not request.messages for request in engine.requests)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tiny_gsm8k", "protocol mine: system_shots: tiny_gsm8k takes its items from no data set"),
        ("humaneval", r"humaneval/utils.py: has no worked\(item\), which `system_shots` of a protocol needs"),
    ],
)
def test_a_benchmark_that_cannot_show_examples_is_told(data, tmp_path, name, said):
    rows = [
        {
            "task_id": f"T/{i}",
            "prompt": f"def f{i}():\n",
            "canonical_solution": "    return 1\n",
            "test": "",
            "entry_point": f"f{i}",
        }
        for i in range(40)
    ]
    (tmp_path / "data" / "humaneval").mkdir()
    packed = gzip.compress("\n".join(map(json.dumps, rows)).encode())
    (tmp_path / "data" / "humaneval" / "HumanEval.jsonl.gz").write_bytes(packed)
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"name: mine\nsummary: s\nweights: {{{name}: 1}}\nsystem_shots: {{{name}: 2}}\n")
    with pytest.raises(InputError, match=said):
        benchmarks.items(protocols.benchmark(name, str(mine)), "final", KEY)


def test_too_few_rows_for_its_examples_are_told(data, tmp_path):
    rows = (tmp_path / "data" / "gsm8k" / "train.jsonl").read_text().splitlines()
    (tmp_path / "data" / "gsm8k" / "train.jsonl").write_text("\n".join(rows[:9]))
    with pytest.raises(DataError, match="benchmark 'gsm8k': 10 worked examples are asked for, [0-9] there"):
        benchmarks.items(protocols.benchmark("gsm8k", V1), "final", KEY)


def test_a_source_that_holds_a_test_item_is_refused_and_its_row_is_left_out_of_training(data):
    found = protocols.benchmark("gsm8k", V1_2)
    items = benchmarks.items(found, "search", KEY)
    rows = [{"prompt": "train 3?", "completion": "3"}, {"prompt": "test 3?", "completion": "3"}]
    verdict = contamination.on_source("mine", rows, benchmarks.final_pool(found, KEY))
    assert not verdict.ok and "1 row holds final benchmark items" in verdict.reason
    assert {hit.row for hit in Overlap([item["question"] for item in items]).scan(rows)} == {1}
    assert contamination.on_source("mine", rows[:1], items).ok


@pytest.mark.parametrize("name", ["humaneval", "gpqamain", "aime2025", "gsm8k"])
def test_a_set_that_is_divided_otherwise_is_whole_under_a_protocol(name):
    found = protocols.benchmark(name, V1).items
    assert found["search"] == found["final"] and (found["final"]["begin"], found["final"]["end"]) == (0.0, 1.0)
    assert found["final"]["sets"] == ["test"]


@pytest.mark.parametrize(("name", "repeats"), [("aime2025", 5), ("gpqamain", 3), ("gsm8k", 3), ("humaneval", 3)])
def test_v1_2_draws_several_samples_as_each_model_says_and_v1_one(name, repeats):
    assert protocols.benchmark(name, V1_2).decoding == Decoding(own="vllm", repeats=repeats)
    assert protocols.benchmark(name, V1).decoding == Decoding(own="vllm")
    few_shot = Decoding(temperature=0.6, top_p=0.95)
    assert protocols.benchmark(name, V1).few_shot_decoding == few_shot
    assert protocols.benchmark(name, V1_2).few_shot_decoding == few_shot.model_copy(update={"repeats": repeats})


def test_v1_2_shuffles_the_options_of_gpqa_anew_for_every_sample():
    found = {name: protocols.benchmark(name, V1_2).reshuffled for name in protocols.load(V1_2).weights}
    assert [name for name, is_so in found.items() if is_so] == ["gpqamain"]
    assert not protocols.benchmark("gpqamain", V1).reshuffled and not protocols.benchmark("gpqamain").reshuffled


def test_judged_benchmarks_are_sampled_once():
    for name in ("arenahardwriting", "healthbench"):
        assert protocols.load(V1_2).decoding[name] == protocols.load(V1).decoding[name] == Decoding(own="vllm")


def test_a_benchmark_has_the_protocol_s_weight():
    assert protocols.benchmark("gsm8k", V1_2).weight == pytest.approx(0.1011, abs=1e-4)
    assert protocols.benchmark("gsm8k", V1).weight == pytest.approx(0.0936, abs=1e-4)


# ---------------------------------------------------------------- wrong names and files

MINE = """
name: mine
summary: "My own."
weights: {tiny_gsm8k: 2.0, gsm8k: 1}
decoding: {tiny_gsm8k: {temperature: 0.7, repeats: 2}}
"""


def test_a_yaml_of_one_s_own_is_a_protocol(tmp_path):
    (tmp_path / "mine.yaml").write_text(MINE)
    found = protocols.benchmark("tiny_gsm8k", str(tmp_path / "mine.yaml"))
    assert (found.weight, found.decoding) == (2.0, Decoding(temperature=0.7, repeats=2))
    assert found.items == benchmarks.load_benchmark("tiny_gsm8k").items
    assert protocols.address(str(tmp_path / "mine.yaml")) == str(tmp_path / "mine.yaml")
    assert protocols.name_of(str(tmp_path / "mine.yaml")) == "mine" and protocols.name_of(V1_2) == V1_2


def test_names_and_files_that_do_not_exist_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"unknown protocol 'posttrainbench-v2': did you mean posttrainbench-v1"):
        protocols.load("posttrainbench-v2")
    with pytest.raises(InputError, match="unknown protocol 'own'"):
        protocols.load("own")
    with pytest.raises(InputError, match=r"mine.yaml: no such file"):
        protocols.address(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tiny_gsm8k", "'tiny_gsm8k', a miniature of gsm8k, is not part of the protocol posttrainbench-v1.2"),
        ("bfcl_ast", "'bfcl_ast' is not part of the protocol posttrainbench-v1.2: its benchmarks are aime2025"),
        ("bfcl_ast:parallel", "'bfcl_ast:parallel' is not part of"),
        ("gsm9k", "unknown benchmark 'gsm9k'"),
    ],
)
def test_a_benchmark_that_is_not_part_of_a_protocol_is_refused(name, said):
    with pytest.raises(InputError) as caught:
        protocols.benchmark(name, V1_2)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: mine", "name: yours", "name 'yours' is not its file's name"),
        ("decoding:", "decodng:", "decodng: unknown key: did you mean decoding"),
        (
            "{temperature: 0.7",
            "{temprature: 0.7",
            "decoding.tiny_gsm8k.temprature: unknown key: did you mean temperature",
        ),
        ("gsm8k: 1}", "gsm8k: 0}", "weights: gsm8k: must be above 0"),
        ("{tiny_gsm8k: 2.0, gsm8k: 1}", "{}", "weights"),
        ("repeats: 2", "repeats: 0", "decoding.tiny_gsm8k.repeats: must be greater than or equal to 1"),
        ("temperature: 0.7, ", "", "greedy decoding (temperature 0) draws nothing"),
        ("{tiny_gsm8k: {temp", "{tiny: {temp", "decoding: tiny has no weight"),
        ("weights:", "reshuffled: [tiny_gpqa]\nweights:", "reshuffled: tiny_gpqa has no weight"),
        ("temperature: 0.7", "temperature: hot", "decoding.tiny_gsm8k.temperature: must be a number"),
    ],
)
def test_a_wrong_file_is_one_line_with_its_place(tmp_path, old, new, said):
    (tmp_path / "mine.yaml").write_text(MINE.replace(old, new))
    with pytest.raises(InputError, match=r"^[^\n]*mine\.yaml[^\n]*$") as caught:
        protocols.load(str(tmp_path / "mine.yaml"))
    assert said in str(caught.value)


def test_generated_items_have_no_whole_test_set(tmp_path):
    (tmp_path / "mine.yaml").write_text(MINE + "items: test\n")
    with pytest.raises(InputError, match="tiny_gsm8k.*there is no whole test set"):
        protocols.benchmark("tiny_gsm8k", str(tmp_path / "mine.yaml"))
