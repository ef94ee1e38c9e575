"""What comparison.json says of the runs beside it, and which of them are a run's controls."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.paths import read_json

COMPARISON_FILE = "comparison.json"  # makes a folder an agent with its control arms


def controlled_runs(folder: Path) -> list[dict[str, Any]]:
    """The planned runs of a comparison: agent, seed, folder. Raises InputError if its file is broken."""
    planned = read_json(folder / COMPARISON_FILE).get("runs")
    if not isinstance(planned, list) or not all(isinstance(run, Mapping) and run.get("folder") for run in planned):
        raise InputError(f"{folder / COMPARISON_FILE}: 'runs' must be a list of objects with a 'folder'")
    return [dict(run) for run in planned]


def controls_of(folder: Path, run: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """The control arms with a run's seed, each with its report's fraction; none but for a comparison's own agent."""
    place = folder.absolute().parent.parent
    if not (place / COMPARISON_FILE).is_file():
        return ()
    try:
        described = read_json(place / COMPARISON_FILE)
        if described["agent"] != run.get("agent"):
            return ()
        beside = [each for each in controlled_runs(place) if each["seed"] == run.get("seed")]
        return tuple(
            {"agent": each["agent"], "seed": each["seed"], "fraction": _fraction(place / each["folder"])}
            for each in beside
            if each["agent"] in described["controls"]
        )
    except (InputError, KeyError, TypeError):  # another version's, or not ours at all
        return ()


def _fraction(folder: Path) -> dict[str, float] | None:
    """What a run's report says; None while there is none."""
    path = folder / "report.json"
    found = read_json(path).get("fraction") if path.is_file() else None
    return dict(found) if found else None
