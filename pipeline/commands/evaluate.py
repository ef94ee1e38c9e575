"""`posttrain evaluate`: a checkpoint's scores, and its fraction of the human gain, under a search's own rules."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline import console
from pipeline.commands import options
from pipeline.errors import InputError

RECORDED = "recorded"
Rows = dict[str, list[dict[str, Any]]]  # per-item results by what they are of: model, base, instruct


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A Hub id, a local folder (or adapter), a lab model.")],
    benchmark: options.Benchmarks,
    split: options.Split = "search",
    base: Annotated[str | None, typer.Option(metavar="M", help="Base model, for the fraction.")] = None,
    instruct: options.Instruct = None,
    anchors: options.Anchors = "measured",
    limit: options.Limit = None,
    engine: Annotated[str, typer.Option(metavar="E", help="What generates: see `posttrain list engines`.")] = "hf",
    lab_seed: options.LabSeed = 0,
    allow_unsafe_code: Annotated[bool, typer.Option(help="Run model-written code even without a sandbox.")] = False,
    out: options.ItemsOut = None,
    as_json: options.Json = False,
) -> None:
    """Score a model on benchmarks, by a search's own rules.

    With --base and --instruct also the fraction of the human gain; --anchors published takes their scores from
    benchmark.yaml, where published ones are, and needs no --instruct.

    \b
    Examples:
      posttrain evaluate lab/qwen3 --benchmark tiny_gsm8k --limit 100
      posttrain evaluate ./mine --benchmark gsm8k --split final --base Qwen/Qwen3-1.7B-Base --anchors published
    """
    from pipeline import models
    from pipeline.sandbox.guests import ALLOW

    if allow_unsafe_code:
        os.environ[ALLOW] = "1"
    names = options.benchmarks(benchmark, model)
    published = published_anchors(names, base, instruct) if anchors == "published" else {}
    if not published and (base is None) != (instruct is None):
        raise InputError("--base and --instruct: the fraction needs both; give both or neither")
    named = {"model": model} if published else {"model": model, "base": base, "instruct": instruct}
    wanted = {role: name for role, name in named.items() if name is not None}
    engine, _, file = engine.partition(":")  # recorded:FILE
    options.plugin("engines", engine, "--engine")
    looked_up = {"model"} if engine == RECORDED else set()  # MODEL is then a label
    for role, name in wanted.items():
        if role not in looked_up:
            models.check(name)
    folder = options.new_folder(out, f"evaluation-{Path(model).name}")
    progress = console.Progress()
    with console.stdout_kept_clean():
        folders = {
            role: Path(name) if role in looked_up else _resolve(name, role, lab_seed, progress, names, base)
            for role, name in wanted.items()
        }
        engines = {role: (engine, {"file": file}) if role in looked_up else (_plain(engine), {}) for role in wanted}
        found = evaluate_all(names, folders, split, lab_seed, limit, engines, progress)
        path = write_items(folder, found, private=split == "final")
    for name, by_role in published.items():
        found[name] |= by_role
    document = summary(model, found, path)
    if as_json:
        console.document(document)
    else:
        print(as_text(document))


def published_anchors(names: list[str], base: str | None, instruct: str | None) -> dict[str, dict[str, Any]]:
    """The published base, few-shot base and instruct scores by benchmark and role, as evaluations without items."""
    from pipeline import benchmarks, models, published
    from pipeline.evaluate import Evaluation

    if base is None:
        raise InputError(f"{published.FLAG}: name the base model with --base")
    loaded = [benchmarks.load_benchmark(name) for name in names]
    known = {each.name: published.require(each, base, instruct, models.sibling(base)) for each in loaded}
    return {
        name: {role: Evaluation(score, [], 0.0) for role, score in scores.items()} for name, scores in known.items()
    }


def _resolve(
    name: str, role: str, lab_seed: int, progress: console.Progress, names: list[str], base: str | None
) -> Path:
    """A model's folder; an anchor that cannot be had is refused with the flag that takes a published one instead."""
    from pipeline import benchmarks, models, published

    try:
        return models.resolve(name, lab_seed, progress)
    except InputError as error:
        if role == "model":
            raise
        raise published.instead(error, [benchmarks.load_benchmark(each) for each in names], base) from None


def _plain(engine: str) -> str:
    """The engine for models that are scored beside recorded answers."""
    return "hf" if engine == RECORDED else engine


def evaluate_all(
    names: list[str], folders: dict[str, Path], split: options.Split, lab_seed: int, limit: int | None,
    engines: dict[str, tuple[str, dict[str, Any]]], progress: Callable[..., None],
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """An `Evaluation` by benchmark and role."""
    from pipeline import benchmarks, evaluate, machine
    from pipeline.types import ItemsKey

    threads, key = machine.cached().threads, ItemsKey(lab_seed=lab_seed)
    progress("importing torch and lm-eval")
    import torch

    torch.set_num_threads(threads)
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        benchmark = benchmarks.load_benchmark(name)
        items = benchmarks.items(benchmark, split, key, limit)
        for role, folder in folders.items():
            progress(f"{benchmark.name}: scoring {role} on {len(items)} {split} items")
            engine, chosen = engines[role]
            scored = evaluate.evaluate(folder, benchmark, items, split, key=key, engine=engine, **chosen)
            found.setdefault(benchmark.name, {})[role] = scored
    progress("done")
    return found


def write_items(folder: Path, found: dict[str, dict[str, Any]], private: bool) -> Path:
    """All per-item results in one file, each naming its benchmark and whose answer it is."""
    from pipeline.paths import write_jsonl

    rows = [
        {"benchmark": name, "of": role, **item}
        for name, by_role in found.items()
        for role, scored in by_role.items()
        for item in scored.items
    ]
    path = folder / "items.jsonl"
    write_jsonl(path, rows, mode=0o600 if private else 0o666)
    return path


def summary(model: str, found: dict[str, dict[str, Any]], path: Path) -> dict[str, Any]:
    """What `--json` prints: the model's scores, and the fraction where base and instruct were scored, too."""
    document: dict[str, Any] = {
        "model": model,
        "scores": [by_role["model"].score for by_role in found.values()],
        "items": path.absolute(),
    }
    if all("instruct" in by_role for by_role in found.values()):
        document |= {
            "base": [by_role["base"].score for by_role in found.values()],
            "instruct": [by_role["instruct"].score for by_role in found.values()],
            **fraction(found),
        }
        if all("base_few_shot" in by_role for by_role in found.values()):
            document["base_few_shot"] = [by_role["base_few_shot"].score for by_role in found.values()]
    return document


def fraction(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The fraction over all benchmarks, by their weights, with its interval; null with the reason within noise."""
    from pipeline import benchmarks, gain

    weights = {name: benchmarks.load_benchmark(name).weight for name in found}
    if any(scored.score.source == "published" for by_role in found.values() for scored in by_role.values()):
        return {"anchors": "published", **published_fraction(found, weights)}
    cells = [gain.Cell("model", name, **{_column(role): strict(by_role[role]) for role in by_role})
             for name, by_role in found.items()]  # fmt: skip
    result = gain.matrix_fraction(cells, weights)
    return {"anchors": "measured", "fraction": result.interval, "fraction_why": result.why}


def published_fraction(found: dict[str, dict[str, Any]], weights: dict[str, float]) -> dict[str, Any]:
    """The fractions over published anchors, from scores and their errors, and what a reader has to know of them."""
    from pipeline import benchmarks, gain, published

    scores = {name: {role: scored.score for role, scored in by_role.items()} for name, by_role in found.items()}
    told = [
        line for name in found for line in published.explained(benchmarks.load_benchmark(name), scores[name]["model"])
    ]
    result: dict[str, Any] = {"anchors_note": [*told, published.DIFFER, published.COVERED]}
    for key, floor in (("fraction", "base"), ("fraction_over_few_shot", "base_few_shot")):
        if all(floor in by_role for by_role in scores.values()):
            cells = [
                gain.ScoreCell("model", name, *(_pair(by_role[role]) for role in ("model", floor, "instruct")))
                for name, by_role in scores.items()
            ]
            over = gain.matrix_fraction_of_scores(cells, weights, over=floor.replace("_", " "))
            result |= {key: over.interval, f"{key}_why": over.why}
    return result


def _pair(score: Any) -> tuple[float, float]:
    return score.value, score.stderr


def _column(role: str) -> str:
    return "best" if role == "model" else role


def strict(evaluation: Any) -> Any:
    """Strict per-item scores as an array."""
    import numpy as np

    return np.array([item["strict"] for item in evaluation.items], float)


def as_text(document: dict[str, Any]) -> str:
    """The scores as a table."""
    labels = {"scores": document["model"], "base": "base", "base_few_shot": "base, few-shot", "instruct": "instruct"}
    width = max(map(len, labels.values()))
    lines = [f"{'':{width}}  {'benchmark':16}  {'strict':>6} {'+-':>6}  lenient  stops  items  metric"]
    for role, label in labels.items():
        for score in document.get(role, []):
            stops = "-" if score.stops is None else f"{score.stops:.2f}"
            lenient = "-" if score.lenient is None else f"{score.lenient:.3f}"
            whence = "published" if score.source == "published" else f"{score.role} split"
            lines.append(
                f"{label:{width}}  {score.benchmark:16}  {score.value:6.3f} {score.stderr:6.3f}  {lenient:>7}"
                f"  {stops:>5}  {score.n or '-':>5}  {score.metric}, {whence}"
            )
    if document.get("fraction"):
        found = document["fraction"]
        lines.append(f"fraction of the human gain  {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]")
    elif "fraction" in document:
        lines.append(f"no fraction: {document['fraction_why']}")
    if document.get("fraction_over_few_shot"):
        found = document["fraction_over_few_shot"]
        lines.append(f"the same over the few-shot base  {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]")
    lines += [f"  {line}" for line in document.get("anchors_note", [])]
    return "\n".join([*lines, f"per-item results: {document['items']}"])
