"""Small jobs for the tests of paired measurements: no heavy import."""

from __future__ import annotations

import json
from pathlib import Path


def _write(folder: Path, **outcome: object) -> None:
    (folder / "outcome.json").write_text(json.dumps(outcome))


def quick(folder: Path) -> None:
    work = json.loads((folder / "job.json").read_text())
    _write(folder, value=work["value"], side="quick")


def slow(folder: Path) -> None:
    work = json.loads((folder / "job.json").read_text())
    _write(folder, value=2 * work["value"], side="slow")


def broken(folder: Path) -> None:
    raise ValueError("no luck")
