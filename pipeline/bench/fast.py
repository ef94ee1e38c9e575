"""`bench fast`: what each of the trainer's options for a CPU gains, in seconds to the accuracy that stock TRL reaches.

All sides train a LoRA in float32 at a constant rate on the user's rows, in processes of their own, one after the other,
each for the same seconds. TRL's trainer runs at several rates; ours, with each option alone and with all together, at
the one that was best for TRL. The clock stands still while held-out rows are looked at. `later trial` is the trial
before it again, with what that one kept: a search trains on the same rows in trial after trial.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.bench.fresh import measured
from pipeline.bench.results import BENCH_FILE, Document, ground, ground_text, write
from pipeline.errors import InputError
from pipeline.executors import local
from pipeline.jobs import JOB, OUTCOME
from pipeline.paths import digest, plain, read_json, write_json, write_jsonl
from pipeline.reporting.blocks import Page, Table
from pipeline.rowfiles import read_rows

TRAIN, TEST = "train.jsonl", "test.jsonl"
MARKS = 4  # looks at the held-out rows, evenly spread over the seconds
HOMES, AGAIN = "homes", "later trial"  # cache folders by option; the end of a side's name that takes what is there
PLAIN: dict[str, Any] = {"layers": "all", "logits": "all", "prefix": "apart", "streams": "one"}  # no option for speed
STEPS_PER_SECOND = 200  # more than any model takes: the seconds end a side, not its steps
OPTIONS = ("layers", "logits", "prefix", "streams", "sorted", "small", "kept", "together")
SECONDS = {"wall": "s", "cpu": "CPU seconds"}
STOCK, OURS = "pipeline.bench.fast_sides.stock", "pipeline.bench.fast_sides.ours"
WARM = ("pipeline.trainers.sft",)
Row = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    model: str
    model_path: str
    seconds: float  # of training, each side
    rates: tuple[float, ...]  # that TRL's trainer tries
    options: tuple[str, ...] = OPTIONS
    batch_size: int = 8
    layers: str | int = "upper_half"
    sort_window: int = 16
    items: int = 100  # held-out rows
    clock: str = "wall"  # or cpu: all threads' seconds, which others on the machine do not lengthen
    seed: int = 0


def rows_from(path: Path, columns: tuple[str, str]) -> list[Row]:
    """Conversations of one question and one answer. Raises DataError or InputError naming what is missing."""
    found = []
    for number, row in enumerate(read_rows(path), start=1):
        missing = [name for name in columns if row.get(name) in (None, "")]
        if missing:
            raise InputError(f"{path}, row {number}: no {missing[0]}: its columns are {', '.join(map(str, row))}")
        asked, told = (str(row[name]) for name in columns)
        found.append({"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": told}]})
    return found


def run(plan: Plan, train: list[Row], test: list[Row], threads: int, out: Path, told: Callable[..., None]) -> Document:
    """Measure all sides below `out`; those that are there already are not measured again."""
    if not (out / BENCH_FILE).is_file():
        write_json(out / BENCH_FILE, {"kind": "fast"})  # so that the same command goes on after an interruption
    write_jsonl(out / TRAIN, train)
    write_jsonl(out / TEST, test)
    sides = _Sides(_common(plan, digest([train, test]), threads, out), out, threads, told)
    try:
        for rate in plan.rates:
            sides.measure(f"trl {rate:g}", STOCK, rate=rate)
        best = best_rate(plan, sides.found)
        sides.measure("plain", OURS, rate=best, params=PLAIN, home="plain")
        for option in plan.options:
            for name, params in variants(plan)[option].items():
                sides.measure(name, OURS, rate=best, params=params, home=option)
    finally:
        sides.executor.close()
    document = {
        **ground(), "kind": "fast", **plain(asdict(plan)), "threads": threads, "best_rate": best,
        "reference": f"trl {best:g}", "sides": sides.found, "seconds_to_equal": to_equal(sides.found, f"trl {best:g}"),
    }  # fmt: skip
    return write(out, document, page)


def _common(plan: Plan, rows: str, threads: int, out: Path) -> dict[str, Any]:
    """What all sides are told."""
    return {
        "rows": rows,
        "folder": str(out.absolute()),
        "threads": threads,
        "marks": [plan.seconds * (mark + 1) / MARKS for mark in range(MARKS)],
        "steps": max(1, round(STEPS_PER_SECOND * plan.seconds)),
        **{name: getattr(plan, name) for name in ("model_path", "batch_size", "items", "clock", "seed")},
    }


class _Sides:
    """Measures one side after the other, each in a process of its own."""

    def __init__(self, common: dict[str, Any], out: Path, threads: int, told: Callable[..., None]) -> None:
        self.common, self.out, self.threads, self.told = common, out, threads, told
        self.executor = local.create(1, threads, WARM)
        self.found: dict[str, dict[str, Any]] = {}

    def measure(self, name: str, call: str, **more: Any) -> None:
        """What came of a side, measured now unless it was before, on the same rows."""
        self.told(f"side {len(self.found) + 1}: {name}")
        folder, work = self.out / name.replace(", ", "-").replace(" ", "-"), {**self.common, **more}
        if not (folder / OUTCOME).is_file() or read_json(folder / JOB) != plain(work):
            (folder / OUTCOME).unlink(missing_ok=True)
            if not name.endswith(AGAIN):  # what an interrupted attempt kept is no part of a first trial
                shutil.rmtree(self.out / HOMES / more.get("home", name), ignore_errors=True)
            measured(self.executor, folder, call, work, self.threads)
        self.found[name] = read_json(folder / OUTCOME)


def variants(plan: Plan) -> dict[str, dict[str, dict[str, Any]]]:
    """By option the sides that show it, each with its parameters; what is not named is as in the plain side."""
    kept = {**PLAIN, "layers": plan.layers, "lower_outputs": "kept"}
    together = {"layers": plan.layers, "lower_outputs": "kept", "sort_window": plan.sort_window}
    return {
        "layers": {"upper layers": {**PLAIN, "layers": plan.layers}},
        "logits": {"answer logits": _without("logits")},
        "prefix": {"prefix shared": _without("prefix")},
        "streams": {"rows side by side": _without("streams")},
        "sorted": {"sorted": {**PLAIN, "sort_window": plan.sort_window}},
        "small": {"as small recipes": {"layers": plan.layers, "sort_window": plan.sort_window}},
        "kept": {"kept, first trial": kept, "kept, later trial": kept},
        "together": {"together, first trial": together, "together, later trial": together},
    }


def _without(option: str) -> dict[str, Any]:
    """The plain side but for one option, which is as it is by default."""
    return {name: value for name, value in PLAIN.items() if name != option}


def best_rate(plan: Plan, sides: dict[str, dict[str, Any]]) -> float:
    """The rate at which TRL's trainer ends best: by accuracy, then by loss."""
    ends = {rate: sides[f"trl {rate:g}"]["looks"][-1] for rate in plan.rates}
    return max(plan.rates, key=lambda rate: (ends[rate]["accuracy"], -ends[rate]["loss"]))


def to_equal(sides: dict[str, dict[str, Any]], reference: str) -> dict[str, dict[str, float | None]]:
    """Seconds in which each side reaches the accuracy, and the loss, that the reference ended with."""
    end = sides[reference]["looks"][-1]
    return {
        name: {
            "accuracy": reached(side["looks"], lambda look: look["accuracy"] - end["accuracy"]),
            "loss": reached(side["looks"], lambda look: end["loss"] - look["loss"]),
        }
        for name, side in sides.items()
    }


def reached(looks: Sequence[dict[str, float]], lead: Callable[[dict[str, float]], float]) -> float | None:
    """When `lead` first became 0 or more, on the line between two looks; None: never."""
    for before, now in zip([None, *looks], looks, strict=False):
        if lead(now) < 0:
            continue
        if before is None:
            return now["seconds"]
        share = -lead(before) / (lead(now) - lead(before))
        return before["seconds"] + share * (now["seconds"] - before["seconds"])
    return None


# ---------------------------------------------------------------- page


def page(document: Document) -> Page:
    """The document in words."""
    sides, equal = document["sides"], document["seconds_to_equal"]
    reference = document["reference"]
    rows = tuple(
        (
            name,
            f"{side['tokens_per_second']:,.0f}",
            *(f"{side['looks'][-1][what]:.3f}" for what in ("accuracy", "loss")),
            *(_seconds(equal[name][what]) for what in ("accuracy", "loss")),
            _times(equal[reference]["loss"], equal[name]["loss"]),
        )
        for name, side in sides.items()
    )
    last = list(sides)[-1]
    return Page(
        title="Options for a CPU, and stock TRL",
        subtitle=f"{document['model']}, {document['seconds']:g} {SECONDS[document['clock']]} of training a side, "
        f"batch {document['batch_size']}, LoRA, float32, rate {document['best_rate']:g}, "
        f"{document['items']} held-out rows, one seed, "
        f"{document['threads']} threads; {ground_text(document)}",
        headline=f"{_times(equal[reference]['loss'], equal[last]['loss'])} times",
        caption=f"as fast as TRL's SFTTrainer at its best rate to the same held-out loss: {last}.",
        warning="",
        blocks=(
            Table(
                title="Each option alone and together, one after the other",
                header=("", "tokens/s", "accuracy", "loss", "s to TRL's accuracy", "s to TRL's loss", "times faster"),
                rows=rows,
                note="accuracy: share of held-out answers that greedy decoding gives whole; loss: per token of these "
                "answers; both at the end; times faster: by loss",
            ),
        ),
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _times(reference: float | None, other: float | None) -> str:
    return "-" if not reference or not other else f"{reference / other:.2f}"
