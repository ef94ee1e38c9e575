"""Several runs together: a matrix of models and benchmarks with its weighted average, and a comparison of agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from pipeline import gain, protocols, published
from pipeline.errors import InputError
from pipeline.paths import read_json
from pipeline.reporting.controls import COMPARISON_FILE, controlled_runs
from pipeline.reporting.story import ROLES, Story, read_run
from pipeline.reporting.summary import SCHEMA, final_of, is_flagged, paired_items, summarise

MATRIX_FILE = "matrix.json"
SHOWN = ("model", "benchmark", "agent", "seed", "fraction", "fraction_why", "fraction_over_few_shot", "gain_points",
         "scores", "trials", "flagged", "final_looks", "reference")  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One run of several: its story and its numbers."""

    story: Story
    report: dict[str, Any]

    @property
    def name(self) -> tuple[str, str]:
        """Model and benchmark: the cell that it fills."""
        return str(self.report["model"]), str(self.report["benchmark"])


def run_folders(folder: Path) -> list[Path]:
    """The runs that a folder stands for: itself, those that its comparison.json or matrix.json names, those below it.

    Raises InputError if there are none.
    """
    if (folder / "run.json").is_file():
        return [folder]
    if (folder / COMPARISON_FILE).is_file():
        planned = controlled_runs(folder)
        return [path for run in planned if (path := folder / run["folder"]) and (path / "run.json").is_file()]
    if (folder / MATRIX_FILE).is_file():
        cells = _matrix_file(folder)["cells"]
        return [path for cell in cells if (path := folder / cell["folder"]) and (path / "run.json").is_file()]
    found = sorted({path.parent for pattern in ("*/run.json", "arms/*/run.json") for path in folder.glob(pattern)})
    if not found:
        raise InputError(f"{folder} holds no run (no run.json, no {MATRIX_FILE}, none below): name a run folder")
    return found


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """The runs in the order of their folders."""
    stories = [read_run(folder) for folder in folders]
    return [Run(story, summarise(story)) for story in stories]


# ---------------------------------------------------------------- matrix


def is_matrix(folders: Sequence[Path]) -> bool:
    """Whether the folders are one matrix."""
    return len(folders) == 1 and (folders[0] / MATRIX_FILE).is_file()


def matrix_document(folder: Path, runs: Sequence[Run]) -> dict[str, Any]:
    """The matrix's numbers: every cell, the weighted averages and their fraction.

    Cells that are not finished, or whose items do not pair, are named under `missing` and are in no average.
    """
    described = _matrix_file(folder)
    by_folder = {run.story.folder: run for run in runs}
    planned = {str(cell["folder"]): by_folder.get(folder / str(cell["folder"])) for cell in described["cells"]}
    cells = {name: _cell(run) if run else "not started" for name, run in planned.items()}
    whole = [cell for cell in cells.values() if isinstance(cell, gain.Cell)]
    by_scores = {name: run for name, run in planned.items() if run and _is_published(run)}
    for name in by_scores if not whole else ():
        cells.pop(name)  # published scores have no items, so such a matrix is averaged by scores
    weights = _weights(described, runs)
    document = {
        "schema": SCHEMA,
        "kind": "matrix",
        "weights": weights,
        "cells": [{**_shown(run), "folder": name} for name, run in planned.items() if run],
        "missing": [{"folder": name, "why": why} for name, why in cells.items() if isinstance(why, str)],
    }
    if by_scores and not whole:
        return document | _score_averages(list(by_scores.values()), weights)
    return document | _averages(whole, weights)


def _matrix_file(folder: Path) -> dict[str, Any]:
    described = read_json(folder / MATRIX_FILE)
    cells = described.get("cells") if isinstance(described, Mapping) else None
    if not isinstance(cells, list) or not all(isinstance(cell, Mapping) and cell.get("folder") for cell in cells):
        raise InputError(f"{folder / MATRIX_FILE}: 'cells' must be a list of objects with a 'folder'")
    return dict(described)


def _cell(run: Run) -> gain.Cell | str:
    """The cell's paired items, with the few-shot base where it was scored; or why it has none."""
    roles = ("best", "base", "instruct")
    few_shot = final_of(run.story, "base_few_shot")
    found = paired_items(run.story, (*roles, "base_few_shot") if few_shot and few_shot.items else roles)
    if isinstance(found, str):
        return found
    model, benchmark = run.name
    columns = (found["best"], found["base"], found["instruct"], found.get("base_few_shot"))
    return gain.Cell(model, benchmark, *columns, flagged=is_flagged(run.story))


def _weights(described: Mapping[str, Any], runs: Sequence[Run]) -> dict[str, float]:
    """Each benchmark's weight, not normalised: the matrix's own, else its protocol's, else its benchmark.yaml's."""
    given = {str(name): float(weight) for name, weight in (described.get("weights") or {}).items()}
    weights = {}
    for run in runs:
        name = str(run.report["benchmark"])
        weights[name] = given[name] if name in given else _weight(run.story.run)
    return weights


def _weight(run: Mapping[str, Any]) -> float:
    """The weight of a run's benchmark as run.json has it; in one of an earlier version, as its protocol has it."""
    told = (run.get("terms") or {}).get("weight")
    return float(told) if told else protocols.benchmark(run["benchmark"], run.get("protocol") or protocols.OWN).weight


def _averages(cells: Sequence[gain.Cell], weights: Mapping[str, float]) -> dict[str, Any]:
    """Weighted averages of the scores, then the fractions of these. Null without a single whole cell."""
    if not cells:
        why = "no cell is finished"
        return {"scores": None, "fraction": None, "fraction_why": why, "fraction_over_few_shot": None}
    result = gain.matrix_fraction(cells, weights)
    few = gain.matrix_fraction(cells, weights, over="few_shot") if all(c.few_shot is not None for c in cells) else None
    found = {
        "scores": {role: _average(cells, weights, role) for role in ROLES},
        "fraction": _plain(result.interval),
        "fraction_why": result.why,
        "fraction_over_few_shot": _plain(few.interval) if few else None,
    }
    return found | ({"raw_fraction": _plain(result.raw)} if any(cell.flagged for cell in cells) else {})


def _average(cells: Sequence[gain.Cell], weights: Mapping[str, float], role: str) -> float | None:
    """The weighted average of a role's scores, a flagged best counting as its base; None if a cell lacks it."""
    scores: dict[str, dict[str, float]] = {}
    for cell in cells:
        attribute = {"base_few_shot": "few_shot", "best": "base" if cell.flagged else "best"}.get(role, role)
        items = getattr(cell, attribute)
        if items is None:
            return None
        scores.setdefault(cell.model, {})[cell.benchmark] = float(items.mean())
    return gain.weighted_average(scores, weights)


def _is_published(run: Run) -> bool:
    """Whether a finished run was told to compare with published anchors."""
    finals = [final_of(run.story, role) for role in ("best", "base", "instruct")]
    return run.story.run.get("anchors") == "published" and all(finals)


def _score_averages(runs: Sequence[Run], weights: Mapping[str, float]) -> dict[str, Any]:
    """The same from scores and their errors, for runs that compare with published anchors."""
    held = [_score_cell(run, "base", hold=True) for run in runs]
    result = gain.matrix_fraction_of_scores(held, weights)
    has_few_shot = all(final_of(run.story, "base_few_shot") for run in runs)
    few = [_score_cell(run, "base_few_shot", hold=True) for run in runs] if has_few_shot else []
    over_few_shot = gain.matrix_fraction_of_scores(few, weights, over="few-shot base") if few else None
    averages = {role: _score_average(cells, weights, column) for role, cells, column in (
        ("base", held, "base"), ("base_few_shot", few, "base"), ("instruct", held, "instruct"), ("best", held, "best"),
    )}  # fmt: skip
    found = {
        "scores": averages,
        "fraction": _plain(result.interval),
        "fraction_why": result.why,
        "fraction_over_few_shot": _plain(over_few_shot.interval) if over_few_shot else None,
        "anchors": "published",
    }
    raw = gain.matrix_fraction_of_scores([_score_cell(run, "base", hold=False) for run in runs], weights)
    return found | ({"raw_fraction": _plain(raw.interval)} if any(is_flagged(run.story) for run in runs) else {})


def _score_cell(run: Run, floor: str, hold: bool) -> gain.ScoreCell:
    """A run's scores with their errors; `hold` puts a flagged one at its base."""
    best = "base" if hold and is_flagged(run.story) else "best"
    finals = [final_of(run.story, role) for role in (best, floor, "instruct")]
    pairs = [published.with_error(final.score) for final in finals if final]
    return gain.ScoreCell(*run.name, *pairs)


def _score_average(cells: Sequence[gain.ScoreCell], weights: Mapping[str, float], column: str) -> float | None:
    scores: dict[str, dict[str, float]] = {}
    for cell in cells:
        scores.setdefault(cell.model, {})[cell.benchmark] = getattr(cell, column)[0]
    return gain.weighted_average(scores, weights) if cells else None


# ---------------------------------------------------------------- comparison


def comparison_document(runs: Sequence[Run]) -> dict[str, Any]:
    """Runs side by side, what each agent reached over its seeds, and each agent's lift over each other, paired."""
    agents = sorted({str(run.report["agent"]) for run in runs})
    lifts = [_lift(runs, one, other) for one in agents for other in agents if one != other]
    return {
        "schema": SCHEMA,
        "kind": "comparison",
        "runs": [{**_shown(run), "folder": str(run.story.folder), "seconds": _seconds(run)} for run in runs],
        "agents": [_agent(runs, agent) for agent in agents],
        "lifts": [found for found in lifts if found],
    }


def _fraction(run: Run) -> float | None:
    found = run.report["fraction"]
    return float(found["value"]) if found else None


def _seconds(run: Run) -> float:
    return float(run.report["spend"]["seconds"])


def _agent(runs: Sequence[Run], agent: str) -> dict[str, Any]:
    """An agent's fractions over its runs: median, lowest and highest."""
    own = [run for run in runs if str(run.report["agent"]) == agent]
    values = [value for run in own if (value := _fraction(run)) is not None]
    told = {"median": median(values), "lowest": min(values), "highest": max(values)} if values else {}
    return {"agent": agent, "runs": len(own), "with_fraction": len(values), "fraction": told or None}


def _lift(runs: Sequence[Run], agent: str, over: str) -> dict[str, Any] | None:
    """Mean difference of the fractions of runs that share all but the agent (`_pair`); None below two pairs."""
    ours, theirs = _by_seed(runs, agent), _by_seed(runs, over)
    shared = [key for key in ours if key in theirs]
    if len(shared) < 2:
        return None
    found = gain.lift([ours[key] for key in shared], [theirs[key] for key in shared])
    return {"agent": agent, "over": over, "pairs": len(shared), **found.model_dump()}


def _by_seed(runs: Sequence[Run], agent: str) -> dict[tuple[str, ...], float]:
    """An agent's fractions by what a run has to share with another's to be a pair with it."""
    told = [(_pair(run), _fraction(run)) for run in runs if str(run.report["agent"]) == agent]
    return {key: value for key, value in told if value is not None}


def _pair(run: Run) -> tuple[str, ...]:
    told = (run.story.run.get("lab_seed"), run.report["seed"], run.report["protocol"], run.story.budget_seconds)
    return (*run.name, *map(str, told))


def _shown(run: Run) -> dict[str, Any]:
    return {key: run.report[key] for key in SHOWN}


def _plain(interval: gain.Interval | None) -> dict[str, float] | None:
    return interval.model_dump() if interval else None
