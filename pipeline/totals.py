"""From per-item results to a benchmark's score. Pure.

The score is the mean of `strict`; where items have a `weight`, the weighted mean

    score = sum(weight * strict) / sum(weight)

clipped to [0, 1]. Arena-Hard weighs so: a strong verdict is three games (`show_result.py` of arena-hard-auto v2), so
a question with strong verdicts weighs up to three times as much as one without. HealthBench clips: one answer may lose
points, a benchmark does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline import gain
from pipeline.bootstrap import Array, resample, resample_scores
from pipeline.noise import CONFIDENCE, binomial_error

Rows = Sequence[Mapping[str, Any]]


def value(rows: Rows) -> float:
    """The benchmark's score, in [0, 1]."""
    strict, weight = _columns(rows)
    return float(np.clip((weight * strict).sum() / weight.sum(), 0.0, 1.0))


def stderr(rows: Rows) -> float:
    """Its standard error over items: of the mean, or by bootstrap where the score is weighted or may be clipped.

    Where all items are right, or none is, it is the binomial one: alike is not certain.
    """
    strict, weight = _columns(rows)
    if _is_plain(strict, weight) and (strict == strict[0]).all() and strict[0] in (0.0, 1.0):
        return binomial_error(float(strict[0]), strict.size)
    if _is_plain(strict, weight):
        return float(strict.std(ddof=1)) / math.sqrt(strict.size) if strict.size > 1 else 0.0
    return float(_draws(strict, weight).std())


def interval(rows: Rows, confidence: float = CONFIDENCE) -> gain.Interval:
    """The score with its percentile bootstrap interval over items."""
    found, (strict, weight) = value(rows), _columns(rows)
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(_draws(strict, weight), [tail, 100 - tail])
    return gain.Interval(value=found, low=min(float(low), found), high=max(float(high), found), confidence=confidence)


def shares(rows: Rows) -> list[float]:
    """One number per item, of which the plain mean is the score: what means and paired differences are computed from.

    A weighted item's is its linear part in the weighted mean, score + weight / mean weight * (strict - score): equal
    to `strict` where the weights are equal, and its spread over items gives the delta method's standard error. Where
    the mean was clipped, all are moved by the same amount. `strict` itself where the score is a plain mean.
    """
    strict, weight = _columns(rows)
    if _is_plain(strict, weight):
        return [float(each) for each in strict]
    mean = float((weight * strict).sum() / weight.sum())
    linear = mean + weight / weight.mean() * (strict - mean)
    return [float(each) for each in linear + (min(max(mean, 0.0), 1.0) - mean)]


def by_item(rows: Rows) -> dict[str, float]:
    """`shares` by the items' ids. Raises KeyError, TypeError or ValueError where a row is no result."""
    return {str(row["id"]): share for row, share in zip(rows, shares(rows), strict=True)} if rows else {}


def _columns(rows: Rows) -> tuple[Array, Array]:
    pairs = [(float(row["strict"]), float(row.get("weight", 1.0))) for row in rows]
    strict, weight = np.array(pairs).T
    return strict, weight


def _is_plain(strict: Array, weight: Array) -> bool:
    return bool((weight == weight[0]).all() and (strict >= 0).all() and (strict <= 1).all())


def _draws(strict: Array, weight: Array) -> Array:
    if _is_plain(strict, weight):
        return resample_scores([strict])[1][:, 0]
    _, means_Rx2 = resample([weight * strict, weight])
    return np.clip(means_Rx2[:, 0] / means_Rx2[:, 1], 0.0, 1.0)
