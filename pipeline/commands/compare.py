"""`posttrain compare A B`: the paired difference of two checkpoints, and the items on which they differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline import console
from pipeline.commands import options
from pipeline.commands.evaluate import estimate, evaluate_all, judging_facts, judging_text, strict, write_items

SHOWN = 10  # items on which the two differ, in the table


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A Hub id, a local folder (or adapter), a lab model.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The one it is compared with.")],
    benchmark: options.Benchmarks,
    split: options.Split = "search",
    limit: options.Limit = None,
    engine: Annotated[str, typer.Option(metavar="E", help="What generates: see `posttrain list engines`.")] = "hf",
    lab_seed: options.LabSeed = 0,
    judge: options.JudgeName = None,
    judge_budget: options.JudgeBudget = None,
    out: options.ItemsOut = None,
    as_json: options.Json = False,
) -> None:
    """Compare two models on the same items.

    \b
    Example:
      posttrain compare lab/qwen3 lab/qwen3-base --benchmark tiny_gsm8k
    """
    from pipeline import models

    names, wanted = options.benchmarks(benchmark, first), {"a": first, "b": second}
    judges = options.judges(names, options.judge(judge, judge_budget))
    for name in wanted.values():
        models.check(name)
    options.plugin("engines", engine, "--engine")
    folder = options.new_folder(out, f"comparison-{Path(first).name}-{Path(second).name}")
    progress = console.Progress()
    with console.stdout_kept_clean():
        estimate(judges, split, lab_seed, limit, len(wanted), progress.say)
        folders = {role: models.resolve(name, lab_seed, progress) for role, name in wanted.items()}
        engines: dict[str, tuple[str, dict[str, Any]]] = {role: (engine, {}) for role in wanted}
        found = evaluate_all(judges, folders, split, lab_seed, limit, engines, progress)
        path = write_items(folder, found, private=split == "final")
    rows = [difference(name, by_role["a"], by_role["b"]) for name, by_role in found.items()]
    document = {"a": first, "b": second, "split": split, "benchmarks": rows, "items": path.absolute()}
    if judged := judging_facts(found):
        document["judging"] = judged
    if as_json:
        console.document(document)
    else:
        print(as_text(document))


def difference(benchmark: str, a: Any, b: Any) -> dict[str, Any]:
    """b's score less a's, paired by item: 95% bootstrap interval, p by exact McNemar or sign flips, differing items."""
    from pipeline import gain, noise

    a_n, b_n = strict(a), strict(b)
    points = gain.gain_points(b_n, a_n)
    differing = [
        {"id": item["id"], "a": item["strict"], "b": other["strict"]}
        for item, other in zip(a.items, b.items, strict=True)
        if item["strict"] != other["strict"]
    ]
    return {
        "benchmark": benchmark, "metric": a.score.metric, "n": a.score.n, "a": a.score.value, "b": b.score.value,
        "difference_points": points, "p": noise.paired_test(a_n, b_n), "differing": differing,
    }  # fmt: skip


def as_text(document: dict[str, Any]) -> str:
    """The differences as a table, and the first items on which the two differ."""
    lines = [f"A  {document['a']}", f"B  {document['b']}", ""]
    lines.append(
        f"{'benchmark':18}      A      B   B - A, points           p     items, differing  ({document['split']} split)"
    )
    for row in document["benchmarks"]:
        points = row["difference_points"]
        interval = f"{points.value:+.1f} [{points.low:+.1f}, {points.high:+.1f}]"
        lines.append(
            f"{row['benchmark']:18} {row['a']:6.3f} {row['b']:6.3f}   {interval:22}  {row['p']:<8.2g}"
            f" {row['n']:4}, {len(row['differing'])}"
        )
    for row in document["benchmarks"]:
        for better, other in (("b", "a"), ("a", "b")):
            ids = [item["id"] for item in row["differing"] if item[better] > item[other]]
            if ids:
                more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
                lines.append(f"{row['benchmark']}: {better.upper()} is better on {', '.join(ids[:SHOWN])}{more}")
    lines += map(judging_text, document.get("judging", []))
    return "\n".join([*lines, f"per-item results: {document['items']}"])
