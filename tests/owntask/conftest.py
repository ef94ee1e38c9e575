"""A made task of the user's own in a folder, beside a fake base model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.fakes import fake_model
from pipeline.owntask import making
from tests.owntask.files import write

COLOURS = ("red", "green", "blue")


def made_rows(n: int = 400) -> str:
    """A CSV of rows that nothing repeats, with one of three labels."""
    lines = [f"item w{i * 7919 % 99991} of sort q{i * 104729 % 99989},{COLOURS[i % 3]}" for i in range(n)]
    return "text,colour\n" + "\n".join(lines) + "\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with `colours/`, a task, and fake models `base` and `instruct`; trials are instant."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no test here pulls the plug
    monkeypatch.setenv("POSTTRAIN_FAKE_SECONDS", "0.3")
    (tmp_path / "rows.csv").write_text(made_rows())
    given = {"name": "colours", "train": tmp_path / "rows.csv", "input": "text", "target": "colour"}
    making.create(making.Wanted(**given, out=tmp_path / "colours"))
    for name, score in (("base", 0.05), ("instruct", 0.9)):
        fake_model(tmp_path / name, score)
        (tmp_path / name / "config.json").write_text('{"architectures": ["Qwen3ForCausalLM"]}')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def create(command, tmp_path, monkeypatch):
    """Runs `task create` in an empty folder on rows in a file; gives exit code, stdout and stderr's last line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)

    def call(found, *arguments, name="made", file="rows.csv"):
        if found is not None:
            write(tmp_path / file, found)
        columns = [] if "--input" in arguments else ["--input", "text", "--target", "kind"]
        code, out, err = command("task", "create", name, "--train", file, *columns, *arguments)
        return code, out, err.strip().rpartition("\n")[2]

    return call
