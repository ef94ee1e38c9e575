"""`posttrain anchors`: what base, few-shot base and instruct score under this harness, measured once and kept."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline import console
from pipeline.commands import options
from pipeline.commands.scoring import by_lab, check_items, estimate

if TYPE_CHECKING:
    from pipeline.types import Benchmark

LABELS = {"base": "base", "base_few_shot": "base, few-shot", "instruct": "instruct"}
FinalFirst = Annotated[options.SplitName, typer.Option("--split", help="Items to score on.")]


def anchors(
    model: options.Model,
    benchmark: options.Benchmarks,
    instruct: options.Instruct = None,
    family: options.Family = "auto",
    split: FinalFirst = "final",
    limit: options.Limit = None,
    again: Annotated[bool, typer.Option("--again", help="Measure even what is kept already.")] = False,
    lab_seed: options.LabSeed = 0,
    protocol: options.Protocol = "own",
    judge: options.JudgeName = None,
    judge_budget: options.JudgeBudget = None,
    allow_unsafe_code: Annotated[bool, typer.Option(help="Run model-written code even without a sandbox.")] = False,
    yes: options.Yes = False,
    as_json: options.Json = False,
) -> None:
    """Measure what results are compared with, once, and keep it.

    The base, the base after worked examples and its instruct-tuned sibling are scored as a search scores them, which
    takes them from here. Beside them stands what was published, where something was.

    \b
    Example:
      posttrain anchors --model lab/qwen3-base --benchmark tiny_gsm8k
    """
    from pipeline import judging, models, protocols
    from pipeline.sandbox.guests import ALLOW
    from pipeline.types import ItemsKey

    if allow_unsafe_code:
        os.environ[ALLOW] = "1"
    names = options.benchmarks(benchmark, model, protocol)
    shelf = [protocols.benchmark(name, protocol) for name in names]
    judged_by = options.judge(judge, judge_budget)
    judging.judged(shelf, judged_by)
    models.check(model)
    instruct = instruct or models.sibling(model)
    if instruct is not None:
        models.check(instruct)
    progress = console.Progress()
    with console.stdout_kept_clean():
        check_items(shelf, split, lab_seed, limit)
        estimate(shelf, judged_by, split, lab_seed, limit, len(LABELS), progress.say)
        wanted = {"base": model, "instruct": instruct} if instruct else {"base": model}
        kind = options.family(family)
        asked: dict[str, Any] = {
            "protocol": protocols.address(protocol), "judge": judged_by, "role": split, "limit": limit,
            "key": ItemsKey(lab_seed=lab_seed),
        }  # fmt: skip
        by_name = dict(zip(names, shelf, strict=True))
        rows: list[dict[str, Any]] = []
        try:
            for part in by_lab(shelf, wanted.values()):
                here = {role: models.address(name, part[0]) for role, name in wanted.items()}
                folders = {wanted[role]: path for role, path in models.folders(here, lab_seed, progress, kind).items()}
                mine = {name: each for name, each in by_name.items() if each in part}
                rows += measure_all(mine, model, instruct, folders, asked, again, progress)
        except KeyboardInterrupt:
            raise console.Interrupted("what was measured is kept: start the same command again") from None
    progress.close()
    document = {"model": model, "instruct": instruct, "split": split, "anchors": rows}
    if as_json:
        console.document(document)
    else:
        print(as_text(document))


def measure_all(
    shelf: dict[str, Benchmark], model: str, instruct: str | None, folders: dict[str, Path], asked: dict[str, Any],
    again: bool, progress: console.Progress,
) -> list[dict[str, Any]]:  # fmt: skip
    """A row per benchmark, by the name it was asked for, and anchor; `asked` is what all their jobs have in common."""
    from pipeline import anchors as kept
    from pipeline import machine, published
    from pipeline.jobs import EvaluateJob

    threads, rows = machine.cached().threads, []
    for name, benchmark in shelf.items():
        known = published.scores(benchmark, model)
        of = [("base", model, 0), ("base_few_shot", model, benchmark.few_shot), ("instruct", instruct, 0)]
        for anchor, who, few_shot in of:
            if who is None:
                continue
            path = str(folders[who])
            job = EvaluateJob(model_path=path, benchmark=name, few_shot=few_shot, **asked)
            told = partial(progress, f"{benchmark.name}: {LABELS[anchor]}, {job.role} split")
            told()
            found, _, was_kept = kept.measured(job, who, threads, again, partial(_score, told), progress)
            rows.append(row(benchmark, anchor, who, found, was_kept, known.get(anchor)))
    return rows


def _score(told: Callable[[float], None], folder: Path) -> None:
    """Score in this process, with as many threads as the machine is fast with."""
    import torch

    from pipeline import evaluate, machine

    torch.set_num_threads(machine.cached().threads)
    evaluate.main(folder, told)


def row(benchmark: Any, anchor: str, model: str, found: Any, was_kept: bool, published: Any) -> dict[str, Any]:
    """One anchor: measured, published, and how far they are apart (measured less published, in [-1, 1])."""
    from pipeline.published import scope

    apart = None if published is None else found.score.value - published.value
    error = None if published is None else math.hypot(found.score.stderr, published.stderr)
    return {
        "benchmark": benchmark.name,
        "anchor": anchor,
        "model": model,
        "few_shot": found.few_shot,
        "measured": found.score,
        "kept": was_kept,
        "measured_at": found.measured_at,
        "seconds": found.cost.seconds,
        "published": published,
        "published_source": benchmark.anchors.source if published is not None else None,
        "published_note": benchmark.anchors.note if published is not None else None,
        "published_scope": scope(benchmark, found.score) if published is not None else None,
        "difference": apart,
        "difference_stderr": error,
    }


def as_text(document: dict[str, Any]) -> str:
    """A table per benchmark, and where its numbers are from."""
    rows, lines = document["anchors"], []
    for name in dict.fromkeys(each["benchmark"] for each in rows):
        own = [each for each in rows if each["benchmark"] == name]
        score = own[0]["measured"]
        lines.append(f"{document['model']} on {name}: {score.n} items of the {document['split']} split, {score.metric}")
        lines.append(f"  {'':14}  measured     +-  published     +-  difference, points")
        lines += [_line(each) for each in own]
        lines += _notes(own)
    if document["instruct"] is None:
        lines.append(f"no instruct model is known to belong to {document['model']}: name it with --instruct")
    return "\n".join(lines)


def _line(each: dict[str, Any]) -> str:
    measured, published = each["measured"], each["published"]
    told = f"  {LABELS[each['anchor']]:14}  {measured.value:8.3f} {measured.stderr:6.3f}"
    if published is None:
        return f"{told}  {'-':>9}"
    apart = f"{100 * each['difference']:+.1f} +- {100 * each['difference_stderr']:.1f}"
    return f"{told}  {published.value:9.3f} {published.stderr:6.3f}  {apart}"


def _notes(own: list[dict[str, Any]]) -> list[str]:
    from pipeline import published

    measured = [each for each in own if not each["kept"]]
    days = sorted({time.strftime("%Y-%m-%d", time.localtime(each["measured_at"])) for each in own})
    seconds = sum(each["seconds"] for each in measured)
    told = f"  {len(measured)} measured now in {console.duration(seconds)}" if measured else "  none measured now"
    if len(measured) < len(own):
        told += f", {len(own) - len(measured)} kept since {days[0]} (--again measures anew)"
    told_by = next((each for each in own if each["published"] is not None), None)
    if told_by is None:
        return [told]
    source = f"published: {told_by['published_source']}. {told_by['published_note']}"
    return [told, *(f"  {line}" for line in (source, told_by["published_scope"], published.DIFFER) if line)]
