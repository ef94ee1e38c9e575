"""`posttrain bench` on the command line: help, wrong input."""

from __future__ import annotations

import pytest

from pipeline import cli
from pipeline.commands import bench

VERBS = [command.name or command.callback.__name__ for command in bench.app.registered_commands]


@pytest.fixture
def run(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        code = cli.main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return call


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
