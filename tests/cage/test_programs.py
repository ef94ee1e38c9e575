"""What a program needs to be visible: itself, its package, whoever interprets it, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cage.programs import holds, needed, settled
from pipeline.errors import InputError


def script(path: Path, first: str = "#!/bin/sh") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{first}\n")
    path.chmod(0o755)
    return path


def test_a_command_line_is_settled_for_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    script(tmp_path / "my-agent")
    (tmp_path / "config.json").write_text("{}")
    given = ["./my-agent", "config.json", "{workdir}", "--file=config.json", "text"]
    assert settled(given, "x") == [str(tmp_path / "my-agent"), str(tmp_path / "config.json"), *given[2:]]


def test_a_script_needs_its_interpreter_and_an_npm_package_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = script(tmp_path / "versions/bin/node")
    main = script(tmp_path / "versions/lib/node_modules/@x/cli/main.js", "#!/usr/bin/env -S node --flag")
    (tmp_path / "versions/bin/cli").symlink_to(main)
    monkeypatch.setenv("PATH", f"{tmp_path}/versions/bin:/usr/bin:/bin")
    found = needed(settled(["cli", "run"], "x"), [tmp_path / "runs"])
    assert found[0] == tmp_path / "versions/bin/cli" and node in found
    assert tmp_path / "versions/lib/node_modules" in found and tmp_path / "versions" not in found


def test_a_link_to_a_program_elsewhere_needs_that_ones_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "share/tool/bin/tool")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/tool").symlink_to(tmp_path / "share/tool/bin/tool")
    found = needed([str(tmp_path / "bin/tool")], [])
    assert tmp_path / "share/tool/bin" in found and tmp_path / "bin" not in found


def test_no_package_around_a_hidden_place_is_shown_and_no_program_in_one(tmp_path: Path) -> None:
    script(tmp_path / "all/bin/tool")
    (tmp_path / "tool").symlink_to(tmp_path / "all/bin/tool")
    assert tmp_path / "all/bin" not in needed([str(tmp_path / "tool")], [tmp_path / "all/bin/runs"])
    with pytest.raises(InputError, match="lies where the agent must not look"):
        needed([str(script(tmp_path / "run/agent.sh"))], [tmp_path / "run"])


def test_a_place_holds_what_it_is_or_is_around_or_lies_in(tmp_path: Path) -> None:
    run = tmp_path / "a/run"
    run.mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert all(holds(path, [run]) for path in (run, tmp_path, tmp_path / "link", run / "sealed"))
    assert not holds(tmp_path / "b", [run]) and not holds(tmp_path / "a/run2", [run])
