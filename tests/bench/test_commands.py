"""`posttrain bench` on the command line: help, wrong input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import machine, models
from pipeline.bench import agents, eval, landscape, parity, train
from pipeline.commands import bench

VERBS = [command.name or command.callback.__name__ for command in bench.app.registered_commands]


@pytest.fixture
def run(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    return command


@pytest.mark.parametrize("verb", VERBS)
def test_every_measurement_has_help_with_an_example(run, verb):
    code, out, _ = run("bench", verb, "--help")
    assert code == 0 and f"posttrain bench {verb}" in out and "Example" in out


WRONG = {
    "no verb": ([], "bench --help"),
    "agents without a folder": (["agents"], "--out"),
    "agents unknown": (["agents", "--out", "x", "--agents", "asha,magic"], "asha"),
    "an agent without a name": (["agents", "--out", "x", "--agents", "asha,,plain"], "--agents"),
    "an agent twice": (["agents", "--out", "x", "--agents", "asha,asha"], "once"),
    "agents on an unknown benchmark": (["agents", "--out", "x", "--benchmark", "gsm9k"], "tiny_gsm8k"),
    "agents of an unknown family": (["agents", "--out", "x", "--family", "llama"], "qwen3"),
    "agents without a budget": (["agents", "--out", "x", "--budget", "0s"], "more than 0"),
    "a landscape without a folder": (["landscape"], "--out"),
    "a landscape of no length": (["landscape", "--out", "x", "--tokens", "0"], "--tokens"),
    "a landscape of an unknown benchmark": (["landscape", "--out", "x", "--benchmark", "gsm9k"], "tiny_gsm8k"),
    "no trials to start": (["start", "--runs", "0"], "--runs"),
    "start on an unknown benchmark": (["start", "--benchmark", "gsm9k"], "tiny_gsm8k"),
    "start of an unknown family": (["start", "--family", "llama"], "qwen3"),
    "start of two families": (["start", "--family", "qwen3,gemma3"], "one"),
    "training of an unknown model": (["train", "--model", "lab/qwen4-base"], "lab/qwen3-base"),
    "training without steps": (["train", "--steps", "0"], "--steps"),
    "training on an unknown benchmark": (["train", "--benchmark", "gsm9k"], "tiny_gsm8k"),
    "evaluation of an unknown model": (["eval", "--model", "lab/qwen4"], "lab/qwen3"),
    "evaluation of no items": (["eval", "--limit", "0"], "--limit"),
    "parity without a folder": (["parity"], "--out"),
    "parity on an unknown benchmark": (["parity", "--out", "x", "--benchmark", "gsm9k"], "gsm8k"),
    "parity of an unknown model": (["parity", "--out", "x", "--model", "lab/qwen4"], "lab/qwen3"),
    "parity without tokens": (["parity", "--out", "x", "--max-tokens", "0"], "--max-tokens"),
    "agents without seeds": (["agents", "--out", "x", "--seeds", "0"], "--seeds"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_line_and_nothing_is_written(run, tmp_path, case):
    arguments, hint = WRONG[case]
    code, out, err = run("bench", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert hint in err and "Traceback" not in err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("there", ["notes.txt", "bench.json"])
def test_a_folder_of_something_else_is_left_alone(run, tmp_path, there):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / there).write_text('{"kind": "landscape"}')
    code, out, err = run("bench", "agents", "--out", "mine")
    assert (code, out, err.count("\n")) == (2, "", 1) and "name a new folder" in err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == [there]


# ---------------------------------------------------------------- from options to measurements


@pytest.fixture
def shown(monkeypatch):
    """A table that is a line of JSON, instead of one that needs all numbers."""
    monkeypatch.setattr(bench, "show", lambda document, page, as_json: print(json.dumps(document)))


def test_agents_are_run_as_asked_for(run, shown, monkeypatch):
    plans = []
    flagged = {"cells": [{"runs": [{"flagged": True}]}]}
    monkeypatch.setattr(agents, "run", lambda plan, watching, resolve: plans.append(plan) or flagged)
    arguments = ["--agents", "asha, plain", "--seeds", "2", "--first-seed", "3", "--budget", "10m", "--lab-seed", "7"]
    code, _, _ = run("bench", "agents", *arguments, "--family", "all", "--benchmark", "tiny_bfcl", "--out", "x")
    [plan] = plans
    assert code == 3  # a run was flagged
    assert plan.agents == ("asha", "plain") and plan.seeds == (3, 4)
    assert [cell.model for cell in plan.cells] == ["lab/gemma3-base", "lab/qwen3-base", "lab/smollm3-base"]
    assert {(cell.benchmark, cell.lab_seed, cell.budget.seconds) for cell in plan.cells} == {("tiny_bfcl", 7, 600.0)}


def test_a_landscape_is_surveyed_as_asked_for(run, shown, monkeypatch):
    plans = []
    monkeypatch.setattr(landscape, "run", lambda plan, watching, resolve: plans.append(plan) or {})
    assert run("bench", "landscape", "--out", "x", "--random", "5", "--tokens", "9000", "--seed", "2")[0] == 0
    [plan] = plans
    assert (plan.random, plan.tokens, plan.reveal) == (5, 9000, False)
    [cell] = plan.cells
    assert cell.agent is None and cell.seed == 2 and cell.budget.seconds is None and cell.budget.trials is None


@pytest.mark.parametrize(
    ("verb", "module", "options"),
    [
        ("train", train, {"steps": 4, "batch": 2, "rate": 0.01, "runs": 1}),
        ("eval", eval, {"limit": 5, "batch": 2, "runs": 1}),
    ],
)
def test_paired_measurements_are_made_as_asked_for_in_a_folder_that_goes(
    run, shown, monkeypatch, verb, module, options
):
    seen = {}
    here = machine.Machine(cores=2, memory_bytes=1, device="cpu", device_name="", dtype="float32", threads=2)
    monkeypatch.setattr(models, "resolve", lambda name, lab_seed, told: name)
    monkeypatch.setattr(machine, "cached", lambda: here)
    monkeypatch.setattr(module, "run", lambda **given: seen.update(given, was_there=given["place"].is_dir()) or {})
    given = [part for name, value in options.items() for part in (f"--{name}", value)]
    assert run("bench", verb, *given, "--lab-seed", "3")[0] == 0
    assert seen.items() >= {**options, "lab_seed": 3, "threads": 2, "was_there": True}.items()
    assert not seen["place"].exists()


def test_parity_is_measured_as_asked_for(run, shown, monkeypatch, tmp_path):
    seen = []
    here = machine.Machine(cores=2, memory_bytes=1, device="cpu", device_name="", dtype="float32", threads=2)
    monkeypatch.setattr(models, "resolve", lambda name, lab_seed, told: name)
    monkeypatch.setattr(machine, "cached", lambda: here)
    monkeypatch.setattr(parity, "run", lambda *given: seen.append(given[:-1]) or {})
    given = ["--benchmark", "bfcl_ast:parallel,gsm8k", "--limit", 5, "--max-tokens", 9, "--batch", 2, "--lab-seed", 3]
    assert run("bench", "parity", "--model", "lab/qwen3", "--out", "x", *given)[0] == 0
    names = ["bfcl_ast:parallel", "gsm8k"]
    assert seen == [("lab/qwen3", "lab/qwen3@three", names, 3, 5, 9, 2, 2, Path("x"))]


@pytest.mark.lab
@pytest.mark.slow
def test_the_start_of_trials_is_measured_on_the_micro_lab(run, monkeypatch):
    monkeypatch.setenv("POSTTRAIN_LAB", "micro")
    code, out, err = run("bench", "start", "--runs", "2", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert len(document["seconds"]) == 2 and 0 < document["median_seconds"] < document["first_trial_seconds"]
