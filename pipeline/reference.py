"""What a gain is measured against where no instruct-tuned sibling is: another model, or a number from elsewhere. Pure.

A model is scored as an instruct model would be. A number counts as exact: no items stand behind it here, so intervals
cover what the base and the best model did and nothing of the number's own uncertainty.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import InputError
from pipeline.types import Benchmark, Reference, Score

OPTION, NOTE = "--reference", "--reference-note"
EXACT = "counts as exact: intervals cover nothing of its own uncertainty"
UNNOTED = "no note says where it is from"


def parse(text: str | None, note: str | None, instruct: str | None) -> Reference | None:
    """The reference in the options. Raises InputError: two references, a note without a number, no share."""
    if text is None:
        if note is not None:
            raise InputError(f"{NOTE}: there is no number that it is about: give one with {OPTION}, such as 0.93")
        return None
    if instruct is not None:
        raise InputError(f"{OPTION} and --instruct: both name what the gain is measured against: give one")
    value = _number(text.strip())
    if value is None:
        if note is not None:
            raise InputError(f"{NOTE}: the reference {text} is a model and is measured: omit the note")
        return Reference(model=text.strip())
    return Reference(value=value, note=" ".join((note or "").split()))


def _number(text: str) -> float | None:
    bare = text.removesuffix("%").strip()
    try:
        value = float(bare)
    except ValueError:
        return None
    if bare != text:
        raise InputError(f"{OPTION} {text}: write a percentage as a share, such as {value / 100:g}")
    if not math.isfinite(value):
        raise InputError(f"{OPTION} {text}: a finite number is needed, such as 0.93, or a model")
    return value


def check(reference: Reference | None, benchmark: Benchmark) -> None:
    """Raises InputError for a number that no score can be. A program's scores may be any."""
    value = reference.value if reference else None
    if value is None or benchmark.program is not None or 0.0 < value <= 1.0:
        return
    percent = f"; write a percentage as a share, {value / 100:g}" if 1.0 < value <= 100.0 else ""
    raise InputError(f"{OPTION} {value:g}: scores on {benchmark.name} lie between 0 and 1{percent}")


def score(reference: Reference, benchmark: str, metric: str) -> Score | None:
    """A given number as a score; None of a model, which has to be measured."""
    if reference.value is None:
        return None
    return Score(benchmark=benchmark, metric=metric, value=reference.value, stderr=0.0, n=None, role="final",
                 source="given")  # fmt: skip


def column(value: float, items: int) -> npt.NDArray[np.float64]:
    """A given number beside per-item scores: the same on each, so that no resample of items moves it."""
    return np.full(items, value, dtype=np.float64)


def named(reference: Reference) -> str:
    """The reference in words."""
    if reference.value is None:
        return str(reference.model)
    return f"{reference.value:g} ({reference.note or UNNOTED})"


def told(reference: Reference | None) -> dict[str, Any] | None:
    """The reference as documents have it."""
    if reference is None:
        return None
    if reference.value is None:
        return {"model": reference.model, "source": "measured"}
    return {"value": reference.value, "note": reference.note, "source": "given", "interval": EXACT}
