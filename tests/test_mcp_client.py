"""The client of docs/mcp.md, as it stands there, drives a whole search."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mcp")
from pipeline import machine  # noqa: E402
from pipeline.fakes import fake_model  # noqa: E402
from pipeline.paths import PACKAGE  # noqa: E402

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the command is a shell script here")
DOCS = PACKAGE.parent / "docs" / "mcp.md"


def drive(place: Path, *arguments: str, server: str = "", timeout: float = 240) -> subprocess.CompletedProcess[str]:
    """Run the script of the docs in `place`, where `posttrain` is this checkout's, its server with more arguments."""
    [script] = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    (place / "drive.py").write_text(script)
    command = place / "bin" / "posttrain"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pipeline.cli "$@" {server}\n')
    command.chmod(0o755)
    paths = {"PYTHONPATH": str(PACKAGE.parent), "PATH": str(command.parent)}
    kept = {name: os.pathsep.join([value, os.environ.get(name, "")]) for name, value in paths.items()}
    return subprocess.run(
        [sys.executable, "drive.py", *arguments],
        cwd=place, env={**os.environ, **kept}, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip


def test_the_client_of_the_docs_drives_a_search_over_half_of_the_human_gain(tmp_path: Path) -> None:
    machine.cached()
    for name, score in (("base", 0.05), ("instruct", 0.9)):
        fake_model(tmp_path / name, score)
        (tmp_path / name / "config.json").write_text('{"architectures": ["Qwen3ForCausalLM"]}')
    own = ["--model", "base", "--instruct", "instruct", "--budget", "10m"]
    done = drive(tmp_path, "mine", *own, server="--executor pipeline.fakes")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "mine" / "report.json").read_text())
    assert report["fraction"]["value"] > 0.5 and report["trials"]["scored"] > 4
    assert f"fraction of the human gain regained: {report['fraction']['value']:.3f}" in done.stdout
    assert re.search(r"step \d+ of \d+", done.stderr)  # progress was heard of
    assert {author["author"] for author in report.get("team", {}).get("authors", [])} <= {"mcp"}


def test_the_client_of_the_docs_says_what_is_wrong(tmp_path: Path) -> None:
    done = drive(tmp_path, "mine", "--model", "nothing-here", server="--executor pipeline.fakes")
    assert done.returncode == 1 and "open: " in done.stderr and "nothing-here" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_on_the_full_lab_it_regains_more_than_half_of_the_human_gain(tmp_path: Path) -> None:
    done = drive(tmp_path, "mine", timeout=1180)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "mine" / "report.json").read_text())
    assert report["fraction"]["value"] > 0.5
    assert report["spend"]["seconds"] <= 120 * 1.02
