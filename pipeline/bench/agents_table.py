"""What `bench agents` came to: rows of runs, medians of arms, paired lifts, and the page that shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from pipeline import gain, reproduce
from pipeline.asking import Asked
from pipeline.bench.results import ASIDE, Document, ground, ground_text
from pipeline.ledger import Ledger
from pipeline.paths import read_json
from pipeline.reporting import blocks
from pipeline.reporting.blocks import Page, Table

Row = dict[str, Any]

# ---------------------------------------------------------------- numbers


def run_row(asked: Asked, folder: Path, out: Path) -> Row:
    """One run; of an unfinished one only who and where."""
    row: Row = {
        "agent": asked.agent,
        "seed": asked.seed,
        "folder": str(folder.relative_to(out)),
        "finished": False,
        "fraction": None,
        "set_aside": len(list(folder.parent.glob(f"{folder.name}{ASIDE}*"))),
    }
    if not reproduce.is_finished(folder):
        return row
    report, measured = read_json(folder / "report.json"), folder / "measured.json"
    scores, spend = report["scores"], report["spend"]
    return row | {
        "finished": True,
        "fraction": report["fraction"],
        "fraction_why": report["fraction_why"],
        "scores": {role: score["value"] if score else None for role, score in scores.items()},
        "trials": report["trials"],
        "seconds": spend["seconds"],
        "overhead_share": spend["overhead_seconds"] / spend["seconds"] if spend["seconds"] else None,
        "first_step_seconds": first_steps(folder),
        "peak_memory_bytes": read_json(measured)["peak_memory_bytes"] if measured.is_file() else None,
        "flagged": report["flagged"],
    }


def first_steps(folder: Path) -> list[float]:
    """Seconds from proposal to the end of the first step, of all trials but the run's first, whose workers start."""
    history = [trial for trial in Ledger(folder / "ledger.jsonl").history() if trial.kind == "recipe"]
    outcomes = [trial.outcome for trial in history[1:] if trial.outcome]
    return [outcome.first_step_seconds for outcome in outcomes if outcome.first_step_seconds is not None]


def document(
    cells: Sequence[Asked], agents: Sequence[str], seeds: Sequence[int], runs: Mapping[str, Sequence[Row]]
) -> Document:
    """bench.json: every cell with its arms, the first arm's lift over the others, and all runs."""
    named = {reproduce.cell_name(cell): cell for cell in cells}
    return {
        **ground(),
        "kind": "agents",
        "budget_seconds": cells[0].budget.seconds,
        "budget_trials": cells[0].budget.trials,
        "lab_seed": cells[0].lab_seed,
        "seeds": list(seeds),
        "agents": list(agents),
        "cells": [
            {
                "cell": name,
                "model": cell.model,
                "benchmark": cell.benchmark,
                "arms": [arm(agent, _of(runs[name], agent)) for agent in agents],
                "lifts": [lift(runs[name], agents[0], other) for other in agents[1:]],
                "runs": list(runs[name]),
            }
            for name, cell in named.items()
        ],
    }


def arm(agent: str, runs: Sequence[Row]) -> Row:
    """An agent over its finished runs. Medians over runs; of first steps over all trials of all runs."""
    done = [run for run in runs if run["finished"]]
    fractions = [run["fraction"]["value"] for run in done if run["fraction"]]
    peaks = _known(run["peak_memory_bytes"] for run in done)
    return {
        "agent": agent,
        "runs": len(runs),
        "finished": len(done),
        "fraction": {"median": median(fractions), "lowest": min(fractions), "highest": max(fractions)}
        if fractions
        else None,
        "overhead_share": _median(_known(run["overhead_share"] for run in done)),
        "first_step_seconds": _median([value for run in done for value in run["first_step_seconds"]]),
        "peak_memory_bytes": max(peaks) if peaks else None,
    }


def lift(runs: Sequence[Row], agent: str, over: str) -> Row:
    """Mean difference of fractions on the seeds that both finished; without an interval below two pairs."""
    ours, theirs = _by_seed(_of(runs, agent)), _by_seed(_of(runs, over))
    shared = [seed for seed in ours if seed in theirs]
    found = gain.lift([ours[seed] for seed in shared], [theirs[seed] for seed in shared]) if shared else None
    return {"agent": agent, "over": over, "pairs": len(shared), "lift": found.model_dump() if found else None}


def _of(runs: Sequence[Row], agent: str) -> list[Row]:
    return [run for run in runs if run["agent"] == agent]


def _by_seed(runs: Sequence[Row]) -> dict[int, float]:
    return {run["seed"]: run["fraction"]["value"] for run in runs if run["fraction"]}


def _known(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if value is not None]


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


# ---------------------------------------------------------------- page


def page(document: Document) -> Page:
    """The document in words."""
    runs = [run for cell in document["cells"] for run in cell["runs"]]
    done = sum(run["finished"] for run in runs)
    budget = blocks.listed(
        [
            f"{document['budget_seconds']:g} s of search" if document["budget_seconds"] else "",
            f"{document['budget_trials']} trials" if document["budget_trials"] else "",
        ]
    )
    flagged = [f"{run['agent']} seed {run['seed']}" for run in runs if run.get("flagged")]
    return Page(
        title="Agents compared",
        subtitle=f"lab seed {document['lab_seed']}; {budget} a run; {ground_text(document)}",
        headline=f"{done} of {len(runs)}",
        caption="runs are finished.",
        warning=f"flagged by a guard, counted as 0: {', '.join(flagged)}" if flagged else "",
        blocks=tuple(block for cell in document["cells"] for block in _cell(cell)),
    )


def _cell(cell: Row) -> list[Table]:
    what = f"{cell['model']}, {cell['benchmark']}"
    arms = Table(
        title=f"Fraction of the human gain regained: {what}",
        header=("agent", "runs", "median", "lowest", "highest", "neither training nor scoring", "first step", "memory"),
        rows=tuple(map(_arm_cells, cell["arms"])),
        note="medians over runs; first step: from proposal to its end, all trials but each run's first; memory: the "
        "highest of all runs, all processes",
    )
    lifts = Table(
        title=f"Lift, paired over seeds: {what}",
        header=("", "pairs", "mean difference of fractions"),
        rows=tuple(map(_lift_cells, cell["lifts"])),
    )
    runs = Table(
        title=f"Runs: {what}",
        header=("agent", "seed", "fraction", "base", "best", "instruct", "trials", "seconds"),
        rows=tuple(map(_run_cells, cell["runs"])),
        note="scores on the final split",
    )
    return [arms, *([lifts] if cell["lifts"] else []), runs]


def _arm_cells(row: Row) -> tuple[str, ...]:
    fraction, share, peak = row["fraction"] or {}, row["overhead_share"], row["peak_memory_bytes"]
    return (
        row["agent"],
        str(row["finished"]) if row["finished"] == row["runs"] else f"{row['finished']} of {row['runs']}",
        *(blocks.number(fraction.get(key)) for key in ("median", "lowest", "highest")),
        "-" if share is None else f"{share:.1%}",
        "-" if row["first_step_seconds"] is None else f"{row['first_step_seconds']:.2f} s",
        blocks.size(peak) if peak else "-",
    )


def _lift_cells(row: Row) -> tuple[str, ...]:
    return (f"{row['agent']} over {row['over']}", str(row["pairs"]), blocks.interval(row["lift"], sign="+"))


def _run_cells(row: Row) -> tuple[str, ...]:
    if not row["finished"]:
        return (row["agent"], str(row["seed"]), "not finished", *["-"] * 5)
    aside = f" ({row['set_aside']} set aside)" if row["set_aside"] else ""
    told = blocks.interval(row["fraction"]) if row["fraction"] else "none: " + str(row["fraction_why"])
    return (
        row["agent"],
        f"{row['seed']}{aside}",
        told + (", flagged" if row["flagged"] else ""),
        *(blocks.number(row["scores"][role]) for role in ("base", "best", "instruct")),
        str(row["trials"]["scored"]),
        f"{row['seconds']:.1f}",
    )
