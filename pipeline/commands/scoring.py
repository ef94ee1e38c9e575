"""What `evaluate` and `compare` share: models scored on benchmarks, and their per-item results on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.commands import options, terms

if TYPE_CHECKING:
    from pipeline.commands.anchored import Anchors
    from pipeline.types import Benchmark, Judge

RECORDED = "recorded"  # the engine on a file of answers made elsewhere
Found = dict[str, dict[str, Any]]  # an `Evaluation` by benchmark and role: model, base, instruct ...


def by_lab(shelf: list[Benchmark], names: Iterable[str]) -> list[list[Benchmark]]:
    """The benchmarks in groups for which named models are the same: a lab model's name means another by benchmark."""
    from pipeline import models

    names = list(names)
    groups: dict[tuple[str, ...], list[Benchmark]] = {}
    for benchmark in shelf:
        groups.setdefault(tuple(models.address(name, benchmark) for name in names), []).append(benchmark)
    return list(groups.values())


def check_items(shelf: list[Benchmark], split: options.SplitName, lab_seed: int, limit: int | None) -> None:
    """Raises what is wrong with a benchmark's data or its sandbox: before a model is built, fetched or scored."""
    from pipeline import benchmarks, sandbox
    from pipeline.types import ItemsKey

    for benchmark in shelf:
        benchmarks.items(benchmark, split, ItemsKey(lab_seed=lab_seed), limit)
        if benchmark.runs_code:
            sandbox.how()


def check_answers(
    shelf: list[Benchmark], split: options.SplitName, lab_seed: int, limit: int | None, recorded: dict[str, Any]
) -> None:
    """Raises DataError if a file of answers lacks some: before a model is built or scored beside them."""
    from pipeline import benchmarks
    from pipeline.engines.recorded import open_engine
    from pipeline.types import ItemsKey, Request

    key = ItemsKey(lab_seed=lab_seed)
    for benchmark in shelf:
        if benchmark.program is not None:  # it asks by itself
            continue
        opened = open_engine("", **recorded, places=benchmarks.places_in_whole(benchmark, split, key))
        items, n = benchmarks.items(benchmark, split, key, limit), benchmark.decoding.repeats
        opened.check(
            [
                Request(benchmark=benchmark.name, item=str(item.get("id", "")), index=number, n=n)
                for number, item in enumerate(items)
            ]
        )


def estimate(
    shelf: list[Benchmark], judge: Judge | None, split: options.Split, lab_seed: int, limit: int | None, models: int,
    say: Callable[[str], None],
) -> None:  # fmt: skip
    """Tell about what the judge will cost. Raises InputError if that is more than its budget."""
    from pipeline import benchmarks, judging
    from pipeline.types import ItemsKey

    if judge is not None:
        key, judged = ItemsKey(lab_seed=lab_seed), judging.judged(shelf, judge)
        judging.tell_estimate(
            judge, [(each, benchmarks.items(each, split, key, limit)) for each in judged], models, say
        )


def evaluate_all(
    shelf: list[Benchmark], folders: dict[str, Path], split: options.Split, lab_seed: int, limit: int | None,
    engines: dict[str, tuple[str, dict[str, Any]]], progress: Callable[..., None], judge: Judge | None = None,
    configured_as: Path | None = None, anchors: Anchors | None = None,
) -> Found:  # fmt: skip
    """An `Evaluation` by benchmark and role; with `configured_as` also the base's under that model's settings.

    Base and instruct may have been measured before: `anchors` has them, if they are scored with our engine.
    """
    from pipeline import benchmarks, chat, evaluate, machine
    from pipeline.types import ItemsKey

    for role, (_, chosen) in engines.items():
        if chosen.get("thinking") and role in folders:  # better refused before anything is loaded
            chat.with_thinking(chat.family_of(folders[role]))
    threads, key = machine.cached().threads, ItemsKey(lab_seed=lab_seed)
    if any(benchmark.program is None for benchmark in shelf):
        progress("importing torch and lm-eval")
        import torch

        torch.set_num_threads(threads)
    found: Found = {}
    for benchmark in shelf:
        items = benchmarks.items(benchmark, split, key, limit)
        for role, folder in folders.items():
            on = "by its program" if benchmark.program else f"on {len(items)} {split} items"
            told = partial(progress, f"{benchmark.name}: scoring {role} {on}")
            told()
            engine, chosen = engines[role]
            if "file" in chosen:  # recorded answers: an index beside the whole's name is another one than the part's
                chosen = {**chosen, "places": benchmarks.places_in_whole(benchmark, split, key)}
            kept = anchors.score(benchmark, role, folder, told) if anchors and engine == "hf" and not chosen else None
            scored = kept or evaluate.evaluate(
                folder, benchmark, items, split, key=key, engine=engine, judge=judge, told=told, **chosen
            )
            found.setdefault(benchmark.name, {})[role] = scored
        if anchors and "base" in folders and engines["base"] == ("hf", {}):
            few_shot = anchors.few_shot(benchmark, folders["base"])
            found[benchmark.name] |= {"base_few_shot": few_shot} if few_shot else {}
        if configured_as is not None and benchmark.program is None:
            progress(f"{benchmark.name}: scoring base as {configured_as.name}'s generation_config says")
            found[benchmark.name][terms.AS_CONFIGURED] = evaluate.evaluate(
                folders["base"], benchmark, items, split, key=key, engine=engines["base"][0],
                judge=judge, configured_as=configured_as,
            )  # fmt: skip
    return found


def write_items(folder: Path, found: Found, private: bool) -> Path:
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


def strict(evaluation: Any) -> Any:
    """Strict per-item scores as an array: numbers of which the mean is the score."""
    import numpy as np

    from pipeline import totals

    return np.array(totals.shares(evaluation.items))
