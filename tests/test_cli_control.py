"""`posttrain search --control`: the real command with fake training, and what it says to wrong input."""

import json

import pytest

from pipeline.commands import options
from pipeline.errors import InputError
from pipeline.fakes import fake_model

FAKE = ["--model", "base", "--benchmark", "tiny_gsm8k", "--instruct", "instruct", "--executor", "tests.instant"]
SEARCH = ["search", *FAKE, "--agent", "plain", "--budget", "1m", "--trials", "1"]


@pytest.fixture
def run(command, tmp_path, monkeypatch):
    for name, score in (("base", 0.05), ("instruct", 0.9)):
        fake_model(tmp_path / name, score)
        (tmp_path / name / "config.json").write_text('{"architectures": ["Qwen3ForCausalLM"]}')
    monkeypatch.chdir(tmp_path)
    return command


def test_a_search_with_a_control_prints_its_lift_and_every_reader_knows_the_folder(run, tmp_path):
    code, out, err = run(*SEARCH, "--control", "random", "--out", "mine", "--json")
    document = json.loads(out)
    assert code == 0 and document["kind"] == "comparison" and document["seeds"] == [0]
    assert [each["agent"] for each in document["controls"]] == ["random"]
    assert "== base-tiny_gsm8k random seed 0" in err

    code, out, _ = run("report", "mine")
    assert code == 0 and "plain over random" in out and "no interval" in out
    assert json.loads(run("report", "mine", "--json")[1])["controls"] == document["controls"]
    assert run("report", "mine", "--format", "html")[1].count("lift over random") == 1
    assert "Control arms" in run("report", "mine/arms/plain-0")[1]
    assert run("search", "--resume", "mine", "--json")[:2] == (0, json.dumps(document, indent=2) + "\n")
    assert run("rerun", "mine/arms/plain-0", "t001")[0] == 0
    for arguments in (["rerun", "mine", "t001"], ["step", "mine", "--changes", "{}"], ["finish", "mine"]):
        code, out, err = run(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1) and "several runs" in err
    for more in (["--budget", "+1h"], ["--control", "asha"], ["--seeds", "2"], ["--out", "x"]):
        code, out, err = run("search", "--resume", "mine", *more)
        assert (code, out, err.count("\n")) == (2, "", 1)
    code, out, err = run(*SEARCH, "--control", "random", "--out", "mine")
    assert (code, out, err.count("\n")) == (2, "", 1) and "--resume mine" in err


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--control", "rnadom"], "random"),
        (["--control", "plain"], "itself"),
        (["--control", "random,"], "--control"),
        (["--control", ""], "--control"),
        (["--control", "random", "--seeds", "0"], "--seeds"),
        (["--control", "random", "--seeds", "-1"], "--seeds"),
        (["--control", "random", "--seeds", "two"], "--seeds"),
        (["--control", "random", "--seeds", "2", "--seed", str(2**32 - 1)], "--seeds"),
        (["--control", "random", "--benchmark", "tiny_bfcl"], "on its own"),
        (["--control", "random:3"], "random"),
        (["--control", "team:random"], "two members"),
        (["--control", "random,team:random,rnadom"], "did you mean random"),
        (["--agent", "team"], "team:asha,random"),
        (["--agent", "team:asha"], "two members"),
        (["--agent", "team:asha,nobody"], "nobody"),
        (["--control", "random", "--out", "base"], "base"),
        (["--control", "random", "--out", "base/config.json"], "config.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_input_is_one_line_and_nothing_is_made(run, tmp_path, more, word):
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run(*SEARCH, *more)
    assert (code, out, err.count("\n")) == (2, "", 1) and word in err
    assert sorted(tmp_path.rglob("*")) == before


def test_agents_are_read_from_commas_and_repeats_and_an_argument_keeps_its_commas():
    assert options.agents(["random, plain", "random"], "--control") == ["random", "plain", "random"]  # refused later
    assert options.agents(["random,team:asha,plain"], "--control") == ["random", "team:asha,plain"]
    assert options.agents(["team:asha,plain", "random"], "--control") == ["team:asha,plain", "random"]
    assert options.agents(["my.agents:best,random"], "--control") == ["my.agents:best", "random"]
    with pytest.raises(InputError, match="empty name"):
        options.agents(["random,,plain"], "--control")
