"""`posttrain compare A B`: the paired difference of two checkpoints, and the items on which they differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline import console
from pipeline.commands import options
from pipeline.commands.evaluated import judging_facts, judging_text
from pipeline.commands.scoring import RECORDED, Found, by_lab, check_items, estimate, evaluate_all, strict, write_items
from pipeline.errors import InputError

SHOWN = 10  # items on which the two differ, in the table


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help=f"Or an adapter's folder: {options.MODEL}")],
    second: Annotated[str, typer.Argument(metavar="B", help="The one it is compared with.")],
    benchmark: options.Benchmarks,
    split: options.Split = "search",
    limit: options.Limit = None,
    engine: Annotated[str, typer.Option(metavar="E", help="What generates: see `posttrain list engines`.")] = "hf",
    base: options.AdapterBase = None,
    family: options.Family = "auto",
    thinking: options.Thinking = False,
    lab_seed: options.LabSeed = 0,
    protocol: options.Protocol = "own",
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    repeats: options.Repeats = None,
    judge: options.JudgeName = None,
    judge_budget: options.JudgeBudget = None,
    out: options.ItemsOut = None,
    yes: options.Yes = False,
    as_json: options.Json = False,
) -> None:
    """Compare two models on the same items, decoded alike.

    \b
    Example:
      posttrain compare lab/qwen3 lab/qwen3-base --benchmark tiny_gsm8k
    """
    from pipeline import judging, models, protocols

    if engine.partition(":")[0] == RECORDED:  # one file cannot hold the answers of two models
        way = "`posttrain evaluate` each file of answers by itself"
        raise InputError(f"--engine {engine}: compare lets both models answer; {way}")
    names, wanted = options.benchmarks(benchmark, first, protocol), {"a": first, "b": second}
    shelf = options.decoded(names, protocol, temperature, top_p, repeats)
    judged_by = options.judge(judge, judge_budget)
    judging.judged(shelf, judged_by)
    for name in filter(None, (*wanted.values(), base)):
        models.check(name)
    options.plugin("engines", engine, "--engine")
    family, chosen = options.family(family), options.thinking(thinking, engine)
    folder = options.new_folder(out, f"comparison-{Path(first).name}-{Path(second).name}")
    progress = console.Progress()
    with console.stdout_kept_clean():
        check_items(shelf, split, lab_seed, limit)
        estimate(shelf, judged_by, split, lab_seed, limit, len(wanted), progress.say)
        engines, named = dict.fromkeys(wanted, (engine, chosen)), wanted | ({"base": base} if base else {})
        found: Found = {}
        for part in by_lab(shelf, named.values()):
            here = {role: models.address(name, part[0]) for role, name in named.items()}
            folders = models.folders(here, lab_seed, progress, family)
            folders.pop("base", None)
            found |= evaluate_all(part, folders, split, lab_seed, limit, engines, progress, judged_by)
        found = {each.name: found[each.name] for each in shelf}
        progress("done")
        path = write_items(folder, found, private=split == "final")
    rows = [difference(name, by_role["a"], by_role["b"]) for name, by_role in found.items()]
    terms = {"split": split, "protocol": protocols.name_of(protocol)}
    document = {"a": first, "b": second, **terms, "benchmarks": rows, "items": path.absolute()}
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
    named = max(len(name) for name in ("benchmark", *(row["benchmark"] for row in document["benchmarks"])))
    lines.append(
        f"{'benchmark':{named}}      A      B   B - A, points           p     items, differing"
        f"  ({document['split']} split)"
    )
    for row in document["benchmarks"]:
        points = row["difference_points"]
        interval = f"{points.value:+.1f} [{points.low:+.1f}, {points.high:+.1f}]"
        lines.append(
            f"{row['benchmark']:{named}} {row['a']:6.3f} {row['b']:6.3f}   {interval:22}  {row['p']:<8.2g}"
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
