"""The real command: what it says, where, and how it exits."""

import json
import os
import subprocess
import sys

import pytest

from pipeline import cli, plugins
from pipeline.commands import options
from pipeline.errors import DataError, InputError, JudgeError, LedgerError, ProgramError

ON_LAB = ["--model", "lab/qwen3-base", "--benchmark", "tiny_gsm8k"]
EVALUATE = ["evaluate", "lab/qwen3", "--benchmark", "tiny_gsm8k"]
SEARCH = ["search", *ON_LAB, "--budget", "10s"]


def posttrain(*arguments, **environment):
    """The installed command in a process of its own."""
    command = [sys.executable, "-m", "pipeline.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **environment})


@pytest.fixture
def run(command, tmp_path, monkeypatch):
    """Calls the command in this process, in an empty folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    return command


# ---------------------------------------------------------------- help


def test_help_imports_no_heavy_library_so_that_it_is_there_at_once():
    code = (
        "import sys, contextlib\n"
        "from pipeline import cli\n"
        "cli.main(['--help'])\n"
        "heavy = {'torch', 'transformers', 'trl', 'peft', 'lm_eval', 'datasets', 'numpy', 'scipy', 'pydantic'}\n"
        "sys.exit(f'imported {heavy & set(sys.modules)}' if heavy & set(sys.modules) else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "reproduce" in done.stdout


def test_without_arguments_the_help_is_shown(run):
    code, out, _ = run()
    assert code == 0 and out.startswith("Usage: posttrain")


@pytest.mark.parametrize("verb", [*cli.VERBS, "lab build", "lab list", "lab clear"])
def test_every_command_has_help_with_an_example(run, verb):
    code, out, _ = run(*verb.split(), "--help")
    assert code == 0
    assert f"\n    posttrain {verb} " in out or f"\n    posttrain {verb}\n" in out
    assert "--json" in out


# ---------------------------------------------------------------- wrong input

WRONG = {
    "no such command": (["serch"], "search"),
    "two on one record": (["compare", "a", "b", *EVALUATE[2:], "--engine", "recorded:x.jsonl"], "evaluate` each"),
    "no such option": (["search", "--modle", "x"], "--model"),
    "no model": (["search", "--benchmark", "tiny_gsm8k", "--budget", "10s"], "--model"),
    "no benchmark": (["search", "--model", "lab/qwen3-base", "--budget", "10s"], "--benchmark"),
    "no budget": (["search", *ON_LAB], "--budget"),
    "unknown lab model": (["search", "--model", "lab/qwen4-base", *SEARCH[3:]], "lab/qwen3-base"),
    "unknown model": (["search", "--model", "nonsense", *SEARCH[3:]], "Hub id"),
    "missing model folder": (["search", "--model", "./nowhere", *SEARCH[3:]], "./nowhere"),
    "unknown instruct": ([*SEARCH, "--instruct", "lab/qwen"], "lab/qwen3"),
    "unknown benchmark": (["search", *ON_LAB[:3], "tiny_gsm", "--budget", "9s"], "tiny_gsm8k"),
    "unknown benchmark of several": (["reproduce", "--benchmark", "tiny_gsm8k,gsm"], "tiny_gsm8k"),
    "empty benchmark": (["reproduce", "--benchmark", "tiny_gsm8k,,tiny_bfcl"], "empty"),
    "unknown family": (["reproduce", "--family", "qwen"], "qwen3"),
    "unknown agent": ([*SEARCH, "--agent", "rando"], "random"),
    "agent that cannot be imported": ([*SEARCH, "--agent", "no.such.module"], "no.such.module"),
    "unknown executor": ([*SEARCH, "--executor", "slurm"], "local"),
    "unknown recipe": ([*SEARCH, "--recipe", "tiny_gsm"], "tiny_gsm8k"),
    "missing recipe file": ([*SEARCH, "--recipe", "missing.yaml"], "missing.yaml"),
    "budget of nothing": (["reproduce", "--budget", "0s"], "more than 0"),
    "budget of 0": (["reproduce", "--budget", "0"], "90s"),
    "negative budget": (["reproduce", "--budget", "-5m"], "90s"),
    "budget without a unit": (["reproduce", "--budget", "120"], "90s"),
    "nonsense budget": (["reproduce", "--budget", "soon"], "1h30m"),
    "endless budget": (["reproduce", "--budget", "infs"], "1h30m"),
    "seed that is text": ([*SEARCH, "--seed", "x"], "--seed"),
    "negative seed": ([*SEARCH, "--seed", "-1"], "--seed"),
    "seed that is too large": ([*SEARCH, "--seed", str(2**32)], "--seed"),
    "no slots": ([*SEARCH, "--slots", "0"], "--slots"),
    "no trials": ([*SEARCH, "--trials", "0"], "--trials"),
    "resume of a missing folder": (["search", "--resume", "nowhere"], "nowhere"),
    "resume with a model": (["search", "--resume", "nowhere", "--model", "lab/qwen3-base"], "--model"),
    "resume with a new budget": (["search", "--resume", "nowhere", "--budget", "2h"], "+2h"),
    "resume with nothing more": (["search", "--resume", "nowhere", "--budget", "+0h"], "more than 0"),
    "step in a missing folder": (["step", "nowhere", "--changes", "{}"], "nowhere"),
    "finish of a missing folder": (["finish", "nowhere"], "nowhere"),
    "report of a missing folder": (["report", "nowhere"], "nowhere"),
    "report of a folder that is no run": (["report", "."], "no run"),
    "finish of a folder that is no run": (["finish", "."], "not a run folder"),
    "rerun in a missing folder": (["rerun", "nowhere", "t001"], "nowhere"),
    "report in an unknown format": (["report", ".", "--format", "pdf"], "html"),
    "unknown kind": (["list", "dogs"], "models"),
    "evaluate an unknown model": (["evaluate", "lab/qwen4", "--benchmark", "tiny_gsm8k"], "lab/qwen3"),
    "evaluate with an instruct model alone": ([*EVALUATE, "--instruct", "lab/qwen3"], "--base"),
    "evaluate no items": ([*EVALUATE, "--limit", "0"], "--limit"),
    "evaluate with an unknown engine": ([*EVALUATE, "--engine", "hg"], "hf"),
    "evaluate on an unknown split": ([*EVALUATE, "--split", "test"], "final"),
    "lab of an unknown family": (["lab", "build", "--family", "llama"], "qwen3"),
    "lab without a verb": (["lab"], "lab --help"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_line_that_says_what_and_what_to_do(run, tmp_path, case):
    arguments, hint = WRONG[case]
    code, out, err = run(*arguments)
    assert code == 2 and out == ""
    assert err.startswith("error: ") and err.count("\n") == 1
    assert hint in err and "Traceback" not in err
    assert not any(tmp_path.iterdir()), "nothing was written"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("model: [", "line"),
        ("model: lab/qwen3-base\nstages: []\n", "stages"),
        ("model: lab/qwen3-base\nspeed: 3\nstages: [{data: [{name: maths_1}]}]\n", "speed"),
        ("model: lab/qwen3-base\nstages: [{data: [{name: maths_1}], params: {rank: 0, tokens: 9000}}]\n", "rank"),
        ("model: lab/qwen3-base\nstages: [{data: [{name: maths_99}], params: {tokens: 9000}}]\n", "maths_99"),
        ("- a list\n", "mine.yaml"),
    ],
)
def test_a_wrong_recipe_file_is_named_with_its_key(run, tmp_path, text, hint):
    (tmp_path / "mine.yaml").write_text(text)
    code, out, err = run(*SEARCH, "--recipe", "mine.yaml")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert hint in err


@pytest.mark.parametrize("make", ["file", "folder"])
def test_an_output_folder_in_use_is_left_alone(run, tmp_path, make):
    taken = tmp_path / "taken"
    if make == "file":
        taken.write_text("mine")
    else:
        taken.mkdir()
        (taken / "notes.txt").write_text("mine")
    code, out, err = run(*SEARCH, "--out", "taken")
    assert (code, out, err.count("\n")) == (2, "", 1) and "already in use" in err
    assert (taken if make == "file" else taken / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("out", ["file/out", "/proc/out"])
@pytest.mark.parametrize(
    "words", [SEARCH, EVALUATE, ["compare", "lab/qwen3", *EVALUATE[1:]], ["open", *SEARCH[1:]], ["reproduce"]]
)
def test_an_output_folder_that_cannot_be_written_is_refused_before_anything_is_built(
    run, tmp_path, monkeypatch, words, out
):
    monkeypatch.setattr("pipeline.models.resolve", lambda *_, **__: pytest.fail("the work was begun"))
    (tmp_path / "file").touch()
    code, printed, err = run(*words, "--out", out)
    assert (code, printed, err.count("\n")) == (2, "", 1) and "cannot be written in" in err
    assert err.startswith(f"error: --out {out}: ") and [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("text", ["{", "[1]", "3", '{"a" 1}', ""])
def test_changes_that_are_no_json_object_are_refused(text):
    with pytest.raises(InputError, match="--changes"):
        options.changes(text)


def test_what_the_user_brings_and_does_not_work_is_wrong_input_and_no_bug():
    for kind in (InputError, DataError, ProgramError, JudgeError):
        assert cli.explain(kind("no connection:\n  try again")) == ("no connection: try again", 2)
    assert cli.explain(LedgerError("damaged")) == ("damaged", 1)


def test_a_bug_is_one_line_and_debug_shows_where(run, monkeypatch):
    def broken(kind):
        raise ZeroDivisionError("oh\nno")

    monkeypatch.setattr(plugins, "names", broken)
    code, out, err = run("list", "agents")
    assert (code, out) == (1, "") and err.count("\n") == 1
    assert "ZeroDivisionError: oh no" in err and "POSTTRAIN_DEBUG=1" in err
    monkeypatch.setenv("POSTTRAIN_DEBUG", "1")
    assert "Traceback" in run("list", "agents")[2]


def test_the_real_command_exits_as_its_main_says():
    done = posttrain("reproduce", "--budget", "0s")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


# ---------------------------------------------------------------- reading texts


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("10h", 36000), ("1h30m", 5400), ("1h30m15s", 5415), ("0.5h", 1800), (" 5s ", 5)],
)
def test_durations_are_read(text, seconds):
    assert options.seconds(text) == seconds


def test_an_extension_is_read():
    assert options.added_seconds("+2h") == 7200


def test_benchmarks_take_commas_repeats_and_all_and_come_once():
    known = ["a", "b", "c"]
    assert options.split(["b,a", "b", "c"], "benchmark", "--benchmark", known) == ["b", "a", "c"]
    assert options.split(["b", "all"], "benchmark", "--benchmark", known) == ["b", "a", "c"]


def test_a_default_folder_is_numbered_when_its_name_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = []
    for _ in range(3):
        folder = options.new_folder(None, "qwen3-tiny_gsm8k-my.agents:best-seed0")
        folder.mkdir(parents=True)
        names.append(str(folder))
    name = "runs/qwen3-tiny_gsm8k-my.agents-best-seed0"
    assert names == [name, f"{name}-2", f"{name}-3"]


# ---------------------------------------------------------------- list and doctor


@pytest.mark.parametrize("kind", ["models", "benchmarks", "recipes", "data", "agents", "trainers", "engines", "guards"])
def test_every_listed_thing_has_a_name_and_a_summary(run, kind):
    code, out, err = run("list", kind, "--json")
    rows = json.loads(out)
    assert code == 0 and err == "" and rows
    assert all(row["name"] and row["summary"] for row in rows)
    assert rows[0]["name"] in run("list", kind)[1]
