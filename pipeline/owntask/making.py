"""`posttrain task create`: from files to a benchmark folder. Everything is checked before anything is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from pipeline import benchmarks, catalogue, sizes
from pipeline.answers.targets import MEANING, canonical, fold
from pipeline.errors import InputError
from pipeline.noise import noise_floor
from pipeline.owntask import dividing, figures, guessing, prompts, writing
from pipeline.owntask.dividing import Divided
from pipeline.owntask.reading import Example, asking, read_examples
from pipeline.paths import check_writable
from pipeline.task_items import fill, holes
from pipeline.types import Record

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{,63}")
TAKEN = ("benchmark", "recipe", f"recipe{sizes.SUFFIX}")  # other files of the folder
FEWEST_FINAL, FEWEST_SEARCH, FEWEST_TRAIN = 50, 10, 10
MANY_BREAKS = 5  # line breaks in an input, where most have none
FEW_SEARCH, SEARCH_ITEMS, FINAL_ITEMS = 100, 300, 1000
Told = Callable[[str], None]


class Wanted(Record):
    """A task as its user asks for it."""

    name: str
    train: Path
    test: Path | None = None
    input: str
    target: str
    metric: str | None = None  # None: guessed
    prompt: str | None = None
    out: Path
    search_items: int = SEARCH_ITEMS  # scored, at most
    final_items: int = FINAL_ITEMS


def create(
    wanted: Wanted,
    count: figures.CountTokens = figures.about_tokens,
    counted_by: str = "",
    told: Told = lambda text: None,
) -> dict[str, Any]:
    """Write the folder and return what is known of the task. Raises InputError or DataError, and nothing is written.

    `count` counts a text's tokens, by the tokenizer that `counted_by` names; "" for an estimate.
    """
    check_names(wanted)
    told(f"reading {wanted.train}")
    named = holes(wanted.prompt or "")
    train = read_examples(wanted.train, wanted.input, wanted.target, named)
    test = read_examples(wanted.test, wanted.input, wanted.target, named) if wanted.test else None
    metric = _metric(wanted, train, test)
    template = _template(wanted, train, test, metric.name)
    asked = [name for name in holes(template) if name in train[0].columns]
    told(f"comparing {len(train) + len(test or [])} rows with each other")
    prompt, reply = (lambda row: fill(template, row.columns)), partial(_reply, metric.name)
    final = asking(test, asked) if test is not None else None
    divided = dividing.divide(asking(train, asked), final, prompt, prompts.fixed_text(template))
    _check_divided(wanted, divided, metric.name)
    document = {
        "name": wanted.name,
        "folder": str(wanted.out),
        "metric": metric.name,
        "metric_why": metric.why,
        "metric_means": MEANING[metric.name],
        "prompt": template,
        **_rows(wanted, divided),
        "labels": figures.labels(divided) if metric.name == "choice" else None,
        "distinct_targets": len({row.target for row in divided.train}),
        "majority": figures.majority(metric.name, divided),
        "tokens": {
            "counted_by": counted_by or "estimate",
            "prompt": figures.lengths([prompt(row) for row in divided.train], count),
            "answer": figures.lengths([reply(row) for row in divided.train], count),
        },
        "interval_points": figures.half_widths(min(wanted.final_items, len(divided.final))),
        "examples": figures.samples(divided, prompt, reply),
    }
    document["remarks"] = _remarks(document, [*divided.train, *divided.search, *divided.final])
    writing.write(wanted.out, document, divided, wanted.target, asked)
    return document


def _rows(wanted: Wanted, divided: Divided) -> dict[str, Any]:
    """How many rows there are of what, and what was left out."""
    left_out = divided.left_out
    return {
        "rows": {name: len(getattr(divided, name)) for name in ("train", "search", "final")},
        "scored": {
            "search": min(wanted.search_items, len(divided.search)),
            "final": min(wanted.final_items, len(divided.final)),
        },
        "shares": _shares(divided),
        "left_out": [
            {"reason": reason, "rows": rows, "first": left_out.places[reason]}
            for reason, rows in left_out.counts.items()
        ],
    }


def check_names(wanted: Wanted) -> None:
    """Raises InputError if the task cannot be called so, or its folder is there already."""
    if not NAME.fullmatch(wanted.name):
        raise InputError(f"NAME '{wanted.name}': at most 64 letters, digits and _, a letter first, such as banking")
    if wanted.name in TAKEN:
        raise InputError(f"NAME '{wanted.name}': {wanted.name}.yaml is another file of the folder: choose another name")
    if wanted.name in benchmarks.names():
        raise InputError(f"NAME '{wanted.name}': a benchmark that ships has this name: choose another")
    if wanted.name in catalogue.names():
        raise InputError(f"NAME '{wanted.name}': a data source that ships has this name: choose another")
    out = wanted.out
    if out.absolute().name != wanted.name:
        other = out / wanted.name
        raise InputError(f"--out {out}: a benchmark's folder has its name: write --out {other}, or call the task so")
    if "," in str(out):
        raise InputError(f"--out {out}: commas separate benchmarks in --benchmark: name a folder without one")
    if out.exists() or out.is_symlink():
        raise InputError(f"--out {out}: is there already, and is not written over: remove it, or name another folder")
    check_writable(out, f"--out {out}")
    for option, value in (("--search-items", wanted.search_items), ("--final-items", wanted.final_items)):
        fewest = FEWEST_FINAL if option == "--final-items" else FEWEST_SEARCH
        if value < fewest:
            raise InputError(f"{option} {value}: at least {fewest} are needed to tell anything")


def _metric(wanted: Wanted, train: Sequence[Example], test: Sequence[Example] | None) -> guessing.Metric:
    targets = [row.target for row in (*train, *(test or ())) if row.target and row.input.strip()]
    if not targets:
        raise InputError(f"{wanted.train}: no row has both {wanted.input} and {wanted.target}: fill them")
    found = guessing.Metric(wanted.metric, "as asked for") if wanted.metric else guessing.guess(targets)
    for rows, path in ((train, wanted.train), (test or (), wanted.test)):
        guessing.check(found.name, [row for row in rows if row.target and row.input.strip()], str(path))
    return found


def _template(wanted: Wanted, train: Sequence[Example], test: Sequence[Example] | None, metric: str) -> str:
    columns = list(train[0].columns)
    if wanted.prompt is None:
        labels = sorted({row.target for row in train if row.target}) if metric == "choice" else []
        return prompts.default(metric, wanted.input, wanted.target, labels)
    template = prompts.settled(wanted.prompt, wanted.input, wanted.target, columns)
    there = test[0].columns if test is not None else columns
    for name in holes(template):
        if name in columns and name not in there:
            raise InputError(f"{wanted.test}: there is no column '{name}', which --prompt names")
    return template


def _reply(metric: str, row: Example) -> str:
    return canonical(metric, row.target)


def _check_divided(wanted: Wanted, divided: Divided, metric: str) -> None:
    final, search, train = len(divided.final), len(divided.search), len(divided.train)
    kept = "a fifth of the rows" if divided.by_hash else "rows of the test file"
    counts = divided.left_out.counts
    left_out = f" (left out: {', '.join(f'{rows} {reason}' for reason, rows in counts.items())})" if counts else ""
    if final < FEWEST_FINAL:
        hint = "give more rows, or a --test file" if divided.by_hash else "give a larger test file"
        raise InputError(
            f"{wanted.test or wanted.train}: {final} final items ({kept}), at least 50 are needed{left_out}: {hint}"
        )
    if search < FEWEST_SEARCH or train < FEWEST_TRAIN:
        raise InputError(
            f"{wanted.train}: {train} rows to train on and {search} to search on are left, at least {FEWEST_TRAIN} and "
            f"{FEWEST_SEARCH} are needed{left_out}: give more rows"
        )
    if metric != "choice":
        return
    known = {row.target for row in divided.train}
    for name in ("final", "search"):
        lacking = [row for row in getattr(divided, name) if row.target not in known]
        if lacking:
            others = len({row.target for row in lacking}) - 1
            more = f" (and {others} more targets)" if others else ""
            raise InputError(
                f"{wanted.train}: the target '{lacking[0].target}'{more} of {name} row {lacking[0].number} never "
                "occurs in the training rows: add rows that have it, remove those, or use --metric exact"
            )


def _shares(divided: Divided) -> dict[str, float]:
    """Which share of the rows' hashes each split has; the final rows' is None where they are a file of their own."""
    final, search = dividing.FINAL_SHARE, dividing.SEARCH_SHARE
    rest = 1.0 - search - (final if divided.by_hash else 0.0)
    return {"train": round(rest, 6), "search": search, **({"final": final} if divided.by_hash else {})}


def _remarks(document: dict[str, Any], rows: Sequence[Example]) -> list[str]:
    """What a user should think about."""
    told = []
    if document["scored"]["search"] < FEW_SEARCH:
        told.append(
            f"only {document['scored']['search']} search items: trials that differ by less than "
            f"{100 * noise_floor(document['scored']['search']):.0f} points cannot be told apart"
        )
    told += _of_labels(document["labels"] or ())
    told += _of_lengths(document["tokens"], rows)
    broken = sum("\ufffd" in row.input or "\ufffd" in row.target for row in rows)
    if broken:
        told.append(f"{broken} rows hold U+FFFD, the mark of a broken encoding: save the file anew from its source")
    if document["majority"]["share"] > 0.8:
        told.append("one target makes most of the final items: a model that always says it seems good")
    return told


def _of_labels(labels: Sequence[dict[str, Any]]) -> list[str]:
    told = []
    rare = [each["label"] for each in labels if each["train"] < 5]
    if rare:
        told.append(f"{len(rare)} labels have fewer than 5 training rows, such as '{rare[0]}'")
    folded: dict[str, list[str]] = {}
    for each in labels:
        folded.setdefault(fold(each["label"]), []).append(each["label"])
    alike = [names for names in folded.values() if len(names) > 1]
    if alike:
        shown = " and ".join(f"'{name}'" for name in alike[0])
        told.append(f"{shown} differ in case or marks alone and are two labels: if one is meant, write it one way")
    return told


def _of_lengths(tokens: dict[str, Any], rows: Sequence[Example]) -> list[str]:
    told = []
    longest = tokens["prompt"]["longest"] + tokens["answer"]["longest"]
    if longest > writing.MOST_LENGTH:
        told.append(
            f"the longest training row has about {longest:,} tokens: rows of more than {writing.MOST_LENGTH:,} are "
            "left out of training (`max_length` in recipe.yaml)"
        )
    breaks = [(row.input.count("\n"), row.number) for row in rows]
    many = [number for lines, number in breaks if lines >= MANY_BREAKS]
    if 0 < len(many) <= max(1, len(rows) // 100) and median(lines for lines, _ in breaks) == 0:
        told.append(
            f"row {min(many)} has more than {MANY_BREAKS} lines where most have one ({len(many)} such rows): is a "
            "quote opened there that closes too late?"
        )
    return told
