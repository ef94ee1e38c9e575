"""`posttrain reproduce`: lab, search and report in one call."""

import json
import os
import subprocess
import sys

import pytest

from pipeline import asking, reproduce, sandbox
from pipeline.asking import Asked
from pipeline.errors import InputError
from pipeline.types import Budget


def call(*arguments, cwd, timeout, verb="reproduce", **environment):
    command = [sys.executable, "-m", "pipeline.cli", verb, *arguments, "--json"]
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=timeout
    )


def asked(model="lab/qwen3-base", benchmark="tiny_gsm8k"):
    return Asked(model=model, benchmark=benchmark, budget=Budget(seconds=1.0))


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        (asked(), "qwen3-tiny_gsm8k"),
        (asked("lab/smollm3"), "smollm3-tiny_gsm8k"),
        (asked("Qwen/Qwen3-1.7B-Base", "tiny_bfcl"), "Qwen3-1.7B-Base-tiny_bfcl"),
        (asked("/models/mine/", "/evals/ours"), "mine-ours"),
    ],
)
def test_a_cell_is_named_by_model_and_benchmark_without_their_paths(cell, name):
    assert reproduce.cell_name(cell) == name


def test_code_that_cannot_be_run_is_refused_before_a_lab_is_built(monkeypatch):
    monkeypatch.setattr(sandbox.guests, "_why_not", lambda: "bwrap is not installed")
    with pytest.raises(InputError, match="install bubblewrap"):
        asking.check(asked(benchmark="tiny_humaneval"))
    monkeypatch.setenv("POSTTRAIN_ALLOW_UNSAFE_CODE", "1")
    assert asking.check(asked(benchmark="tiny_humaneval")).stages[0].data[0].name == "code_1"


@pytest.mark.clock
@pytest.mark.lab
def test_reproduce_tells_the_whole_story_on_the_micro_lab(tmp_path):
    arguments = ["--agent", "plain", "--budget", "30s", "--out", "run"]
    done = call(*arguments, cwd=tmp_path, timeout=240, POSTTRAIN_LAB="micro")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {role for role, score in report["scores"].items() if score} == {"base", "base_few_shot", "instruct", "best"}
    assert report["model"] == "lab/qwen3-base" and report["trials"]["scored"] == 1
    assert abs(report["spend"]["seconds"] - 30) <= 2 or report["spend"]["seconds"] < 30
    for words in ("scoring base", "t001", "left", "final split"):
        assert words in done.stderr
    assert (tmp_path / "run" / "final_model" / "config.json").is_file()
    assert (tmp_path / "run" / "sealed").stat().st_mode & 0o077 == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_reproduce_regains_most_of_the_human_gain(tmp_path):
    done = call("--out", "run", cwd=tmp_path, timeout=880)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["fraction"]["value"] > 0.5
    assert abs(report["spend"]["seconds"] - 120) <= 2.4
    assert report["spend"]["overhead_seconds"] <= 0.15 * report["spend"]["seconds"]
    again = call("run", "t001", cwd=tmp_path, timeout=120, verb="rerun")
    assert again.returncode == 0 and json.loads(again.stdout)["same"], again.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_trials_are_really_trained_at_once_with_two_slots(tmp_path):
    given = ["--model", "lab/qwen3-base", "--benchmark", "tiny_gsm8k", "--agent", "random", "--budget", "90s"]
    done = call(*given, "--slots", "2", "--out", "run", cwd=tmp_path, timeout=500, verb="search", POSTTRAIN_LAB="micro")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in (tmp_path / "run" / "ledger.jsonl").read_text().splitlines()]
    begun = {each["trial"]["id"]: each["at"] for each in events if each["kind"] == "started"}
    ended = {each["trial"]: each["at"] for each in events if each["kind"] == "finished" and each["trial"][0] == "t"}
    assert any(begun[a] < begun[b] < ended[a] for a in ended for b in ended if a != b), (begun, ended)
