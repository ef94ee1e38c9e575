"""`posttrain evaluate`: a checkpoint's scores, and its fraction of the human gain, under a search's own rules."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline import console
from pipeline.commands import options

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
    allow_unsafe_code: Annotated[bool, typer.Option(help="Run model-written code even without a sandbox.")] = False,
    out: options.ItemsOut = None,
    as_json: options.Json = False,
) -> None:
    """Score a model on benchmarks, by a search's own rules.

    With --base and --instruct also the fraction of the human gain. MODEL may be a PEFT adapter's folder; --base alone
    names the base that it sits on, where its own configuration names one that is not here.

    \b
    Example:
      posttrain evaluate lab/qwen3 --benchmark tiny_gsm8k --limit 100
    """
    from pipeline import chat, models
    from pipeline.errors import InputError
    from pipeline.sandbox.guests import ALLOW

    if allow_unsafe_code:
        os.environ[ALLOW] = "1"
    is_adapter = chat.named_base(Path(model).expanduser()) is not None
    if (base is None) != (instruct is None) and not (base and is_adapter):
        raise InputError("--base and --instruct: the fraction needs both; give both or neither")
    names, family = options.benchmarks(benchmark, model), options.family(family)
    named = {"model": model, "base": base, "instruct": instruct}
    wanted = {role: name for role, name in named.items() if name is not None}
    engine, _, file = engine.partition(":")  # recorded:FILE
    options.plugin("engines", engine, "--engine")
    plain = (_plain(engine), options.thinking(thinking, _plain(engine) if instruct else engine))
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
        engines = {role: (engine, {"file": file}) if role in looked_up else plain for role in wanted}
        found = evaluate_all(names, folders, split, lab_seed, limit, engines, progress)
        path = write_items(folder, found, private=split == "final")
    document = summary(model, found, path)
    if as_json:
        console.document(document)
    else:
        print(as_text(document))


def _plain(engine: str) -> str:
    """The engine for models that are scored beside recorded answers."""
    return "hf" if engine == RECORDED else engine


def evaluate_all(
    names: list[str], folders: dict[str, Path], split: options.Split, lab_seed: int, limit: int | None,
    engines: dict[str, tuple[str, dict[str, Any]]], progress: Callable[..., None],
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """An `Evaluation` by benchmark and role."""
    from pipeline import benchmarks, chat, evaluate, machine
    from pipeline.types import ItemsKey

    for role, (_, chosen) in engines.items():
        if chosen.get("thinking") and role in folders:  # better refused before anything is loaded
            chat.with_thinking(chat.family_of(folders[role]))
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
    return document


def fraction(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The fraction over all benchmarks, by their weights, with its interval; null with the reason within noise."""
    from pipeline import benchmarks, gain

    cells = [gain.Cell("model", name, **{_column(role): strict(by_role[role]) for role in by_role})
             for name, by_role in found.items()]  # fmt: skip
    result = gain.matrix_fraction(cells, {name: benchmarks.load_benchmark(name).weight for name in found})
    return {"fraction": result.interval, "fraction_why": result.why}


def _column(role: str) -> str:
    return "best" if role == "model" else role


def strict(evaluation: Any) -> Any:
    """Strict per-item scores as an array."""
    import numpy as np

    return np.array([item["strict"] for item in evaluation.items], float)


def as_text(document: dict[str, Any]) -> str:
    """The scores as a table."""
    labels = {"scores": document["model"], "base": "base", "instruct": "instruct"}
    width = max(map(len, labels.values()))
    lines = [f"{'':{width}}  {'benchmark':16}  {'strict':>6} {'+-':>6}  lenient  stops  items  metric"]
    for role, label in labels.items():
        for score in document.get(role, []):
            stops = "-" if score.stops is None else f"{score.stops:.2f}"
            lines.append(
                f"{label:{width}}  {score.benchmark:16}  {score.value:6.3f} {score.stderr:6.3f}  {score.lenient:7.3f}"
                f"  {stops:>5}  {score.n:5}  {score.metric}, {score.role} split"
            )
    if document.get("fraction"):
        found = document["fraction"]
        lines.append(f"fraction of the human gain  {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]")
    elif "fraction" in document:
        lines.append(f"no fraction: {document['fraction_why']}")
    return "\n".join([*lines, f"per-item results: {document['items']}"])
