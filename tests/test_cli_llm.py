"""A language model that proposes, by the real command: options, records, replays; trials are fake."""

import json

import pytest

from pipeline.fake_provider import FakeProvider
from tests.test_cli_runs import FAKE, place, run  # noqa: F401  (fixtures)

SEARCH = ["search", *FAKE, "--agent", "llm", "--llm-share", "0.5", "--trials", "5", "--budget", "1m"]


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "POSTTRAIN_LLM_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_a_search_with_a_model_is_reported_recorded_and_replayed(run, place):  # noqa: F811
    with FakeProvider("repaired") as provider:
        own = ["--llm", provider.name, "--llm-budget", "200ktok", "--llm-timeout", "20s"]
        code, out, err = run(*SEARCH, *own, "--out", "mine")
    assert code == 0 and "Language model" in out and "2 after repair" in " ".join(out.split())
    request = json.loads((place / "mine" / "run.json").read_text())["request"]
    assert request["agent_options"] == {
        "llm": provider.name, "llm_budget": "200ktok", "llm_share": 0.5, "llm_timeout": 20.0,
    }  # fmt: skip
    code, out, _ = run(*SEARCH, "--replay", "mine", "--out", "again", "--json")
    assert code == 0 and json.loads(out)["proposer"]["proposed_after_repair"] == 2
    first, second = [changes(place / name) for name in ("mine", "again")]
    assert first == second


def changes(folder):
    events = map(json.loads, (folder / "ledger.jsonl").read_text().splitlines())
    trials = [event["trial"] for event in events if event["kind"] == "started"]
    return [trial["proposal"]["changes"] for trial in trials if trial["proposal"]["author"] == "llm"]


def test_a_dead_model_is_told_on_the_terminal_and_in_the_report(run, place):  # noqa: F811
    with FakeProvider("refused_key") as provider:
        code, out, err = run(*SEARCH, "--llm", provider.name, "--out", "mine")
    assert code == 0 and "!! The language model proposed in 0 of its" in out
    assert "asha takes the language model's turn: language model http" in err and "POSTTRAIN_LLM_KEY" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--agent", "llm"], "no language model is named: give --llm"),
        (["--agent", "llm", "--llm", "openai:gpt-5"], "set OPENAI_API_KEY in the environment"),
        (["--agent", "llm", "--llm", "http://127.0.0.1:1/v1#m", "--llm-budget", "lots"], "--llm-budget 'lots'"),
        (["--agent", "llm", "--llm", "http://127.0.0.1:1/v1#m", "--llm-timeout", "soon"], "--llm-timeout 'soon'"),
        (["--agent", "llm", "--llm", "http://127.0.0.1:1/v1#m", "--llm-share", "3"], "--llm-share: must be"),
        (["--agent", "llm", "--llm", "http://me:pass@h/v1#m"], "give the key in POSTTRAIN_LLM_KEY"),
        (["--agent", "llm", "--replay", "nowhere"], "nowhere: no record of exchanges"),
        (["--agent", "asha", "--llm", "openai:gpt-5"], "--llm: the agent 'asha' takes no such option"),
        (["--agent", "random", "--agent-option", "depth=3"], "--depth: the agent 'random' takes no such option"),
        (["--agent", "random", "--agent-option", "depth"], "write it as NAME=VALUE"),
        (["--agent", "llm", "--llm", "openai:m", "--agent-option", "llm=x"], "given twice"),
    ],
)
def test_wrong_options_are_one_line_and_leave_nothing_behind(run, place, arguments, said):  # noqa: F811
    code, out, err = run("search", *FAKE, "--budget", "1m", "--out", "mine", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1) and said in err
    assert not (place / "mine").exists()


def test_options_cannot_be_given_again_when_a_run_goes_on(run, place):  # noqa: F811
    with FakeProvider() as provider:
        assert run(*SEARCH, "--llm", provider.name, "--out", "mine")[0] == 0
    code, _, err = run("search", "--resume", "mine", "--llm", "openai:gpt-5", "--budget", "+1m")
    assert code == 2 and "--llm with --resume: the run keeps what it was started with; omit --llm" in err
