"""Which metric a task's targets ask for, with the reason in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.answers.targets import METRICS, canonical, is_number, json_value
from pipeline.errors import InputError
from pipeline.owntask.reading import Example

FEW_LABELS = 200
FEW_NUMBERS = 10  # of numbers fewer distinct ones are labels, such as stars from 1 to 5
ROWS_PER_LABEL = 5  # on average
LONGEST_LABEL = 80  # characters


class Metric(NamedTuple):
    """A metric, and how it came to be that."""

    name: str
    why: str


def guess(targets: Sequence[str]) -> Metric:
    """The metric for these targets (none empty)."""
    counts = Counter(targets)
    if all(_is_object(target) for target in counts):
        return Metric("json", "all targets are JSON objects or lists")
    numbers = all(is_number(target) for target in counts)
    most = FEW_NUMBERS if numbers else FEW_LABELS
    short = max(map(len, counts)) <= LONGEST_LABEL and not any("\n" in target for target in counts)
    if len(counts) <= most and short and ROWS_PER_LABEL * len(counts) <= len(targets):
        what = "label" if len(counts) == 1 else "labels"
        return Metric("choice", f"{len(counts)} {what} in {len(targets)} rows")
    if numbers:
        return Metric("number", f"all targets are numbers, {len(counts)} distinct ones")
    return Metric("exact", f"{len(counts)} distinct targets in {len(targets)} rows")


def check(metric: str, examples: Sequence[Example], where: str) -> None:
    """Raises InputError, naming the first row, if a target is nothing that the metric can compare."""
    if metric not in METRICS:
        raise InputError(f"--metric {metric}: known are {', '.join(METRICS)}")
    for example in examples:
        try:
            canonical(metric, example.target)
        except ValueError as error:
            shown = example.target if len(example.target) <= 40 else example.target[:40] + " ..."
            raise InputError(
                f"{where}, row {example.number}: --metric {metric}: the target '{shown}' cannot be compared ({error}): "
                "correct it, or use another metric"
            ) from None


def _is_object(target: str) -> bool:
    if not target.startswith(("{", "[")):
        return False
    try:
        return isinstance(json_value(target), dict | list)
    except ValueError:
        return False
