"""The off-target effect of a run's result: numbers by benchmark, and their table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipeline import gain
from pipeline.bootstrap import resample
from pipeline.errors import InputError
from pipeline.paths import read_jsonl
from pipeline.reporting.blocks import Table, interval, number
from pipeline.reporting.story import Story

FOLDER, BASE, NOTE = "off_target", "base", "off_target"
Rows = dict[str, dict[str, Any]]


def off_target(story: Story) -> list[dict[str, Any]]:
    """A row for each benchmark that was measured of the base and of the chosen trial; [] where nothing was."""
    notes = [note for note in story.notes if note.get("note") == NOTE]
    if not notes or story.best is None or notes[-1].get("trial") != story.best.id:
        return []
    return [_row(story.folder, story.best.id, str(name)) for name in notes[-1].get("benchmarks") or ()]


def _row(run: Path, trial: str, name: str) -> dict[str, Any]:
    places = {
        who: run / FOLDER / part / name.replace(":", "-") / "items.jsonl"
        for who, part in (("base", BASE), ("best", trial))
    }
    try:
        base, best = (_items(place) for place in places.values())
    except (OSError, InputError, KeyError, TypeError, ValueError) as error:
        return {"benchmark": name, "why": f"not measured ({type(error).__name__})"}
    if not base or base.keys() != best.keys():
        return {"benchmark": name, "why": "the two were scored on other items"}
    ids = sorted(base)
    return {
        "benchmark": name,
        "n": len(ids),
        "accuracy": _accuracy([base[each]["strict"] for each in ids], [best[each]["strict"] for each in ids]),
        "bits_per_byte": _bits([base[each] for each in ids], [best[each] for each in ids]),
    }


def _items(path: Path) -> Rows:
    return {str(row["id"]): row for row in read_jsonl(path)}


def _accuracy(base: list[float], best: list[float]) -> dict[str, Any]:
    return {
        "base": float(np.mean(base)),
        "best": float(np.mean(best)),
        "points": gain.gain_points(best, base).model_dump(),
    }


def _bits(base: list[dict[str, Any]], best: list[dict[str, Any]]) -> dict[str, Any]:
    """Bits of all gold answers over their bytes, and best - base with its interval: items resampled, paired."""
    columns = [
        np.array([float(row[key]) for row in rows]) for rows, key in ((base, "bits"), (best, "bits"), (base, "bytes"))
    ]
    means, draws_Rx3 = resample(columns)
    before, after = means[0] / means[2], means[1] / means[2]
    change = after - before
    low, high = np.percentile((draws_Rx3[:, 1] - draws_Rx3[:, 0]) / draws_Rx3[:, 2], [2.5, 97.5])
    told = {"value": float(change), "low": min(float(low), float(change)), "high": max(float(high), float(change))}
    return {"base": float(before), "best": float(after), "change": told}


def table(report: dict[str, Any]) -> Table | None:
    """The rows in words."""
    rows = []
    for each in report.get("off_target") or ():
        if "why" in each:
            rows.append((each["benchmark"], each["why"], *["-"] * 6))
            continue
        bits, right = each["bits_per_byte"], each["accuracy"]
        rows.append((
            each["benchmark"], str(each["n"]),
            number(bits["base"]), number(bits["best"]), interval(bits["change"], 3, "+"),
            number(right["base"]), number(right["best"]), interval(right["points"], 1, "+"),
        ))  # fmt: skip
    header = ("", "items", "bits/byte", "best", "change", "accuracy", "best", "points")
    note = "base and best model on other tasks' search items; bits per byte of the gold answers: lower is likelier"
    return Table("Off-target effect", tuple(rows), header, note=note) if rows else None
