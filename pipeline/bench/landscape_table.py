"""What `bench landscape` came to: every recipe's fraction on the search split, and a landscape's five properties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from pipeline import catalogue, gain, worlds
from pipeline.asking import Asked
from pipeline.bench.results import Document, ground, ground_text
from pipeline.flight import search_items
from pipeline.ledger import Ledger
from pipeline.reporting import blocks
from pipeline.reporting.blocks import Page, Table
from pipeline.types import Trial

AUTHOR, RANDOM = "landscape", "random "
KINDS = ("single", "pair", "triple")
RESAMPLES = 2000  # for intervals that stand in a table of fifty
WORST, BEST, MIDDLE, MEDIAN, ERRORS = 0.2, 0.8, (0.2, 0.7), 0.6, 2.0
MIDDLING = 3  # sources at least that lie in the middle
Row = dict[str, Any]
Items = dict[str, float]


def label(mixture: Sequence[str]) -> str:
    """The name of a mixture in equal parts."""
    return " + ".join(mixture)


def surveyed(history: Sequence[Trial]) -> dict[str, Trial]:
    """The survey's trials by name; those that came to no end are left out."""
    own = [trial for trial in history if trial.proposal.author == AUTHOR and trial.state != "abandoned"]
    return {trial.proposal.rationale: trial for trial in own}


# ---------------------------------------------------------------- numbers


def document(cells: Sequence[Asked], random: int, found: Sequence[Row]) -> Document:
    """bench.json."""
    return {
        **ground(),
        "kind": "landscape",
        "lab_seed": cells[0].lab_seed,
        "seed": cells[0].seed,
        "random": random,
        "cells": list(found),
    }


def cell(asked: Asked, folder: Path, random: int, reveal: bool) -> Row:
    """One model on one benchmark: its recipes, best first, and the properties as far as they are known."""
    history = Ledger(folder / "ledger.jsonl").history() if (folder / "ledger.jsonl").is_file() else ()
    tried = surveyed(history)
    items = {trial.id: search_items(folder, trial.id) for trial in history if trial.state == "scored"}
    rows = [_row(name, trial, items) for name, trial in tried.items() if trial.state != "pending"]
    told = {
        "model": asked.model,
        "benchmark": asked.benchmark,
        "folder": folder.name,
        "anchors": {trial.id: trial.score.value for trial in history if trial.kind == "anchor" and trial.score},
        "recipes": sorted(rows, key=lambda row: (row["value"] is None, -(row["value"] or 0.0), -(row["score"] or 0.0))),
        "properties": properties(rows, items, random),
    }
    singles = [row["name"] for row in rows if row["kind"] == "single"]
    return told | ({"roles": {name: role(name, asked.lab_seed) for name in singles}} if reveal else {})


def role(source: str, lab_seed: int) -> str | None:
    """What a lab source is good for; None of a source that no world generates."""
    found = catalogue.find(source)
    if not isinstance(found.entry, catalogue.WorldEntry):
        return None
    return worlds.get(found.entry.world).roles(lab_seed)[found.index - 1]


def _row(name: str, trial: Trial, items: Mapping[str, Items]) -> Row:
    """A recipe. Its `value` is its fraction; 0 where training failed, none where a guard refused it."""
    references = trial.recipe.stages[0].data if trial.recipe else ()
    outcome, changes = trial.outcome, trial.proposal.changes
    fraction, why = _fraction(items.get(trial.id), items)
    return {
        "name": name,
        "kind": "random" if name.startswith(RANDOM) else KINDS[len(references) - 1],
        "trial": trial.id,
        "state": trial.state,
        "mixture": {reference.name: reference.weight for reference in references},
        "params": {path.rsplit(".", 1)[-1]: value for path, value in changes.items() if ".params." in path},
        "score": trial.score.value if trial.score else None,
        "fraction": fraction.model_dump() if fraction else None,
        "value": fraction.value if fraction else 0.0 if trial.state == "failed" else None,
        "why": outcome.error if outcome and outcome.error else why,
        "labels": list(outcome.labels) if outcome else [],
        "tokens": outcome.tokens if outcome else 0,
    }


def _fraction(best: Items | None, items: Mapping[str, Items]) -> tuple[gain.Interval | None, str | None]:
    if not best or not items.get("base") or not items.get("instruct"):
        return None, None
    columns = [[found[name] for name in sorted(best)] for found in (best, items["base"], items["instruct"])]
    found = gain.fraction(*columns, resamples=RESAMPLES)
    return found.interval, found.why


# ---------------------------------------------------------------- properties


def properties(rows: Sequence[Row], items: Mapping[str, Items], random: int) -> list[Row]:
    """The five properties of a landscape that is worth searching.

    `holds` is None as long as something is missing that the property is about. Values are fractions of instruct - base
    on the search split, so the best ones are a little optimistic: they are the best of many.
    """
    singles = sorted((row for row in _of(rows, "single") if row["value"] is not None), key=lambda row: row["value"])
    mixtures = [row for row in _of(rows, *KINDS[1:]) if row["score"] is not None]
    return [*_of_singles(singles, bool(mixtures)), _of_mixtures(singles, mixtures, items), _of_draws(rows, random)]


def _of(rows: Sequence[Row], *kinds: str) -> list[Row]:
    return [row for row in rows if row["kind"] in kinds]


def _of_singles(singles: Sequence[Row], complete: bool) -> list[Row]:
    """`singles` are sorted by value; `complete`: all of them have ended."""
    low, high = MIDDLE
    middle = [row for row in singles if low <= row["value"] <= high]
    worst, best = (singles[0], singles[-1]) if singles else (None, None)
    told = (
        (f"the worst source alone is under {WORST}", worst, lambda value: value < WORST),
        (f"the best source alone is over {BEST}", best, lambda value: value > BEST),
    )
    ends = [
        {
            "property": text,
            "holds": holds(row["value"]) if row and complete else None,
            "value": row["value"] if row else None,
            "of": row["name"] if row else "",
        }
        for text, row, holds in told
    ]
    between = {
        "property": f"at least {MIDDLING} sources lie between {low} and {high}",
        "holds": len(middle) >= MIDDLING if singles and complete else None,
        "value": len(middle),
        "of": ", ".join(row["name"] for row in middle),
    }
    return [*ends, between]


def _of_mixtures(singles: Sequence[Row], mixtures: Sequence[Row], items: Mapping[str, Items]) -> Row:
    best = singles[-1] if singles else None
    found = [_ahead(row, best, items) for row in mixtures if best]
    most = max(found, key=lambda each: float(each["errors"])) if found else None
    wanted = 2 * len(singles) - 3  # the best one with every other, the best pair with what is then left
    return {
        "property": f"a mixture beats the best source by {ERRORS:g} paired standard errors",
        "holds": most["errors"] >= ERRORS if most and len(mixtures) >= wanted else None,
        "value": most["errors"] if most else None,
        "of": most["name"] if most else "",
        "difference": most["difference"] if most else None,
        "mixtures": len(mixtures),
    }


def _of_draws(rows: Sequence[Row], random: int) -> Row:
    values = [row["value"] for row in _of(rows, "random") if row["value"] is not None]
    return {
        "property": f"the median of {random} random recipes is under {MEDIAN}",
        "holds": median(values) < MEDIAN if values and len(values) >= random else None,
        "value": median(values) if values else None,
        "of": f"{len(values)} recipes",
    }


def _ahead(row: Row, best: Row, items: Mapping[str, Items]) -> Row:
    """How far a mixture's score is ahead of the best source's, in standard errors of the paired difference."""
    ours, theirs = items[row["trial"]], items.get(best["trial"], {})
    delta_n = np.array([ours[item] - theirs[item] for item in ours if item in theirs])
    difference = float(delta_n.mean()) if delta_n.size else 0.0
    error = float(delta_n.std(ddof=1)) / sqrt(delta_n.size) if delta_n.size > 1 else 0.0
    return {"name": row["name"], "difference": difference, "errors": difference / error if error else 0.0}


# ---------------------------------------------------------------- page


def page(document: Document) -> Page:
    """The document in words."""
    held = [found["holds"] for cell in document["cells"] for found in cell["properties"]]
    return Page(
        title="The landscape of recipes",
        subtitle=f"lab seed {document['lab_seed']}, all recipes of one length in tokens, scored on the search split; "
        + ground_text(document),
        headline=f"{sum(bool(value) for value in held)} of {len(held)}",
        caption="properties are there.",
        warning="",
        blocks=tuple(block for cell in document["cells"] for block in _blocks(cell)),
    )


def _blocks(cell: Row) -> list[Table]:
    what = f"{cell['model']}, {cell['benchmark']}"
    anchors = blocks.listed(f"{name.replace('_', ' ')} {value:.3f}" for name, value in cell["anchors"].items())
    shown = [row for row in cell["recipes"] if not (row["kind"] == "random" and row["state"] == "rejected")]
    tokens = sorted(row["tokens"] for row in shown if row["state"] == "scored")
    length = f"{tokens[0]:,} to {tokens[-1]:,} training tokens, their tails left out" if tokens else ""
    return [
        Table(
            title=f"Properties: {what}",
            header=("", "", "value", "of"),
            rows=tuple(map(_property_cells, cell["properties"])),
            figures=False,
        ),
        Table(
            title=f"Recipes by fraction of instruct - base: {what}",
            header=("recipe", "score", "fraction", "note"),
            rows=tuple(_recipe_cells(row, cell.get("roles") or {}) for row in shown),
            figures=False,
            note=blocks.listed([anchors, length, "a recipe whose training failed counts as 0", *_whys(shown)]),
        ),
    ]


def _whys(rows: Sequence[Row]) -> list[str]:
    """Why scores have no fraction."""
    return sorted({row["why"] for row in rows if row["state"] == "scored" and row["why"]})


def _property_cells(row: Row) -> tuple[str, ...]:
    holds = {True: "yes", False: "no", None: "not known yet"}[row["holds"]]
    value = str(row["value"]) if isinstance(row["value"], int) else blocks.number(row["value"], 2)
    of = row["of"]
    if row.get("difference") is not None:
        of = f"{of}, {row['difference']:+.3f} in score (the most of {row['mixtures']} mixtures)"
    return (row["property"], holds, value, of)


def _recipe_cells(row: Row, roles: Mapping[str, str | None]) -> tuple[str, ...]:
    def told(name: str) -> str:
        return f"{name} ({roles[name]})" if roles.get(name) else name

    if row["kind"] == "random":
        mixed = " + ".join(f"{weight:.2g} {told(name)}" for name, weight in row["mixture"].items())
        params = row["params"]
        text = f"random: {mixed}; {params.get('tuning')}, rate {params.get('learning_rate'):.2g}"
    else:
        text = " + ".join(map(told, row["mixture"]))
    state = {"scored": "", "failed": f"failed: {row['why']}"}.get(row["state"], str(row["state"]))
    note = blocks.listed([*row["labels"], state])
    return (text, blocks.number(row["score"]), blocks.interval(row["fraction"], 2), note[:80])
