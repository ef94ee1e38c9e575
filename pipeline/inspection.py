"""What the guards say of a data source before it is trained on."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import benchmarks, catalogue
from pipeline.kept import file_digest, kept
from pipeline.types import Benchmark, ItemsKey, Verdict


def inspect_source(name: str, key: ItemsKey, benchmark: Benchmark, guards: Mapping[str, Any]) -> list[Verdict]:
    """The verdicts of all `guards` (by name) that look at sources, on the raw rows and the whole pool of final items.

    Kept in the cache folder where the source's content is known beforehand: generating rows and items and comparing
    them takes half a second, a trial's start has one. Raises InputError (no such source), DataError (unreadable).
    """
    asked = {guard: module for guard, module in guards.items() if hasattr(module, "on_source")}

    def ask() -> list[dict[str, Any]]:
        rows, pool = catalogue.rows(name, key), benchmarks.final_pool(benchmark, key)
        return [module.on_source(name, rows, pool).model_dump(mode="json") for module in asked.values()]

    stamp, code = catalogue.stamp(name, key), [_code_of(module) for module in asked.values()]
    if stamp is None or None in code:
        found = ask()
    else:
        found = kept(
            "verdicts", name, [stamp, *benchmarks.items_stamp(benchmark), key.lab_seed, list(asked), code], ask
        )
    return [Verdict.model_validate(verdict) for verdict in found]


def _code_of(guard: Any) -> str | None:
    """Stands for a guard's code; None if it is in no file."""
    module = inspect.getmodule(guard)
    path = getattr(module, "__file__", None)
    return file_digest(Path(path)) if path and Path(path).is_file() else None
