"""Bootstrap over items, paired: one resample of items serves all models alike (Efron & Tibshirani 1993, ch. 13). Pure.

Items that scored alike on all models are drawn as one group, which has the same distribution as drawing items, is
faster, and cannot depend on their order.

A bootstrap knows only the answers it saw: of 20 right ones of 20 it would say that none can be wrong. So where a model
scored 0 on all items, or 1, one item at the other end is drawn along (not counted in the means), at the weight of one
item seen. That puts the 97.5th percentile near 3/n, the rule of three (Hanley & Lippman-Hand 1983). Simulated
coverage at 95% of a fraction between rates of .97, .02 and .99 rises by it from .40 to .98 at 20 items and from .69 to
.96 at 50.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

RESAMPLES = 10_000
DRAWS_AT_ONCE = 2_000_000  # counts held in memory at a time: resamples x distinct items
Array = npt.NDArray[np.float64]


def resample(columns: Sequence[Array], resamples: int = RESAMPLES, seed: int = 0) -> tuple[Array, Array]:
    """Means of k paired columns of n items, and their means in R resamples of the items: shapes (k,) and (R, k)."""
    patterns_kxm, counts_m = _distinct(columns)
    n = int(counts_m.sum())
    return patterns_kxm @ counts_m / n, _draws(patterns_kxm, counts_m, n, resamples, seed)


def resample_scores(columns: Sequence[Array], resamples: int = RESAMPLES, seed: int = 0) -> tuple[Array, Array]:
    """The same of scores in [0, 1], with what no item showed reckoned with. An array given twice is one model."""
    models = [next(k for k, other in enumerate(columns) if other is column) for column in columns]
    patterns_kxm, counts_m = _distinct(columns)
    n = int(counts_m.sum())
    return patterns_kxm @ counts_m / n, _draws(*_with_unseen(patterns_kxm, counts_m, models), n, resamples, seed)


def _distinct(columns: Sequence[Array]) -> tuple[Array, Array]:
    patterns_kxm, counts_m = np.unique(np.stack(columns), axis=1, return_counts=True)
    return patterns_kxm, counts_m.astype(np.float64)


def _with_unseen(patterns_kxm: Array, counts_m: Array, models: Sequence[int]) -> tuple[Array, Array]:
    """One more item for each model that has 0 throughout, or 1: the commonest item, but for that model's score."""
    commonest_k, more = patterns_kxm[:, counts_m.argmax()], []
    for model in sorted(set(models)):
        column = patterns_kxm[model]
        if column.min() == column.max() and column[0] in (0.0, 1.0):
            more.append(np.where(np.array(models) == model, 1.0 - column[0], commonest_k))
    if not more:
        return patterns_kxm, counts_m
    return np.column_stack([patterns_kxm, *more]), np.concatenate([counts_m, np.ones(len(more))])


def _draws(patterns_kxm: Array, counts_m: Array, n: int, resamples: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    at_once = max(1, DRAWS_AT_ONCE // counts_m.size)
    sizes = [min(at_once, resamples - start) for start in range(0, resamples, at_once)]
    shares_m = counts_m / counts_m.sum()
    drawn = [rng.multinomial(n, shares_m, size=size).astype(np.float64) @ patterns_kxm.T for size in sizes]
    return np.concatenate(drawn) / n
