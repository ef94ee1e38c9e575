"""Presets and options of command-line agents; in place of the real programs stand scripts that print what these do."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from pipeline import agent_options
from pipeline.agents._command_options import Options, Preset, name_of, preset_names, preset_of, settle
from pipeline.errors import InputError
from pipeline.types import Budget
from tests.agents import commanded as helper
from tests.agents.commanded import GOOD, Commanded, needs_sandbox

commanded = helper.commanded  # the fixture

KEYS = {name: key for name in preset_names() for key in [next(iter(preset_of(name).keys))]}  # type: ignore[union-attr]
# what the programs print at the end of a session, and what it comes to: tokens, dollars
STREAMS: dict[str, tuple[list[dict[str, Any]], int, float | None]] = {
    "claude": (
        [
            {"type": "system", "subtype": "init", "session_id": "s"},
            {"type": "assistant", "message": {"id": "m1", "usage": {"input_tokens": 9, "output_tokens": 9}}},
            {"type": "assistant", "message": {"id": "m1", "usage": {"input_tokens": 9, "output_tokens": 10}}},
            {"type": "result", "subtype": "success", "total_cost_usd": 0.25, "num_turns": 1,
             "usage": {"input_tokens": 10, "cache_read_input_tokens": 100, "output_tokens": 20}},
        ],
        130, 0.25,
    ),
    "codex": (
        [
            {"type": "thread.started", "thread_id": "t"},
            {"type": "turn.completed", "usage": {"input_tokens": 100, "cached_input_tokens": 50, "output_tokens": 7}},
            {"type": "turn.completed", "usage": {"input_tokens": 200, "cached_input_tokens": 50, "output_tokens": 3}},
        ],
        310, None,
    ),
    "gemini": (
        [{"type": "init", "model": "m"}, {"type": "result", "status": "success", "stats": {"total_tokens": 77}}],
        77, None,
    ),
    "opencode": (
        [
            {"type": "step_finish", "part": {"cost": 0.5, "tokens": {"input": 1, "output": 2, "reasoning": 3,
                                                                     "cache": {"read": 4, "write": 5}}}},
            {"type": "step_finish", "part": {"cost": 0.25, "tokens": {"input": 10, "output": 20}}},
        ],
        45, 0.75,
    ),
}  # fmt: skip


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the PATH with a script for each preset, and no key of anybody's in the environment."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, (stream, _, _) in STREAMS.items():
        lines = "\n".join(f"echo {shlex.quote(json.dumps(row))}" for row in stream)
        (folder / name).write_text(f'#!/bin/bash\necho "ARGV $*"\nenv | grep -E "KEY|TOKEN" | sort\n{GOOD}\n{lines}\n')
        (folder / name).chmod(0o755)
    for preset in map(preset_of, preset_names()):
        for key in preset.keys if preset else ():
            monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def test_every_preset_is_complete_and_stands_for_a_command_of_its_own() -> None:
    assert preset_names() == ["claude", "codex", "gemini", "opencode"]
    for name in preset_names():
        preset = preset_of(name)
        assert isinstance(preset, Preset) and preset.command.startswith(f"{name} ") and "{ask}" in preset.command
        assert all(key.hosts for key in preset.keys.values()) and preset.usage and name_of(name, []) == name


@needs_sandbox
@pytest.mark.parametrize("name", STREAMS)
def test_a_preset_is_run_with_its_key_alone_and_its_usage_is_counted(
    tmp_path: Path, installed: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("POSTTRAIN_FAKE_SECONDS", "0.01")
    for key in set(KEYS.values()) | {"OTHER_KEY"}:
        monkeypatch.setenv(key, f"secret of {key}")
    found = helper.run(tmp_path, name, Budget(seconds=60.0), restarts=0, model="m-1")
    own = [f"{KEYS[name]}=secret of {KEYS[name]}"]
    assert [line for line in found.said.splitlines() if "secret of" in line] == own
    assert "Read PROMPT.md" in found.said and "--model m-1" in found.said
    told, _, (_, tokens, dollars) = found.report["command_agent"], None, STREAMS[name]
    assert (told["agent"], told["tokens"], told["dollars"]) == (f"command:{name}", tokens, dollars)
    assert len(told["hosts"]) == 1 and told["hosts"][0].endswith(":443") and found.report["best_trial"] == "t001"
    kept = "".join(path.read_text() for path in found.folder.rglob("*.json*") if "transcript" not in path.name)
    assert "secret of" not in kept


def test_a_key_under_another_name_is_given_as_the_program_wants_it(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "o")
    assert settle("codex", Options()).variables == {"CODEX_API_KEY": "o"}
    monkeypatch.setenv("CODEX_API_KEY", "c")
    assert settle("codex", Options()).variables == {"CODEX_API_KEY": "c"}
    line = settle("opencode", Options(env="OPENAI_API_KEY", hosts="127.0.0.1:1234"))
    assert line.variables["OPENAI_API_KEY"] == "o" and [host.name for host in line.hosts] == [
        "api.openai.com", "127.0.0.1",
    ]  # fmt: skip


def test_an_unlimited_key_of_another_kind_opens_all_hosts_of_the_preset(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "k")
    line = settle("claude", Options(env="MY_KEY"))
    assert [host.name for host in line.hosts] == ["api.anthropic.com"] and line.variables["MY_KEY"] == "k"


@pytest.mark.parametrize(
    ("agent", "options", "said"),
    [
        ("command:", {}, "write command:NAME with NAME of claude, codex, gemini, opencode, or a command line"),
        ("command:'open", {}, "close the quote"),
        ("command:claude", {}, "needs a key: set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN in the environment"),
        ("command:no-such-program {workdir}", {}, "no program 'no-such-program' (not on the PATH): install it"),
        ("command:./no-such-file", {}, "no program './no-such-file' (no such file)"),
        ("command:./plain", {}, "./plain is not executable: chmod +x ./plain"),
        ("command:true", {"freedom": "everything"}, "--freedom: must be 'recipes' or 'code'"),
        ("command:true", {"restarts": -1}, "--restarts: must be"),
        ("command:true", {"model": "m"}, "is a command line of your own: write the model into it"),
        ("command:true", {"hosts": "http://x"}, "hosts 'http://x': not a host"),
        ("command:true", {"env": "NOT_SET_HERE"}, "env: NOT_SET_HERE is not set in the environment"),
        ("command:true", {"env": "a=b"}, "not the name of a variable"),
        ("command:true", {"bind": "no/where"}, "no/where: no such file or folder"),
        ("command:true", {"speed": 3}, "takes no such option"),
        ("command", {}, "write command:NAME"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_built(
    installed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, agent: str, options: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain").write_text("echo\n")
    with pytest.raises(InputError) as caught:
        agent_options.check(agent, options)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_preset_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(InputError, match="no program 'opencode'.*npm install -g opencode-ai"):
        settle("opencode", Options())


def test_a_sandbox_that_was_asked_for_and_is_not_there_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.cage.walls.why_not", lambda: "bwrap is not installed")
    with pytest.raises(InputError, match="sandbox=on: there is none here: bwrap is not installed"):
        agent_options.check("command:true", {"sandbox": "on"})
    agent_options.check("command:true", {})


@needs_sandbox
def test_a_place_that_holds_the_run_or_the_cache_is_not_shown(tmp_path: Path, commanded: Commanded) -> None:
    found = commanded("true", restarts=0, bind=str(tmp_path))
    assert "holds what the agent must not see" in found.why and found.report["best_trial"] is None


@needs_sandbox
def test_what_is_bound_can_be_read_and_not_written(tmp_path: Path, commanded: Commanded) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "helper.sh").write_text("echo helped")
    found = commanded(f"bash {tmp_path}/mine/helper.sh; touch {tmp_path}/mine/x", restarts=0, bind=f"{tmp_path}/mine")
    assert "helped" in found.said and not (tmp_path / "mine" / "x").exists()
