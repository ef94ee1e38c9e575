"""The noise floor: what difference between two scores is worth believing. Pure numpy.

Scores of two models on the same items are compared item by item: pairing removes the difficulty that they share.
The best of many trials is chosen *because* its search score is high, so that score is optimistic (the winner's
curse: with k equal trials the best lies about sqrt(2 ln k) standard errors above the truth). Three things follow:
a win over the base is tested at alpha / k (Bonferroni), a win over the runner-up is labelled `unresolved` when the
two cannot be told apart, and the number that is reported comes from the final split, which chose nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from pipeline.errors import InputError
from pipeline.types import Record

CONFIDENCE = 0.95
Items = Sequence[float] | npt.NDArray[np.float64]  # one score per item, 0/1 or anything finite
SMALLEST_P = 1e-99  # that is shown: normal tails end in 0
DIGITS = 12  # after the point: smaller differences of scores are rounding
EXACT_PAIRS = 12  # up to this many differing items all sign patterns are counted instead of sampled


def as_items(scores: Items, name: str = "scores") -> npt.NDArray[np.float64]:
    """The per-item scores as a float array; InputError when empty, nested or not finite."""
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"{name}: expected one score per item and at least one item, got shape {array.shape}")
    if not np.isfinite(array).all():
        where = int(np.flatnonzero(~np.isfinite(array))[0])
        raise InputError(f"{name}: item {where} has no finite score ({array[where]}): score it again")
    return array + 0.0  # -0.0 and 0.0 are the same score


def as_pairs(**named: Items) -> list[npt.NDArray[np.float64]]:
    """Several models' scores on the same items, in the same order; InputError when their numbers differ.

    What is given twice is one model, and comes back as one array.
    """
    made: dict[int, npt.NDArray[np.float64]] = {}
    arrays = [made.setdefault(id(scores), as_items(scores, name)) for name, scores in named.items()]
    if len({array.size for array in arrays}) > 1:
        sizes = ", ".join(f"{name} {array.size}" for name, array in zip(named, arrays, strict=True))
        raise InputError(f"items do not pair ({sizes}): score all of them on the same items")
    return arrays


def standard_error(items: Items) -> float:
    """Standard error of a mean score: sample deviation / sqrt(n), as lm-eval's. One item: half the range of [0, 1].

    0 when all items agree, which is not certainty: `unseen(n)` bounds what n alike items can hide.
    """
    array = as_items(items)
    return 0.5 if array.size == 1 else float(array.std(ddof=1) / sqrt(array.size))


def binomial_error(value: float, n: int) -> float:
    """The standard error of a mean of n scores in [0, 1] of which nothing else is known: the largest possible.

    The binomial one, or that with two successes and two failures added (Agresti & Coull 1998) where it is larger, so
    that 0 of 30 is not taken for certain.
    """
    rate = (value * n + 2) / (n + 4)
    return max(sqrt(max(0.0, value * (1 - value)) / n), sqrt(rate * (1 - rate) / (n + 4)))


def of_tries(p: float, tried: int) -> str:
    """A p value in words, with the number of trials that it is multiplied by before it is believed (Bonferroni)."""
    shown = f"p = {p:.2g}" if p >= SMALLEST_P else f"p < {SMALLEST_P:.0g}"
    return f"{shown} x {tried} trials" if tried > 1 else shown


def unseen(n: int, confidence: float = CONFIDENCE) -> float:
    """Largest share of items of a kind that n items did not show (exact; about 3/n at 95%: the 'rule of three')."""
    return float(1.0 - (1.0 - confidence) ** (1.0 / n))


def noise_floor(n: int, value: float = 0.5, correlation: float = 0.5, confidence: float = CONFIDENCE) -> float:
    """The smallest paired difference of two scores near `value`, on the same n items, that is worth believing.

    z * sqrt(2 p (1 - p) (1 - correlation) / n), but never less than the few items, all in one direction, that exact
    McNemar needs (6 at 95%). In score units; 1.0 means that n items cannot resolve anything. Correlation .5 between
    two models' items is typical; 0 is the unpaired case.
    """
    if n < 1:
        raise InputError(f"noise floor of {n} items: give at least one item")
    spread = max(value * (1.0 - value), 0.0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    normal = z * sqrt(2.0 * spread * (1.0 - correlation) / n)
    fewest = next(m for m in range(1, 64) if 2.0 ** (1 - m) <= 1.0 - confidence + 1e-12)
    return min(1.0, max(normal, fewest / n))


def paired_test(a: Items, b: Items, resamples: int = 10_000, seed: int = 0) -> float:
    """Two-sided p value of 'a and b score alike', paired by item.

    0/1 items: exact McNemar (the sign test on the items that differ). Others: sign-flip permutation of the
    differences' mean, complete up to 12 differing items, sampled beyond (add-one, so never 0: Phipson & Smyth 2010).
    """
    a_n, b_n = as_pairs(a=a, b=b)
    delta = np.round(a_n - b_n, DIGITS)
    delta = np.sort(delta[delta != 0])
    if delta.size == 0:
        return 1.0
    if np.isin(a_n, (0.0, 1.0)).all() and np.isin(b_n, (0.0, 1.0)).all():
        return _sign_test(int((delta > 0).sum()), delta.size)
    return _sign_flips(delta, resamples, seed)


def _sign_test(wins: int, m: int) -> float:
    """Exact two-sided binomial p of `wins` of m at one half, in integers."""
    term = tail = 1  # binomial(m, 0), and the sum so far
    for k in range(min(wins, m - wins)):
        term = term * (m - k) // (k + 1)
        tail += term
    return min(1.0, float(2 * tail / (1 << m)))


def _sign_flips(delta: npt.NDArray[np.float64], resamples: int, seed: int) -> float:
    """Share of sign patterns whose sum is at least as far from 0 as the one seen."""
    seen = abs(delta.sum()) * (1.0 - 1e-9)  # floating-point ties count as ties
    sizes = np.sort(np.abs(delta))  # so that neither the items' order nor which model comes first matters
    m = sizes.size
    if m <= EXACT_PAIRS:
        flips = (np.arange(2**m)[:, None] >> np.arange(m)) & 1
        return float((np.abs((1.0 - 2.0 * flips) @ sizes) >= seen).mean())
    flips = np.random.default_rng(seed).integers(0, 2, size=(resamples, m), dtype=np.int8)
    return float((1 + (np.abs((1.0 - 2.0 * flips) @ sizes) >= seen).sum()) / (resamples + 1))


# ---------------------------------------------------------------- the choice


class Candidate(Record):
    """A scored trial that may become the result: its search items by id, and whether it ends its turns."""

    id: str
    items: dict[str, float]
    stops: bool = True

    @property
    def value(self) -> float:
        """Its mean search score."""
        return float(np.mean(list(self.items.values())))


class Choice(Record):
    """What was chosen; `trial` None is the base. `unresolved`: a rival is within noise."""

    trial: str | None
    why: str
    unresolved: bool
    runner_up: str | None = None
    p_runner_up: float | None = None
    p_base: float | None = None


def choose(
    candidates: Sequence[Candidate], base: Mapping[str, float] | None = None, confidence: float = CONFIDENCE,
    tried: int = 0,
) -> Choice:  # fmt: skip
    """The best trial by search score, or the base when nothing beats it beyond noise.

    Trials scored on fewer items than the others, or that do not stop, stand back while another exists. Ties go to
    the first. Without the base's search items the floor cannot be tested, and `why` says so. `tried`: how many trials
    were scored, where the candidates are not all of them.
    """
    field = _eligible(candidates)
    if not field:
        return Choice(trial=None, why="no trial was scored: the result is the base", unresolved=False)
    ranked = sorted(field, key=lambda candidate: -candidate.value)  # stable: the first of equals stays first
    best, rival = ranked[0], ranked[1] if len(ranked) > 1 else None
    p_rival = _p(best.items, rival.items) if rival else None
    alpha = 1.0 - confidence
    parts = [f"best of {len(field)} by search score: {best.value:.3f}" + ("" if best.stops else ", does not stop")]
    if rival and p_rival is not None:
        label = f"p = {p_rival:.2g}" + (", unresolved" if p_rival > alpha else "")
        parts.append(f"{best.value - rival.value:.3f} above {rival.id} ({label})")
    p_base, tried = _p(best.items, base) if base else None, max(tried, len(field))
    if base and p_base is not None and not _beats(best.items, base, p_base * tried, alpha):
        why = f"nothing beats the base beyond noise: {best.id}, {', '.join(parts)}; base test {of_tries(p_base, tried)}"
        above = best.value > float(np.mean(list(base.values())))
        return Choice(trial=None, why=why, unresolved=above, runner_up=best.id, p_base=p_base)
    parts.append(f"base beaten ({of_tries(p_base, tried)})" if p_base is not None else "not tested against the base")
    unresolved = p_rival is not None and p_rival > alpha
    rival_id = rival.id if rival else None
    return Choice(
        trial=best.id, why="; ".join(parts), unresolved=unresolved,
        runner_up=rival_id, p_runner_up=p_rival, p_base=p_base,
    )  # fmt: skip


def _eligible(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those scored on the most items; of these, those that stop, if any does."""
    most = max((len(candidate.items) for candidate in candidates), default=0)
    field = [candidate for candidate in candidates if candidate.items and len(candidate.items) == most]
    return [candidate for candidate in field if candidate.stops] or field


def _common(a: Mapping[str, float], b: Mapping[str, float]) -> tuple[list[float], list[float]]:
    """Both models' scores on the items that both answered."""
    shared = [item for item in a if item in b]
    return [a[item] for item in shared], [b[item] for item in shared]


def _p(a: Mapping[str, float], b: Mapping[str, float]) -> float:
    """Paired p on the common items; 1 when there are none."""
    left, right = _common(a, b)
    return paired_test(left, right) if left else 1.0


def _beats(best: Mapping[str, float], base: Mapping[str, float], p: float, alpha: float) -> bool:
    """Whether best is above the base on their common items at the (already multiplied) p."""
    left, right = _common(best, base)
    return bool(left) and sum(left) > sum(right) and p <= alpha
