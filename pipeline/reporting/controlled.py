"""An agent beside its control arms: its lift over each, paired over seeds. Numbers, then the page in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import gain
from pipeline.paths import read_json
from pipeline.reporting.blocks import Block, Page, Table, Text, interval, listed, number
from pipeline.reporting.controls import COMPARISON_FILE, controlled_runs
from pipeline.reporting.heading import regained
from pipeline.reporting.overview import Run, comparison_document
from pipeline.reporting.overview_pages import agents_table, runs_table
from pipeline.reporting.summary import SCHEMA

Lift = dict[str, float | None]
POINTS = 100  # of a score of 1


# ---------------------------------------------------------------- numbers


def controlled_document(folder: Path, runs: Sequence[Run]) -> dict[str, Any]:
    """The agent's fraction over its seeds and its lift over every control; runs that are not there are `missing`."""
    described, asked = read_json(folder / COMPARISON_FILE), read_json(folder / COMPARISON_FILE).get("asked") or {}
    agent, controls = str(described.get("agent")), [str(name) for name in described.get("controls") or ()]
    there = {run.story.folder for run in runs}
    own = [run for run in runs if run.report["agent"] == agent]
    first = runs[0].report if runs else {}
    found, why = _over_seeds(own)
    return {
        **comparison_document(runs),
        "schema": SCHEMA,
        "model": asked.get("model"),
        "benchmark": asked.get("benchmark"),
        "metric": first.get("metric"),
        "protocol": first.get("protocol"),
        "agent": agent,
        "seeds": described.get("seeds") or [],
        "fraction": found,
        "fraction_why": why,
        "reference": first.get("reference"),
        "controls": [_control(own, [run for run in runs if run.report["agent"] == name], name) for name in controls],
        "final_model": _best(folder, own),
        "missing": [
            {"folder": each["folder"], "why": "not started"}
            for each in controlled_runs(folder)
            if folder / each["folder"] not in there
        ]
        + [
            {"folder": str(run.story.folder.relative_to(folder)), "why": "not finished"}
            for run in runs
            if _points(run) is None
        ],
        "flagged": any(run.report["flagged"] for run in runs),
    }


def _over_seeds(own: Sequence[Run]) -> tuple[Lift | None, str | None]:
    """The agent's mean fraction with Student's t interval over its seeds, and what there is to say of it."""
    values = [value for run in own if (value := _fraction(run)) is not None]
    if not values:
        reasons = [run.report["fraction_why"] for run in own if run.report["fraction_why"]]
        return None, reasons[0] if reasons else "no run of the agent is finished"
    found = _mean_lift(values, [0.0] * len(values))
    without = [run for run in own if _fraction(run) is None]
    told = f"{len(values)} of {len(own)} seeds have a fraction: {without[0].report['fraction_why']}" if without else ""
    if len(values) == 1:
        told = listed([told, "one seed shows no spread over seeds: its run's report has the interval over items"])
    return found, told or None


def _control(own: Sequence[Run], theirs: Sequence[Run], name: str) -> dict[str, Any]:
    """The agent's lift over one control: of fractions, and of final scores in points."""
    fractions, points = _pairs(own, theirs, _fraction), _pairs(own, theirs, _points)
    pairs = max(len(fractions), len(points))
    if pairs == 0:
        why: str | None = "no seed is finished by both"
    elif pairs == 1:
        why = "one seed gives no interval over seeds: search with --seeds 3 or more"
    elif _mean_lift(*zip(*(fractions or points), strict=True))["low"] is None:
        why = "all seeds differ by the same, which gives no interval over seeds"
    else:
        why = None
    if pairs and not fractions:
        why = listed([why or "", "there is no fraction of the human gain, so the lift is told in points only"])
    return {
        "agent": name,
        "pairs": pairs,
        "lift": _mean_lift(*zip(*fractions, strict=True)) if fractions else None,
        "lift_points": _mean_lift(*zip(*points, strict=True)) if points else None,
        "why": why,
    }


def _mean_lift(ours: Sequence[float], theirs: Sequence[float]) -> Lift:
    """The mean paired difference; its bounds are null where the seeds' spread gives none."""
    return dict(gain.lift(ours, theirs).model_dump())


def _pairs(
    own: Sequence[Run], theirs: Sequence[Run], value: Callable[[Run], float | None]
) -> list[tuple[float, float]]:
    """The values of both on the seeds that both finished."""
    by_seed = {run.report["seed"]: value(run) for run in theirs}
    found = [(value(run), by_seed.get(run.report["seed"])) for run in own]
    return [(ours, other) for ours, other in found if ours is not None and other is not None]


def _fraction(run: Run) -> float | None:
    found = run.report["fraction"]
    return float(found["value"]) if found else None


def _points(run: Run) -> float | None:
    """The final score in points; a flagged run has its base's."""
    score = run.report["scores"]["base" if run.report["flagged"] else "best"]
    return POINTS * float(score["value"]) if score else None


def _best(folder: Path, own: Sequence[Run]) -> dict[str, Any] | None:
    """The agent's run whose choice has the best search score: never picked by what the final items gave."""
    able = [run for run in own if not run.report["flagged"] and (run.story.folder / "final_model").is_dir()]
    if not able:
        return None
    best = max(able, key=_search_score)
    place = str((best.story.folder / "final_model").relative_to(folder))
    return {"folder": place, "seed": best.report["seed"], "search_score": _search_score(best)}


def _search_score(run: Run) -> float:
    """Of the chosen trial; where it is the base, of the base."""
    chosen = run.story.best or next((trial for trial in run.story.trials if trial.id == "base"), None)
    return chosen.score.value if chosen and chosen.score else 0.0


# ---------------------------------------------------------------- page


def controlled_page(folder: Path, document: Mapping[str, Any]) -> Page:
    """The headline is the smallest lift: that over the strongest control."""
    controls, agent, seeds = document["controls"], document["agent"], document["seeds"]
    blocks: list[Block | None] = [
        _lifts_table(agent, controls),
        _own_table(agent, document),
        agents_table(document["agents"]),
        runs_table(document["runs"]),
        _final_model(folder, document["final_model"]),
    ]
    against = f" against {', '.join(each['agent'] for each in controls)}" if controls else ""
    head, caption = _headline(document)
    return Page(
        title=f"{agent} on {document['benchmark']}, {len(seeds)} seed{'s' * (len(seeds) != 1)}{against}",
        subtitle=f"{document['model']}; {len(document['runs'])} runs in {folder}, each with the same budget",
        headline=head,
        caption=caption,
        warning=_warning(document),
        blocks=tuple(block for block in blocks if block),
    )


def _headline(document: Mapping[str, Any]) -> tuple[str, str]:
    """The figure that the page is about, and what it is."""
    for key, digits, what in (("lift", 2, regained(document).removesuffix(" regained")), ("lift_points", 1, "points")):
        known = [each for each in document["controls"] if each[key]]
        if known:
            least = min(known, key=lambda each: each[key]["value"])
            told = f"{what}: lift over {least['agent']}, paired over {_seeds(least['pairs'])}"
            return f"{least[key]['value']:+.{digits}f}", f"{told} {_bounds(least[key], digits)}"
    found = document["fraction"]
    return number(found and found["value"], 2), f"{regained(document)}, mean over seeds"


def _bounds(found: Mapping[str, Any], digits: int) -> str:
    """The interval beside a headline, and whether it says anything."""
    if found["low"] is None:
        return "(no interval)"
    unresolved = ", unresolved" if found["low"] <= 0.0 <= found["high"] else ""
    return f"[{found['low']:+.{digits}f}, {found['high']:+.{digits}f}{unresolved}]"


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _lifts_table(agent: str, controls: Sequence[Mapping[str, Any]]) -> Table | None:
    rows = [
        (
            f"{agent} over {each['agent']}",
            str(each["pairs"]),
            interval(each["lift"], sign="+"),
            interval(each["lift_points"], 1, "+"),
        )
        for each in controls
    ]
    whys = dict.fromkeys(each["why"] for each in controls if each["why"])
    note = "; ".join(["means of paired differences, 95% by Student's t over seeds", *whys])
    header = ("", "seeds", "lift in fraction", "lift in points")
    return Table("Lift over control arms", tuple(rows), header, note=note) if rows else None


def _own_table(agent: str, document: Mapping[str, Any]) -> Table:
    row = (f"fraction {regained(document)}, mean over seeds", interval(document["fraction"]))
    return Table(f"Result of {agent}", (row,), note=document["fraction_why"] or "95% by Student's t over seeds")


def _final_model(folder: Path, chosen: Mapping[str, Any] | None) -> Text | None:
    if chosen is None:
        return None
    text = f"{folder / chosen['folder']}: of seed {chosen['seed']}, the best by search score"
    return Text("Final model", f"{text} ({chosen['search_score']:.3f})")


def _warning(document: Mapping[str, Any]) -> str:
    flagged = [run["folder"] for run in document["runs"] if run["flagged"]]
    missing = [f"{each['folder']} ({each['why']})" for each in document["missing"]]
    parts = [
        f"FLAGGED, counts as the base: {', '.join(flagged)}" if flagged else "",
        f"Incomplete: {', '.join(missing)}" if missing else "",
    ]
    return ". ".join(part for part in parts if part)
