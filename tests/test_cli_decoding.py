"""`evaluate` and `compare` with a protocol, with samples, on tiny models and recorded answers."""

from __future__ import annotations

import json
import shutil

import pytest

from pipeline.paths import read_json, read_jsonl, write_json, write_jsonl
from tests import tiny_models


@pytest.fixture
def run(command, tmp_path, monkeypatch):
    """Calls the command in this process, in an empty folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    return command


@pytest.fixture
def data(tmp_path, monkeypatch):
    """GSM8K's local copy in miniature, and a file with three answers to each test item, the i-th right i times."""
    monkeypatch.setenv("POSTTRAIN_DATA_ROOT", str(tmp_path / "data"))
    (tmp_path / "data" / "gsm8k").mkdir(parents=True)
    for split, n in (("train", 60), ("test", 4)):
        write_jsonl(
            tmp_path / "data" / "gsm8k" / f"{split}.jsonl",
            [{"question": f"{split} {i}?", "answer": f"It is {i}.\n#### {i}"} for i in range(n)],
        )
    answers = [
        {"index": i, "response": f"ANSWER: {i if copy < i else 99}", "stopped": True}
        for copy in range(3)
        for i in range(4)
    ]
    write_jsonl(tmp_path / "answers.jsonl", answers)
    return "recorded:answers.jsonl"


def test_recorded_samples_give_the_mean_its_error_over_items_and_pass_at_k(run, data):
    code, out, _ = run("evaluate", "x", "--benchmark", "gsm8k", "--split", "final", "--engine", data, "--json")
    score = json.loads(out)["scores"][0]
    assert code == 0 and (score["n"], score["repeats"]) == (4, 3)
    assert score["value"] == pytest.approx(0.5) and score["stderr"] == pytest.approx(0.2152, abs=1e-4)
    assert score["pass_at_k"] == pytest.approx({"1": 0.5, "2": (2 / 3 + 1 + 1) / 4, "3": 0.75})
    code, out, _ = run("evaluate", "x", "--benchmark", "gsm8k", "--split", "final", "--engine", data, "--repeats", 1)
    assert code == 0 and " 0.750 " in out and "pass@" not in out


def test_a_protocol_scores_the_whole_test_set_with_its_weights_and_says_so(run, data, tmp_path):
    asked = ["evaluate", "x", "--benchmark", "gsm8k", "--engine", data, "--protocol", "posttrainbench-v1.2"]
    code, out, _ = run(*asked, "--json")
    document = json.loads(out)
    assert code == 0 and document["protocol"] == "posttrainbench-v1.2" and document["items_are"] == "whole test set"
    assert document["weighted_average"] == {"model": pytest.approx(0.5)}
    assert document["benchmarks_missing"] == ["aime2025", "arenahardwriting", "gpqamain", "healthbench", "humaneval"]
    assert [row["id"] for row in read_jsonl(tmp_path / "runs/evaluation-x/items.jsonl")] == [
        f"gsm8k-{i}" for i in range(4)
    ]
    _, out, _ = run(*asked)
    assert "protocol posttrainbench-v1.2, on the whole test sets: weighted average model 0.500 (without aime2025" in out


def test_what_a_changed_generation_config_alone_brings_is_a_row_of_its_own(run, tmp_path):
    base, instruct = tiny_models.untrained("qwen3"), tiny_models.taught("qwen3")
    model = shutil.copytree(instruct, tmp_path / "hot")
    config = read_json(model / "generation_config.json")
    asked = ["evaluate", model, "--base", base, "--instruct", instruct, "--benchmark", "tiny_gsm8k", "--limit", 4]
    code, out, _ = run(*asked, "--json")
    assert code == 0 and "base_as_configured" not in json.loads(out)
    write_json(model / "generation_config.json", {**config, "do_sample": True, "temperature": 0.8, "num_beams": 3})
    code, out, _ = run(*asked, "--json")
    document = json.loads(out)
    [row] = document["base_as_configured"]
    assert code == 0 and (row["benchmark"], row["n"]) == ("tiny_gsm8k", 4)
    assert (row["decoding"]["temperature"], row["decoding"]["top_k"]) == (0.8, 50)
    assert row["not_followed"] == ["num_beams 3"] and set(row["difference_points"]) >= {"value", "low", "high"}
    assert {score["decoding"]["temperature"] for score in document["scores"] + document["base"]} == {0.0}
    assert {item["of"] for item in read_jsonl(document["items"])} == {"model", "base", "instruct", "base_as_configured"}
    _, out, _ = run(*asked)
    assert "base, decoded as hot's generation_config says" in out and "not followed: num_beams 3" in out


def test_two_models_are_compared_under_the_same_samples(run):
    model = tiny_models.taught("qwen3")
    asked = ["compare", model, model, "--benchmark", "tiny_gsm8k", "--limit", 4, "--temperature", 0.9, "--repeats", 2]
    code, out, _ = run(*asked, "--json")
    document = json.loads(out)
    assert code == 0 and document["benchmarks"][0]["differing"] == [] and document["protocol"] == "own"
    rows = read_jsonl(document["items"])
    assert all(len(row["responses"]) == 2 for row in rows)
    assert any(a["response"] != b["response"] for a, b in (row["responses"] for row in rows))


V1_2 = ["--protocol", "posttrainbench-v1.2"]
WRONG = {
    "unknown protocol": (["--benchmark", "gsm8k", "--protocol", "posttrainbench-v3"], "posttrainbench-v1.2"),
    "missing protocol file": (["--benchmark", "gsm8k", "--protocol", "mine.yaml"], "mine.yaml: no such file"),
    "miniature in a protocol": (["--benchmark", "tiny_gsm8k", *V1_2], "a miniature of gsm8k, is not part"),
    "benchmark outside a protocol": (["--benchmark", "gsm8k,bfcl_ast", *V1_2], "'bfcl_ast' is not part"),
}  # fmt: skip


@pytest.mark.parametrize("verb", ["evaluate", "compare", "search", "open"])
@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_protocol_is_one_line_before_anything_is_built(run, tmp_path, verb, case):
    arguments, hint = WRONG[case]
    before = {"evaluate": ["lab/qwen3"], "compare": ["lab/qwen3", "lab/qwen3-base"]}
    named = before.get(verb, ["--model", "lab/qwen3-base", "--budget", "9s", "--out", "new"])
    code, out, err = run(verb, *named, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1) and hint in err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--top-p", "0.9"], "--top-p 0.9 without --temperature"),
        (["--temperature", "0", "--repeats", "4"], "--temperature 0 is greedy"),
        (["--temperature", "-1"], "--temperature: must be"),
        (["--temperature", "warm"], "--temperature"),
        (["--temperature", "nan"], "--temperature: must be"),
        (["--temperature", "1", "--top-p", "0"], "--top-p: must be greater than 0"),
        (["--repeats", "0"], "--repeats: must be"),
    ],
)
def test_wrong_decoding_is_one_line(run, tmp_path, arguments, hint):
    code, out, err = run("evaluate", "lab/qwen3", "--benchmark", "tiny_gsm8k", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1) and hint in err and not any(tmp_path.iterdir())


def test_protocols_are_listed_with_their_benchmarks(run):
    code, out, _ = run("list", "protocols", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0 and list(rows) == ["own", "posttrainbench-v1", "posttrainbench-v1.2"]
    assert "bfcl" in rows["posttrainbench-v1"]["benchmarks"] and all(row["summary"] for row in rows.values())
