"""The reports of several runs in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.published import DIFFER
from pipeline.reporting.blocks import Block, Page, Ruler, Table, interval, number, seconds
from pipeline.reporting.heading import regained
from pipeline.reporting.pages import ROWS


def matrix_page(folder: Path, document: Mapping[str, Any]) -> Page:
    """A matrix: its fraction, every cell's, the averages, what is missing."""
    cells = document["cells"]
    models, benchmarks = _names(cells, "model"), _names(cells, "benchmark")
    found = document["fraction"]
    blocks: list[Block | None] = [
        _averages_ruler(document),
        _matrix_result(document),
        _grid(cells, models, benchmarks, document["weights"]),
        _averages(document),
        _cell_list(cells),
    ]
    return Page(
        title=f"{len(models)} models on {len(benchmarks)} benchmarks",
        subtitle=f"{len(cells)} runs in {folder}; scores are averaged first, then the fraction is taken",
        headline=number(found and found["value"], 2),
        caption=f"{_regained(document)}, weighted average",
        warning=_matrix_warning(document),
        blocks=tuple(block for block in blocks if block),
    )


def comparison_page(document: Mapping[str, Any]) -> Page:
    """Runs side by side."""
    runs, agents = document["runs"], document["agents"]
    medians = [agent["fraction"]["median"] for agent in agents if agent["fraction"]]
    blocks: list[Block | None] = [agents_table(agents), _lifts(document["lifts"]), runs_table(runs)]
    flagged = [run["folder"] for run in runs if run["flagged"]]
    return Page(
        title=f"{len(runs)} runs compared",
        subtitle=f"{', '.join(_names(runs, 'model'))} on {', '.join(_names(runs, 'benchmark'))}",
        headline=number(max(medians), 2) if medians else "-",
        caption="best median fraction of an agent",
        warning=f"FLAGGED, counts as the base: {', '.join(flagged)}" if flagged else "",
        blocks=tuple(block for block in blocks if block),
    )


def _names(rows: Sequence[Mapping[str, Any]], key: str) -> list[str]:
    return list(dict.fromkeys(str(row[key]) for row in rows))


# ---------------------------------------------------------------- matrix


def _matrix_warning(document: Mapping[str, Any]) -> str:
    flagged = [cell["folder"] for cell in document["cells"] if cell["flagged"]]
    missing = [f"{cell['folder']} ({cell['why']})" for cell in document["missing"]]
    parts = [
        f"FLAGGED, counts as the base: {', '.join(flagged)}" if flagged else "",
        f"Incomplete, averaged without {'; '.join(missing)}" if missing else "",
        f"No fraction: {document['fraction_why']}" if document["fraction"] is None else "",
        f"Base and instruct are published; {DIFFER}" if document.get("anchors") == "published" else "",
    ]
    return ". ".join(part for part in parts if part)


def _regained(document: Mapping[str, Any]) -> str:
    """What a matrix's fraction is of: of the gain to a reference where every cell has one."""
    cells = document["cells"]
    return regained({"reference": bool(cells) and all(cell.get("reference") for cell in cells)})


def _matrix_result(document: Mapping[str, Any]) -> Table:
    rows = [
        (f"fraction {_regained(document)}", interval(document["fraction"])),
        ("the same over the few-shot base", interval(document["fraction_over_few_shot"])),
    ]
    if "raw_fraction" in document:
        rows.insert(1, ("as measured, before the flags", interval(document["raw_fraction"])))
    how = "from standard errors" if document.get("anchors") == "published" else "bootstrap over the items of each cell"
    return Table("Result", tuple(rows), note=f"95% intervals, {how}")


def _grid(
    cells: Sequence[Mapping[str, Any]], models: Sequence[str], benchmarks: Sequence[str], weights: Mapping[str, float]
) -> Table | None:
    """Fractions, models by benchmarks, and the weights, renormalised over the benchmarks shown."""
    if not cells:
        return None
    found = {(str(cell["model"]), str(cell["benchmark"])): cell for cell in cells}
    rows = [(model, *(_fraction(found.get((model, benchmark))) for benchmark in benchmarks)) for model in models]
    total = sum(weights[benchmark] for benchmark in benchmarks)
    rows.append(("weight", *(f"{weights[benchmark] / total:.3f}" for benchmark in benchmarks)))
    return Table("Fraction by model and benchmark", tuple(rows), ("", *benchmarks))


def _fraction(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "-"
    return interval(cell["fraction"], 2) + (" flagged" if cell["flagged"] else "")


def _averages(document: Mapping[str, Any]) -> Table | None:
    scores = document["scores"]
    if not scores:
        return None
    return Table("Weighted averages, strict", tuple((label, number(scores[role])) for role, label in ROWS.items()))


def _averages_ruler(document: Mapping[str, Any]) -> Ruler | None:
    scores = document["scores"] or {}
    marks = [(label, scores[role], None, None) for role, label in ROWS.items() if scores.get(role) is not None]
    return Ruler(tuple(marks)) if marks else None


def _cell_list(cells: Sequence[Mapping[str, Any]]) -> Table | None:
    rows = []
    for cell in cells:
        scores = [number(cell["scores"][role] and cell["scores"][role]["value"]) for role in ROWS]
        rows.append((str(cell["model"]), str(cell["benchmark"]), *scores))
    header = ("model", "benchmark", *ROWS.values())
    return Table("Final scores, strict", tuple(rows), header) if rows else None


# ---------------------------------------------------------------- comparison


def agents_table(agents: Sequence[Mapping[str, Any]]) -> Table:
    """What each agent reached over its runs."""
    rows = []
    for agent in agents:
        found = agent["fraction"] or {}
        told = [number(found.get(key)) for key in ("median", "lowest", "highest")]
        known = agent["with_fraction"]
        rows.append((agent["agent"], str(known) if known == agent["runs"] else f"{known} of {agent['runs']}", *told))
    some = any(agent["with_fraction"] < agent["runs"] for agent in agents)
    note = "of the runs that have a fraction; why the others have none stands in their reports" if some else ""
    return Table("Fraction by agent", tuple(rows), ("agent", "runs", "median", "lowest", "highest"), note=note)


def _lifts(lifts: Sequence[Mapping[str, Any]]) -> Table | None:
    rows = [
        (f"{found['agent']} over {found['over']}", str(found["pairs"]), interval(dict(found), 3, "+"))
        for found in lifts
        if found["value"] >= 0
    ]
    note = "mean difference of fractions, paired by model, benchmark and seed; 95% by Student's t"
    return Table("Lift", tuple(rows), ("", "pairs", "lift"), note=note) if rows else None


def runs_table(runs: Sequence[Mapping[str, Any]]) -> Table:
    """Every run in a line."""
    one_task = len({(run["model"], run["benchmark"]) for run in runs}) == 1
    rows = []
    for run in runs:
        best = run["scores"]["best"]
        task = () if one_task else (str(run["model"]), str(run["benchmark"]))
        figures = (number(best and best["value"]), str(run["trials"]["scored"]), seconds(run["seconds"]))
        rows.append((str(run["agent"]), str(run["seed"]), *task, _fraction(run), *figures))
    task_header = () if one_task else ("model", "benchmark")
    header = ("agent", "seed", *task_header, "fraction", "best", "trials", "time")
    return Table("Runs", tuple(rows), header)
