"""The score in the JSON that a user's program wrote: its headline number, and how sure that is. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import ProgramError
from pipeline.noise import binomial_error

MOST_BYTES = 64 * 2**20  # of a file of metrics; what is larger holds answers, not metrics
ERRORS = ("stderr", "std_err", "standard_error", "std_error", "sem")
COUNTS = ("n", "n_examples", "n_samples", "n_items", "num_examples", "num_samples", "num_items", "examples", "samples",
          "items", "total", "count")  # fmt: skip
# numbers that stand beside a score and are none: how sure, how many, how long, how it was run
BESIDE = frozenset("std stderr stddev err error sem var variance ci low high n num count counts total seed limit"
                   " seconds secs time duration tokens epoch step version temperature".split())  # fmt: skip


class Reading(NamedTuple):
    """A program's score. `stderr` and `n` are None where the program does not tell them."""

    metric: str
    value: float
    stderr: float | None
    n: int | None


def read(path: Path, metric: str = "") -> Reading:
    """The score in a file of metrics; see `of`. Raises ProgramError: no file, no JSON, no such number."""
    if not path.is_file():
        raise ProgramError("the program wrote no JSON to the file that {json} named")
    if path.stat().st_size > MOST_BYTES:
        raise ProgramError(f"the program's JSON has {path.stat().st_size} bytes: write the metrics alone")
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        what = " ".join(str(error).split())[:100] if path.stat().st_size else "it is empty"
        raise ProgramError(f"what the program wrote is not JSON ({what})") from None
    return of(found, metric)


def of(found: Any, metric: str = "") -> Reading:
    """The number under `metric` in a JSON object, with the standard error and the number of items beside it.

    `metric` is a key, or a path of keys with dots; `-KEY` takes the negative, for what is better when it is lower.
    Without it the first number counts that is not an error, a count or a time. Of a share of n items whose standard
    error is not told, or told as 0, it is the binomial one. Raises ProgramError if there is no such finite number.
    """
    if not isinstance(found, dict):
        raise ProgramError(f"the program's JSON is no object of metrics, but {_kind(found)}")
    numbers = dict(_numbers(found))
    sign, key = (-1.0, metric[1:]) if metric.startswith("-") and metric not in numbers else (1.0, metric)
    key = key or next((name for name in numbers if not _is_beside(name)), "")
    if key not in numbers:
        raise ProgramError(_missing(found, key, numbers))
    if not math.isfinite(numbers[key]):
        raise ProgramError(f"the program's {key} is {numbers[key]}: no score")
    value, n = sign * numbers[key] + 0.0, _count(key, numbers)
    stderr = _stderr(key, numbers) or None  # 0 is told where all items were alike, which is not certainty
    share = numbers[key]
    if stderr is None and n is not None and 0.0 <= share <= 1.0:
        stderr = binomial_error(share, n)
    return Reading("-" + key if sign < 0 else key, value, stderr, n)


def _numbers(found: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """All numbers by their path of keys; those of an object stand before those of the objects in it."""
    for name, value in found.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield before + name, _float(value)
    for name, value in found.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{before}{name}.")


def _float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _is_beside(name: str) -> bool:
    last = name.rpartition(".")[2].lower()
    return last in COUNTS or bool(BESIDE & set(re.split(r"[^a-z0-9]+", last)))


def _near(key: str, names: tuple[str, ...], numbers: Mapping[str, float]) -> float | None:
    """The number that belongs to a key's: `KEY_NAME`, `KEY.NAME`, lm-eval's `KEY_NAME,filter`, or NAME beside it."""
    around, dot, last = key.rpartition(".")
    head, comma, rest = last.partition(",")
    for name in names:
        for place in (f"{around}{dot}{head}_{name}{comma}{rest}", f"{key}.{name}", f"{around}{dot}{name}"):
            if place != key and place in numbers:
                return numbers[place]
    return None


def _stderr(key: str, numbers: Mapping[str, float]) -> float | None:
    found = _near(key, ERRORS, numbers)
    return found if found is not None and math.isfinite(found) and found >= 0.0 else None


def _count(key: str, numbers: Mapping[str, float]) -> int | None:
    found = _near(key, COUNTS, numbers)
    return int(found) if found is not None and math.isfinite(found) and found >= 1.0 and found == int(found) else None


def _missing(found: dict[str, Any], key: str, numbers: Mapping[str, float]) -> str:
    told = ", ".join(list(numbers)[:10]) or "none"
    if not key:
        return f"the program's JSON holds no number that can be a score (numbers: {told}): name one with --metric"
    what = f"is {_kind(found[key])}, not a number" if key in found else "is not in the program's JSON"
    return f"the metric {key} {what} (numbers: {told})"


def _kind(value: Any) -> str:
    for kind, name in ((bool, "true or false"), (str, "text"), (list, "a list"), (dict, "an object")):
        if isinstance(value, kind):
            return name
    return "null" if value is None else "a number"
