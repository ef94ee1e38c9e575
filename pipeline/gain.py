"""The improvement fraction: how much of the human team's gain a search regained. Pure numpy.

    fraction = (best - base) / (instruct - base)

Intervals are percentile bootstraps over items, paired (`bootstrap.py`). Percentile and not BCa: simulated coverage of
the ratio at 95% was 93 to 95% for both from 50 items on and differed by at most one point (at 20 items 93 against 95),
and percentiles need no correction that breaks down on ties. A resample whose denominator is not positive counts as an
unbounded fraction, and an interval that would reach there is not given.

Several benchmarks or models: scores are averaged first, then the ratio is taken, as PostTrainBench does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, hypot, inf
from statistics import NormalDist
from typing import TypeVar

import numpy as np

from pipeline.bootstrap import RESAMPLES, Array, resample_scores
from pipeline.errors import InputError
from pipeline.noise import CONFIDENCE, DIGITS, Items, as_pairs, paired_test
from pipeline.types import Record


class Interval(Record):
    """A value with its confidence interval; never excludes the value."""

    value: float
    low: float
    high: float
    confidence: float = CONFIDENCE


class Lift(Record):
    """A mean difference, with its interval where the seeds' spread gives one."""

    value: float
    low: float | None = None
    high: float | None = None
    confidence: float = CONFIDENCE


class Fraction(Record):
    """A fraction regained, or `interval` None and `why` in plain words. `raw`: a flagged result's own fraction."""

    interval: Interval | None
    why: str | None = None
    raw: Interval | None = None


@dataclass(frozen=True)
class Cell:
    """One model on one benchmark, with per-item final scores in one order for all; `few_shot` may be missing."""

    model: str
    benchmark: str
    best: Items
    base: Items
    instruct: Items
    few_shot: Items | None = None
    flagged: bool = False


@dataclass(frozen=True)
class ScoreCell:
    """The same by (value, standard error) pairs, where per-item scores are missing, as for published anchors."""

    model: str
    benchmark: str
    best: tuple[float, float]
    base: tuple[float, float]
    instruct: tuple[float, float]


# ---------------------------------------------------------------- one benchmark


def fraction(
    best: Items, base: Items, instruct: Items, *, flagged: bool = False, over: str = "base", top: str = "instruct",
    confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0,
) -> Fraction:  # fmt: skip
    """The share of instruct - base that best - base regains, from per-item scores in the same order.

    `over` names the denominator's floor in messages: pass the few-shot base's items as `base` for the second
    fraction; `top` names what stands in the instruct model's place. Negative when best is below the base. A flagged
    result counts as the base: 0, with `raw` beside it. Null when instruct - base is within noise. InputError when the
    items do not pair or are not numbers.
    """
    best_n, base_n, instruct_n = as_pairs(best=best, base=base, instruct=instruct)
    means, draws_Rx3 = resample_scores([best_n, base_n, instruct_n], resamples, seed)
    p = paired_test(instruct_n, base_n, seed=seed)
    result = _ratio(means, draws_Rx3, confidence, over, f"by {best_n.size} items", p, top)
    return as_flagged(result, confidence) if flagged else result


def fraction_of_scores(
    best: tuple[float, float], base: tuple[float, float], instruct: tuple[float, float], *, over: str = "base",
    confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0,
) -> Fraction:  # fmt: skip
    """The same from (value, standard error) pairs where per-item scores are missing, as for published anchors.

    Independent normal errors: wider than the paired interval, never narrower on items that correlate.
    """
    cell = ScoreCell("", "", best, base, instruct)
    return matrix_fraction_of_scores(
        [cell], {"": 1.0}, over=over, confidence=confidence, resamples=resamples, seed=seed
    )


def gain_points(
    best: Items, base: Items, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """best - base in percentage points, with its paired interval. One item: an interval of +-100."""
    best_n, base_n = as_pairs(best=best, base=base)
    means, draws_Rx2 = resample_scores([best_n, base_n], resamples, seed)
    value = 100.0 * float(means[0] - means[1])
    if best_n.size == 1:
        return Interval(value=value, low=-100.0, high=100.0, confidence=confidence)
    return _percentiles(value, 100.0 * (draws_Rx2[:, 0] - draws_Rx2[:, 1]), confidence)


def normal_reach(a: float, b: float, confidence: float = CONFIDENCE) -> float:
    """Half the width of the interval of a difference of two independent scores with standard errors a and b."""
    return NormalDist().inv_cdf(0.5 + confidence / 2) * hypot(a, b)


def as_flagged(result: Fraction, confidence: float = CONFIDENCE) -> Fraction:
    """Cheating earns the base score: fraction 0, what was measured as `raw`."""
    zero = Interval(value=0.0, low=0.0, high=0.0, confidence=confidence)
    return Fraction(interval=zero, why="flagged by a guard: the result counts as the base", raw=result.interval)


def _ratio(
    means: Array, draws_Rx3: Array, confidence: float, over: str, ground: str, p: float | None, top: str = "instruct"
) -> Fraction:  # fmt: skip
    """The ratio of (best, base, instruct) means and its percentiles, or why there is none."""
    gap = float(means[2] - means[1])
    if gap <= 0:
        lacking = "no human gain" if top == "instruct" else "no gain"
        return _none(f"{top} ({means[2]:.3f}) is not above the {over} ({means[1]:.3f}): {lacking} to regain")
    gap_draws_R, rise_R = draws_Rx3[:, 2] - draws_Rx3[:, 1], draws_Rx3[:, 0] - draws_Rx3[:, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio_R = np.where(gap_draws_R > 0, rise_R / gap_draws_R, np.copysign(np.inf, rise_R))
    found = _percentiles(float(means[0] - means[1]) / gap, ratio_R, confidence)
    p = 2 * float((gap_draws_R <= 0).mean()) if p is None else p
    if p > 1 - confidence or not np.isfinite([found.low, found.high]).all():
        return _none(f"{top} - {over} = {gap:+.3f} is within noise ({ground}, p = {p:.2g}): no share can be told")
    return Fraction(interval=found)


def _none(why: str) -> Fraction:
    return Fraction(interval=None, why=why)


def _percentiles(value: float, draws_R: Array, confidence: float) -> Interval:
    """Percentile interval, rounded outwards to drawn values, and widened to the value where ties shift it off."""
    ordered = np.sort(draws_R)
    tail = (1.0 - confidence) / 2 * (ordered.size - 1)
    low, high = float(ordered[floor(tail)]), float(ordered[ceil(ordered.size - 1 - tail)])
    return Interval(value=value, low=min(low, value), high=max(high, value), confidence=confidence)


def lift(ours: Sequence[float], theirs: Sequence[float], confidence: float = CONFIDENCE) -> Lift:
    """Mean of paired differences between two agents' results on the same seeds, with Student's t interval.

    Seeds are few, and bootstrapping a handful gives intervals that are far too narrow. No bounds where there is no
    spread to tell them from: one pair, or pairs that all differ by the same.
    """
    from scipy.special import stdtrit  # a fifth of a second that only a comparison needs

    a_n, b_n = as_pairs(ours=ours, theirs=theirs)
    delta, n = np.round(a_n - b_n, DIGITS), a_n.size
    value = float(delta.mean())
    if n < 2 or (delta == delta[0]).all():
        return Lift(value=value, confidence=confidence)
    reach = float(stdtrit(n - 1, 0.5 + confidence / 2) * delta.std(ddof=1) / n**0.5)
    return Lift(value=value, low=value - reach, high=value + reach, confidence=confidence)


# ---------------------------------------------------------------- several benchmarks and models


def cell_weights(cells: Collection[tuple[str, str]], weights: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """The share of each (model, benchmark) cell: a benchmark's weight, renormalised over the benchmarks present,
    spread evenly over the models that have it. InputError for a benchmark without a weight."""
    present = sorted({benchmark for _, benchmark in cells})
    missing = [benchmark for benchmark in present if not 0.0 < weights.get(benchmark, 0.0) < inf]
    if not present or missing:
        raise InputError(f"no weight for {', '.join(missing) or 'an empty matrix'}: weights are {dict(weights)}")
    total = sum(weights[benchmark] for benchmark in present)
    models = {name: sum(1 for _, benchmark in cells if benchmark == name) for name in present}
    return {cell: weights[cell[1]] / total / models[cell[1]] for cell in cells}


def weighted_average(scores: Mapping[str, Mapping[str, float]], weights: Mapping[str, float]) -> float:
    """PostTrainBench's average of scores[model][benchmark]: plain mean over models, weighted over benchmarks."""
    cells = {(model, benchmark): value for model, row in scores.items() for benchmark, value in row.items()}
    share = cell_weights(cells, weights)
    return float(sum(share[cell] * value for cell, value in cells.items()))


def matrix_fraction(
    cells: Sequence[Cell], weights: Mapping[str, float], *, over: str = "base", top: str = "instruct",
    confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0,
) -> Fraction:  # fmt: skip
    """The fraction of the weighted averages, items resampled within each cell, cells independent of each other.

    A flagged cell counts as its base; `raw` is then the fraction with the measured scores. `over` is base or few_shot.
    Where cells share items (one real benchmark, several models) the interval is a little narrow: their luck is shared.
    """
    raw = _matrix_ratio(cells, weights, over, False, confidence, resamples, seed, top)
    if not any(cell.flagged for cell in cells):
        return raw
    held = _matrix_ratio(cells, weights, over, True, confidence, resamples, seed, top)
    return Fraction(interval=held.interval, why=held.why, raw=raw.interval)


def matrix_fraction_of_scores(
    cells: Sequence[ScoreCell], weights: Mapping[str, float], *, over: str = "base",
    confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0,
) -> Fraction:  # fmt: skip
    """The fraction of the weighted averages from (value, standard error) pairs, all errors normal and independent."""

    def drawn(cell: ScoreCell, number: int) -> tuple[Array, Array]:
        values, errors = np.array([cell.best, cell.base, cell.instruct], float).T
        if not (np.isfinite(values).all() and np.isfinite(errors).all()):
            raise InputError("a score or its standard error is not a number: score it again")
        return values, values + errors * np.random.default_rng(seed + number).standard_normal((resamples, 3))

    means, draws_Rx3 = _averaged(cells, weights, drawn)
    return _ratio(means, draws_Rx3, confidence, over, "by their standard errors", None)


def _matrix_ratio(
    cells: Sequence[Cell], weights: Mapping[str, float], over: str, hold: bool,
    confidence: float, resamples: int, seed: int, top: str = "instruct",
) -> Fraction:  # fmt: skip
    """The ratio over all cells; `hold` puts flagged cells at their base."""

    def drawn(cell: Cell, number: int) -> tuple[Array, Array]:
        return resample_scores(_columns(cell, over, hold), resamples, seed + number)

    means, draws_Rx3 = _averaged(cells, weights, drawn)
    p, ground = None, f"by {len(cells)} cells"
    if len(cells) == 1:  # as of one run: the exact test, which few items do not fool
        _, floor_n, instruct_n = _columns(cells[0], over, hold)
        p, ground = paired_test(instruct_n, floor_n, seed=seed), f"by {floor_n.size} items"
    return _ratio(means, draws_Rx3, confidence, over.replace("_", "-"), ground, p, top)


AnyCell = TypeVar("AnyCell", Cell, ScoreCell)


def _averaged(
    cells: Sequence[AnyCell], weights: Mapping[str, float], drawn: Callable[[AnyCell, int], tuple[Array, Array]]
) -> tuple[Array, Array]:
    """Weighted averages over cells of what `drawn` gives of each: best, floor and instruct, and their draws (R x 3)."""
    share = cell_weights([(cell.model, cell.benchmark) for cell in cells], weights)
    if len(share) < len(cells):
        raise InputError("a model and benchmark appear twice in the matrix: keep one run of each")
    ordered = sorted(cells, key=lambda cell: (cell.model, cell.benchmark))
    found = [drawn(cell, number) for number, cell in enumerate(ordered)]
    parts = [share[cell.model, cell.benchmark] for cell in ordered]
    means = np.sum([part * means for part, (means, _) in zip(parts, found, strict=True)], axis=0)
    draws_Rx3 = np.sum([part * draws for part, (_, draws) in zip(parts, found, strict=True)], axis=0)
    return means, draws_Rx3


def _columns(cell: Cell, over: str, hold: bool) -> list[Array]:
    """Best, floor and instruct of a cell."""
    floor_items = cell.few_shot if over == "few_shot" else cell.base
    if floor_items is None:
        raise InputError(f"{cell.model} on {cell.benchmark} has no few-shot base score: score it first")
    best = cell.base if hold and cell.flagged else cell.best
    return as_pairs(best=best, floor=floor_items, instruct=cell.instruct)
