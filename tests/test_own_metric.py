"""Searches that a user's program scores, by the real command with instant training; and the example in the docs."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from pipeline import programs
from pipeline.evaluate import evaluate
from pipeline.fakes import fake_model
from pipeline.types import Program
from tests import tiny_models

DOCS = Path(__file__).parents[1] / "docs" / "own-metric.md"
PROGRAM = """
import json, sys
score = json.load(open(sys.argv[1] + "/fake.json"))["score"]
json.dump({found}, open(sys.argv[2], "w"))
"""
INSTANT = ["--executor", "pipeline.fakes:instant"]
FAKE = ["--model", "base", *INSTANT, "--agent", "plain", "--budget", "1m"]
SCORER = ["--scorer", "python my.py {model} {json}"]
SEARCH = ["search", *FAKE, *SCORER, "--out", "run", "--json"]
DATA = ["--data", "maths_1,maths_2"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name, score in (("base", 0.05), ("instruct", 0.9)):
        fake_model(tmp_path / name, score)
        (tmp_path / name / "config.json").write_text('{"architectures": ["Qwen3ForCausalLM"]}')
    write(tmp_path, "{'accuracy': score, 'n': 500}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTTRAIN_FAKE_SECONDS", "0.3")
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no test here pulls the plug
    return tmp_path


def write(folder: Path, found: str) -> None:
    (folder / "my.py").write_text(PROGRAM.format(found=found))


@pytest.mark.slow
def test_a_program_with_data_is_a_whole_search(command, place):
    code, out, _ = command(*SEARCH, *DATA, "--instruct", "instruct")
    report = json.loads(out)
    assert code == 0 and report["benchmark"] == "my" and report["metric"] == "accuracy"
    fraction = report["fraction"]
    assert 0.2 < fraction["low"] < fraction["value"] < fraction["high"] and "not paired" in report["fraction_why"]
    assert report["sealed"] is False and "no final items of its own" in report["terms"]["items"]
    assert report["noise_floor"] > 0.02 and report["scores"]["base_few_shot"] is None
    assert {source["name"] for source in recipe(place)["stages"][0]["data"]} == {"maths_1", "maths_2"}
    code, out, _ = command("report", "run")
    assert code == 0 and "Not sealed: search and final scores are both the program's" in " ".join(out.split())


def recipe(place: Path) -> dict:
    return json.loads((place / "run" / "run.json").read_text())["request"]["recipe"]


@pytest.mark.slow
def test_a_catalogue_benchmark_gives_recipe_and_data(command, place):
    code, out, _ = command(*SEARCH, "--benchmark", "tiny_gsm8k")
    assert code == 0 and json.loads(out)["benchmark"] == "tiny_gsm8k" and json.loads(out)["metric"] == "accuracy"
    assert len(recipe(place)["stages"][0]["data"]) == 7


@pytest.mark.slow
def test_a_benchmark_folder_with_a_command_needs_no_option(command, place):
    (place / "mine").mkdir()
    (place / "my.py").rename(place / "mine" / "my.py")
    text = "name: mine\nsummary: my own\nscorer: program\ncommand: python my.py {model} {json}\n"
    (place / "mine" / "benchmark.yaml").write_text(text + "metric: accuracy\nkind: maths\nrecipe: tiny_gsm8k\n")
    code, out, _ = command("search", *FAKE, "--benchmark", "./mine", "--out", "run", "--json")
    assert code == 0 and json.loads(out)["benchmark"] == "mine" and json.loads(out)["best_trial"] == "t001"


@pytest.mark.slow
def test_a_score_without_any_error_is_reported_as_of_unknown_noise(command, place):
    write(place, "{'accuracy': score}")
    code, out, _ = command(*SEARCH, *DATA, "--instruct", "instruct")
    report = json.loads(out)
    assert code == 0 and report["best_trial"] == "t001"
    assert report["fraction"] is None and "the scores alone give 0." in report["fraction_why"]
    assert report["noise_floor"] is None and report["scores"]["best"]["stderr"] is None
    for form in ("text", "md", "html"):
        code, out, _ = command("report", "run", "--format", form)
        assert code == 0 and "unresolved" in " ".join(out.split()) and "not known" in " ".join(out.split())


@pytest.mark.slow
def test_what_is_better_when_lower_is_searched_by_its_negative(command, place):
    write(place, "{'loss': 10 - score, 'loss_stderr': 0.01}")
    code, out, _ = command(*SEARCH, *DATA, "--metric=-loss")
    report = json.loads(out)
    assert code == 0 and report["metric"] == "-loss" and report["best_trial"] == "t001"
    assert report["scores"]["base"]["value"] == -9.95 < report["scores"]["best"]["value"]
    assert command("report", "run", "--format", "html")[0] == 0


def test_a_program_that_knows_splits_has_final_items_of_its_own(command, place):
    write(place, "{'accuracy': score * (0.5 if sys.argv[3] == 'final' else 1), 'n': 500}")
    code, out, _ = command(*SEARCH[:-4], "python my.py {model} {json} {split}", "--out", "run", "--json", *DATA)
    report = json.loads(out)
    assert code == 0 and report["sealed"] is True and report["scores"]["base"]["value"] == 0.025


def test_a_program_that_fails_on_a_trial_fails_that_trial_alone(command, place):
    write(place, "{'accuracy': score, 'n': 500} if score == 0.05 else sys.exit('too good')")
    code, out, _ = command(*SEARCH, *DATA)
    report = json.loads(out)
    assert code == 0 and report["trials"]["failed"] == 1 and report["best_trial"] is None
    assert "too good" in (place / "run" / "ledger.jsonl").read_text()


def test_a_program_that_fails_on_the_base_ends_the_command_with_its_reason(command, place):
    write(place, "sys.exit('no GPU')")
    code, _, err = command(*SEARCH, *DATA)
    last = err.strip().splitlines()[-1]
    assert code == 2 and last.startswith("error: base cannot be scored: the scoring program") and "no GPU" in last


@pytest.mark.parametrize(
    "arguments, why",
    [
        ([*FAKE, *SCORER], "nothing says what to train on"),
        ([*FAKE, "--scorer", "python my.py {model}", *DATA], "has no {json}"),
        ([*FAKE, "--scorer", "python gone.py {model} {json}", *DATA], "gone.py: no such file"),
        ([*FAKE, *SCORER, "--data", "nowhere"], "unknown data source 'nowhere'"),
        ([*FAKE, *SCORER, *DATA, "--limit", "5"], "has no {limit}"),
        ([*FAKE, *SCORER, *DATA, "--scorer-time", "soon"], "--scorer-time 'soon': not a duration"),
        ([*FAKE, *SCORER, "--benchmark", "tiny_gsm8k,tiny_bfcl"], "a run has one benchmark"),
        ([*FAKE, *SCORER, *DATA, "--anchors", "published"], "a program's scores compare with its own alone"),
        ([*FAKE, *SCORER, *DATA, "--judge", "openai:gpt-5-mini"], "--judge with --scorer"),
        ([*FAKE, "--benchmark", "tiny_gsm8k", "--metric", "x"], "there is no program that it belongs to"),
        (["--resume", "run", *SCORER], "--scorer with --resume"),
    ],
)
def test_what_cannot_be_is_one_line_before_anything_starts(command, place, arguments, why):
    code, _, err = command("search", *arguments)
    assert code == 2 and why in err and len(err.strip().splitlines()) == 1
    assert not (place / "runs").exists()


@pytest.mark.slow
def test_a_run_of_steps_can_be_scored_by_a_program(command, place):
    given = ["--model", "base", *INSTANT, "--budget", "1m", "--out", "run"]
    assert command("open", *given, *SCORER, *DATA)[0] == 0
    code, out, _ = command("step", "run", "--changes", "{}", "--json")
    assert code == 0 and json.loads(out)["trial"]["outcome"]["scores"][0]["metric"] == "accuracy"
    code, out, _ = command("finish", "run", "--json")
    assert code == 0 and json.loads(out)["best_trial"] == "t001"
    code, out, _ = command("rerun", "run", "t001", "--json")
    assert code == 0 and json.loads(out)["same"] is True


def test_the_example_in_the_docs_scores_a_real_model_as_it_stands_there(tmp_path):
    code, shown = re.findall(r"```(?:python)?\n(.*?)```", DOCS.read_text(), re.DOTALL)[:2]
    assert len(code.splitlines()) <= 10
    (tmp_path / "brevity.py").write_text(code)
    line = re.search(r"--scorer '([^']*)'", shown)[1].replace("python", sys.executable, 1)
    program = Program(command=line, folder=str(tmp_path), alone=True)
    programs.check(program)
    found = evaluate(tiny_models.taught("qwen3"), programs.benchmark("brevity", program=program), [], "search").score
    assert found.metric == "short_answers" and 0 <= found.value <= 1 and found.n == 4 and found.stderr > 0


def test_the_benchmark_in_the_docs_is_one(tmp_path):
    text = re.search(r"```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)[1]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "benchmark.yaml").write_text(text)
    found = programs.benchmark(str(tmp_path / "mine"))
    assert found.program and (found.program.metric, found.program.time_limit) == ("short_answers", 600)


def test_a_model_is_evaluated_by_a_program_with_its_fraction(command, place):
    fake_model(place / "mine", 0.5)
    (place / "mine" / "config.json").write_text('{"architectures": ["Qwen3ForCausalLM"]}')
    given = ["evaluate", "mine", *SCORER, "--base", "base", "--instruct", "instruct"]
    code, out, _ = command(*given, "--json", "--out", "scored")
    found = json.loads(out)
    assert code == 0 and [score["metric"] for score in found["scores"]] == ["accuracy"]
    assert found["fraction"]["low"] < 0.529 < found["fraction"]["high"]
    write(place, "{'accuracy': score}")
    code, out, _ = command(*given, "--out", "again")
    assert code == 0 and "0.500      -" in out and "no fraction: a program tells neither" in out


@pytest.mark.parametrize(
    "arguments, why",
    [
        (SCORER, "exit code 1: out of memory"),
        ([*SCORER, "--limit", "3"], "has no {limit}"),
        ([*SCORER, "--repeats", "3"], "a program draws answers as it likes"),
        (["--metric", "x", "--benchmark", "tiny_gsm8k"], "there is no program that it belongs to"),
        ([], "--benchmark is missing"),
    ],
)
def test_an_evaluation_that_cannot_be_is_one_line(command, place, arguments, why):
    write(place, "sys.exit('out of memory')")
    code, _, err = command("evaluate", "base", *arguments)
    assert code == 2 and why in err.strip().splitlines()[-1]
