"""An answer that its reader breaks on is worth 0 and says why; it never ends an evaluation."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from itertools import product
from typing import Any

# What a text can make a reader raise. Anything else, such as a NameError or an InputError, tells of a broken task or
# machine, and ends the evaluation.
FAULTS = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError)
LONGEST = 200  # characters of a reason


@contextlib.contextmanager
def guarded(task: Any) -> Iterator[dict[str, str]]:
    """Meanwhile an lm-eval task outlives its own reader; why items could not be read comes by their id."""
    reasons: dict[str, str] = {}
    read, filter_all = task.process_results, task.apply_filters

    def process_results(doc: dict[str, Any], results: list[Any]) -> Any:
        if doc["id"] not in reasons:
            try:
                return read(doc, results)
            except FAULTS as error:
                reasons[doc["id"]] = _told(error)
        return {"strict": 0.0, "lenient": 0.0}

    def apply_filters() -> None:
        try:
            filter_all()
        except FAULTS:  # of one answer among all: which one, they tell one by one
            for ensemble, instance in product(task._filters, task.instances):
                try:
                    ensemble.apply([instance])
                except FAULTS as error:
                    reasons[instance.doc["id"]] = _told(error)
                    instance.filtered_resps[ensemble.name] = instance.resps

    task.process_results, task.apply_filters = process_results, apply_filters
    try:
        yield reasons
    finally:
        task.process_results, task.apply_filters = read, filter_all


def tell(task: str, reasons: dict[str, str]) -> None:
    """Say on stderr, in a worker in its log, that answers count as 0 because they could not be read."""
    if reasons:
        name, why = next(iter(reasons.items()))
        print(f"task '{task}': {len(reasons)} answers could not be read and count as 0: {name} ({why})",
              file=sys.stderr, flush=True)  # fmt: skip


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:LONGEST]
