"""`posttrain evaluate` on recorded answers: both readings of a score, and what becomes of answers to other items."""

from __future__ import annotations

import json
from statistics import stdev

import pytest

from pipeline import benchmarks, cli, machine, worlds
from pipeline.types import ItemsKey

HERE = machine.Machine(cores=1, memory_bytes=1, device="cpu", device_name="", dtype="float32", threads=1)


@pytest.fixture
def run(capfd, tmp_path, monkeypatch):
    """Calls the command in this process, in an empty folder, on answers; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "cached", lambda: HERE)

    def call(rows, *arguments):
        (tmp_path / "answers.jsonl").write_text("\n".join(map(json.dumps, rows)))
        code = cli.main(["evaluate", "any label", "--engine", "recorded:answers.jsonl", *map(str, arguments)])
        out, err = capfd.readouterr()
        return code, out, err

    return call


def answers(name: str, n: int, split: str = "search", **more) -> list[dict]:
    """Four right ones, then as many in another format, then wrong ones."""
    world = worlds.get(benchmarks.load_benchmark(name).items["world"])
    items = benchmarks.items(benchmarks.load_benchmark(name), split, ItemsKey(), n)
    texts = [world.respond(item, "worked" if at < 4 else "format") if at < 8 else "no" for at, item in enumerate(items)]
    return [{"id": item["id"], "response": text, **more} for item, text in zip(items, texts, strict=True)]


def test_json_has_the_strict_and_the_lenient_score_each_with_its_own_error(run):
    code, out, err = run(answers("tiny_gsm8k", 10), "--benchmark", "tiny_gsm8k", "--limit", 10, "--json")
    assert code == 0, err
    document = json.loads(out)
    strict, lenient = document["scores"]
    shared = {"benchmark": "tiny_gsm8k", "n": 10, "role": "search"}
    assert strict.items() >= {**shared, "metric": "exact match, strict", "value": 0.4}.items()
    assert lenient.items() >= {**shared, "metric": "exact match, lenient", "value": 0.8}.items()
    assert strict["stderr"] == pytest.approx(stdev([1.0] * 4 + [0.0] * 6) / 10**0.5)
    assert lenient["stderr"] == pytest.approx(stdev([1.0] * 8 + [0.0] * 2) / 10**0.5)
    assert document["model"] == "any label" and document["ignored_answers"] == 0 and "ignored" not in err


def test_the_table_has_a_line_for_each_benchmark(run):
    rows = [*answers("tiny_gsm8k", 8), *answers("tiny_bfcl", 8)]
    code, out, err = run(rows, "--benchmark", "tiny_gsm8k,tiny_bfcl", "--limit", 8)
    assert code == 0, err
    lines = out.splitlines()
    assert len(lines) == 4 and lines[1].split()[2:6] == ["tiny_gsm8k", "0.500", "0.189", "1.000"]
    assert lines[1].endswith("exact match, search split") and lines[2].split()[2] == "tiny_bfcl"


def test_answers_that_no_benchmark_asks_for_are_counted(run):
    asked = [*answers("tiny_gsm8k", 8, benchmark="tiny_gsm8k"), *answers("tiny_bfcl", 8)]
    others = [*answers("tiny_gsm8k", 5, "final"), {"index": 4000, "response": ""}, {"id": "of nothing", "response": ""},
              {"index": 0, "benchmark": "gsm8k", "response": ""}]  # fmt: skip
    arguments = ["--benchmark", "tiny_gsm8k,tiny_bfcl", "--limit", 8, "--json"]
    code, out, err = run([*others, *asked], *arguments)
    assert code == 0 and json.loads(out)["ignored_answers"] == 8, err
    assert "8 recorded answers ignored: they are of another split or benchmark, or beyond --limit" in err


def test_items_without_an_answer_are_listed_and_nothing_is_printed(run):
    code, out, err = run(answers("tiny_gsm8k", 6), "--benchmark", "tiny_gsm8k", "--limit", 8)
    assert (code, out) == (2, "")
    [line] = [line for line in err.splitlines() if line.startswith("error: ")]
    assert "answers.jsonl: 2 of 8 items have no answer: " in line


def test_they_are_missed_before_a_model_is_built_or_scored_beside_them(run, monkeypatch):
    monkeypatch.setattr("pipeline.models.resolve", lambda *_, **__: pytest.fail("a model was built"))
    monkeypatch.setattr("pipeline.evaluate.evaluate", lambda *_, **__: pytest.fail("something was scored"))
    rows = [*answers("tiny_gsm8k", 8), *answers("tiny_bfcl", 7)]
    asked = ["--benchmark", "tiny_gsm8k,tiny_bfcl", "--limit", 8, "--base", "lab/qwen3-base"]
    code, out, err = run(rows, *asked)
    assert (code, out, err.count("\n")) == (2, "", 1) and "answers.jsonl: 1 of 8 items have no answer: " in err
    code, out, err = run([*rows, *rows], "--benchmark", "tiny_gsm8k", "--limit", 8, "--repeats", 3)
    assert (code, out, err.count("\n")) == (2, "", 1) and "8 of 8 items have fewer than 3 answers: " in err


def test_a_broken_file_of_answers_is_the_users_error(run):
    code, out, err = run([{"index": 0, "response": None}], "--benchmark", "tiny_gsm8k")
    assert (code, out) == (2, "") and 'answers.jsonl, row 1: "response" must be a text' in err
    assert err.count("\n") == 1, "it is read before anything else is done"
