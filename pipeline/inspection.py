"""What the guards say of a data source before it is trained on."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import benchmarks, catalogue
from pipeline.errors import DataError
from pipeline.kept import file_digest, kept
from pipeline.types import Benchmark, ItemsKey, Verdict


class Inspected(NamedTuple):
    """What the guards say of a source, and what stood for its content then (see `catalogue.stamp`)."""

    verdicts: list[Verdict]
    stamp: list[Any] | None


def inspect_source(name: str, key: ItemsKey, benchmark: Benchmark, guards: Mapping[str, Any]) -> list[Verdict]:
    """The verdicts of all `guards` (by name) that look at sources, on the raw rows and the whole pool of final items.

    Kept in the cache folder where the source's content is known beforehand: generating rows and items and comparing
    them takes half a second, a trial's start has one. Raises InputError (no such source), DataError (unreadable, or
    written to meanwhile).
    """
    return inspected(name, key, benchmark, guards).verdicts


def inspected(name: str, key: ItemsKey, benchmark: Benchmark, guards: Mapping[str, Any]) -> Inspected:
    """The same, and which content of the source it holds for."""
    asked = {guard: module for guard, module in guards.items() if hasattr(module, "on_source")}
    stamp, code = catalogue.stamp(name, key), [_code_of(module) for module in asked.values()]
    items = benchmarks.items_stamp(benchmark)

    def ask() -> list[dict[str, Any]]:
        rows, pool = catalogue.rows(name, key), benchmarks.final_pool(benchmark, key)
        found = [module.on_source(name, rows, pool).model_dump(mode="json") for module in asked.values()]
        # a verdict on rows that were exchanged meanwhile would be kept as one on those that are there now
        if catalogue.stamp(name, key) != stamp or benchmarks.items_stamp(benchmark) != items:
            raise DataError(f"{name}: was changed while it was read: leave its files alone, and try again")
        return found

    if stamp is None or items is None or None in code:
        found = ask()
    else:
        found = kept("verdicts", name, [stamp, *items, key.lab_seed, list(asked), code], ask)
    return Inspected([Verdict.model_validate(verdict) for verdict in found], stamp)


def _code_of(guard: Any) -> str | None:
    """Stands for a guard's code; None if it is in no file."""
    module = inspect.getmodule(guard)
    path = getattr(module, "__file__", None)
    return file_digest(Path(path)) if path and Path(path).is_file() else None
