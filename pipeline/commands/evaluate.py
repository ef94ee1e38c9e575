"""`posttrain evaluate`: a checkpoint's scores, and its fraction of the human gain, under a search's own rules."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline import console
from pipeline.commands import options, terms

if TYPE_CHECKING:
    from pipeline.types import Benchmark

RECORDED = "recorded"
Rows = dict[str, list[dict[str, Any]]]  # per-item results by what they are of: model, base, instruct


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A Hub id, a local folder (or adapter), a lab model.")],
    benchmark: options.Benchmarks,
    split: options.Split = "search",
    base: Annotated[str | None, typer.Option(metavar="M", help="For the fraction; or an adapter's base.")] = None,
    instruct: options.Instruct = None,
    family: options.Family = "auto",
    thinking: options.Thinking = False,
    limit: options.Limit = None,
    engine: Annotated[str, typer.Option(metavar="E", help="What generates: see `posttrain list engines`.")] = "hf",
    lab_seed: options.LabSeed = 0,
    protocol: options.Protocol = "own",
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    repeats: options.Repeats = None,
    allow_unsafe_code: Annotated[bool, typer.Option(help="Run model-written code even without a sandbox.")] = False,
    out: options.ItemsOut = None,
    as_json: options.Json = False,
) -> None:
    """Score a model on benchmarks, by a search's own rules.

    With --base and --instruct also the fraction of the human gain. All models are decoded alike: greedily, unless
    the benchmark, a protocol or an option says otherwise. What the model's own generation_config.json would bring the
    base is scored beside it where the two differ. MODEL may be a PEFT adapter's folder; --base alone names the base
    that it sits on, where its own configuration names one that is not here.

    \b
    Example:
      posttrain evaluate lab/qwen3 --benchmark tiny_gsm8k --limit 100 --repeats 5
    """
    from pipeline import chat, models
    from pipeline.errors import InputError
    from pipeline.sandbox.guests import ALLOW

    if allow_unsafe_code:
        os.environ[ALLOW] = "1"
    is_adapter = chat.named_base(Path(model).expanduser()) is not None
    if (base is None) != (instruct is None) and not (base and is_adapter):
        raise InputError("--base and --instruct: the fraction needs both; give both or neither")
    shelf = options.decoded(options.benchmarks(benchmark, model, protocol), protocol, temperature, top_p, repeats)
    family = options.family(family)
    named = {"model": model, "base": base, "instruct": instruct}
    wanted = {role: name for role, name in named.items() if name is not None}
    engine, _, file = engine.partition(":")  # recorded:FILE
    options.plugin("engines", engine, "--engine")
    plain = (_plain(engine), options.thinking(thinking, _plain(engine)))
    looked_up = {"model"} if engine == RECORDED else set()  # MODEL is then a label
    for role, name in wanted.items():
        if role not in looked_up:
            models.check(name)
    folder = options.new_folder(out, f"evaluation-{Path(model).name}")
    progress = console.Progress()
    with console.stdout_kept_clean():
        labels = {role: Path(name) for role, name in wanted.items() if role in looked_up}
        here = {role: name for role, name in wanted.items() if role not in looked_up}
        folders = labels | models.folders(here, lab_seed, progress, family)
        if instruct is None:
            folders.pop("base", None)  # it was named for the adapter's sake
        recorded = (engine, {"file": file, "all_samples": repeats is None})
        engines = {role: recorded if role in looked_up else plain for role in wanted}
        apart = None if looked_up else terms.configured_as(folders)
        found = evaluate_all(shelf, folders, split, lab_seed, limit, engines, progress, apart)
        path = write_items(folder, found, private=split == "final")
    if ignored := ignored_answers(found):
        progress.say(f"{ignored} recorded answers ignored: they are of another split or benchmark, or beyond --limit")
    document = summary(model, found, path, {each.name: each.weight for each in shelf})
    document |= terms.document(found, shelf, protocol, folders)
    if as_json:
        console.document(document)
    else:
        print(as_text(document, found))


def _plain(engine: str) -> str:
    """The engine for models that are scored beside recorded answers."""
    return "hf" if engine == RECORDED else engine


def evaluate_all(
    shelf: list[Benchmark], folders: dict[str, Path], split: options.Split, lab_seed: int, limit: int | None,
    engines: dict[str, tuple[str, dict[str, Any]]], progress: Callable[..., None], configured_as: Path | None = None,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """An `Evaluation` by benchmark and role; with `configured_as` also the base's under that model's settings."""
    from pipeline import benchmarks, evaluate, machine
    from pipeline.types import ItemsKey

    threads, key = machine.cached().threads, ItemsKey(lab_seed=lab_seed)
    progress("importing torch and lm-eval")
    import torch

    torch.set_num_threads(threads)
    found: dict[str, dict[str, Any]] = {}
    for benchmark in shelf:
        items = benchmarks.items(benchmark, split, key, limit)
        for role, folder in folders.items():
            progress(f"{benchmark.name}: scoring {role} on {len(items)} {split} items")
            engine, chosen = engines[role]
            scored = evaluate.evaluate(folder, benchmark, items, split, key=key, engine=engine, **chosen)
            found.setdefault(benchmark.name, {})[role] = scored
        if configured_as is not None:
            progress(f"{benchmark.name}: scoring base as {configured_as.name}'s generation_config says")
            found[benchmark.name][terms.AS_CONFIGURED] = evaluate.evaluate(
                folders["base"], benchmark, items, split, key=key, engine=engines["base"][0],
                configured_as=configured_as,
            )  # fmt: skip
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


def summary(model: str, found: dict[str, dict[str, Any]], path: Path, weights: dict[str, float]) -> dict[str, Any]:
    """What `--json` prints: scores by strict and by lenient reading, and the fraction where base and instruct are."""
    from pipeline.evaluate import by_reading

    def scores(role: str) -> list[Any]:
        return [score for by_role in found.values() for score in by_reading(by_role[role])]

    document: dict[str, Any] = {"model": model, "scores": scores("model"), "items": path.absolute()}
    if (ignored := ignored_answers(found)) is not None:
        document["ignored_answers"] = ignored
    if all("instruct" in by_role for by_role in found.values()):
        document |= {"base": scores("base"), "instruct": scores("instruct"), **fraction(found, weights)}
    return document


def ignored_answers(found: dict[str, dict[str, Any]]) -> int | None:
    """How many recorded answers no item of any benchmark asked for; None if the answers were not recorded ones."""
    unused = [by_role["model"].unused for by_role in found.values()]
    return None if None in unused else len(frozenset.intersection(*unused))


def fraction(found: dict[str, dict[str, Any]], weights: dict[str, float]) -> dict[str, Any]:
    """The fraction over all benchmarks, by their weights, with its interval; null with the reason within noise."""
    from pipeline import gain

    cells = [gain.Cell("model", name, *(strict(by_role[role]) for role in ("model", "base", "instruct")))
             for name, by_role in found.items()]  # fmt: skip
    result = gain.matrix_fraction(cells, weights)
    return {"fraction": result.interval, "fraction_why": result.why}


def strict(evaluation: Any) -> Any:
    """Strict per-item scores as an array."""
    import numpy as np

    return np.array([item["strict"] for item in evaluation.items], float)


def as_text(document: dict[str, Any], found: dict[str, dict[str, Any]]) -> str:
    """The scores as a table, a line for each model and benchmark."""
    configured = f"base, decoded as {terms.short(document['model'])}'s generation_config says"
    labels = {"model": document["model"], "base": "base", "instruct": "instruct"}
    labels |= {terms.AS_CONFIGURED: configured} if terms.AS_CONFIGURED in document else {}
    width = max(map(len, labels.values()))
    lines = [f"{'':{width}}  {'benchmark':16}  {'strict':>6} {'+-':>6}  lenient  stops  items  metric"]
    for role, label in labels.items():
        for score in (by_role[role].score for by_role in found.values() if role in by_role):
            stops = "-" if score.stops is None else f"{score.stops:.2f}"
            lines.append(
                f"{label:{width}}  {score.benchmark:16}  {score.value:6.3f} {score.stderr:6.3f}  {score.lenient:7.3f}"
                f"  {stops:>5}  {score.n:5}  {score.metric}, {score.role} split"
            )
    if document.get("fraction"):
        interval = document["fraction"]
        lines.append(f"fraction of the human gain  {interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]")
    elif "fraction" in document:
        lines.append(f"no fraction: {document['fraction_why']}")
    return "\n".join([*lines, *terms.lines(document), f"per-item results: {document['items']}"])
