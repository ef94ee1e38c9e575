"""Scores without items, as programs give them: which of two is better, which trial is chosen. Pure.

Two scores of the same items would be compared item by item (`pipeline.noise`); where only numbers are told they count
as independent, which asks for a larger difference than pairing would. Where not even their errors are told nothing can
be tested: the best one is chosen all the same, and called unresolved.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, hypot, isclose, sqrt
from statistics import NormalDist

from pipeline.gain import normal_reach
from pipeline.noise import CONFIDENCE, Choice, binomial_error, of_tries
from pipeline.types import Record, Score

UNKNOWN = "the program tells neither a standard error nor how many items it scored"
MOST_EXACT = 5_000  # items; of more the exact test takes long, and its normal limit is as good
NEARLY_WHOLE = 1e-3  # how far a share of n items may be from a whole number of them, rounded as it was written


class Marked(Record):
    """A trial with its search score."""

    id: str
    score: Score


def p_value(a: Score, b: Score) -> float | None:
    """Two-sided p of 'a and b score alike': Fisher's exact test on counts, else by standard errors; None: unknown."""
    counts = (_counts(a), _counts(b))
    if counts[0] is not None and counts[1] is not None:
        return fisher(*counts[0], *counts[1])
    if a.stderr is None or b.stderr is None:
        return None
    error = hypot(a.stderr, b.stderr)
    if error == 0.0:
        return 1.0 if a.value == b.value else 0.0
    return 2.0 * NormalDist().cdf(-abs(a.value - b.value) / error)


def _counts(score: Score) -> tuple[int, int] | None:
    """How many of how many items are right, where that is what a score is: its error is then the binomial one."""
    if score.n is None or score.n > MOST_EXACT or not 0.0 <= score.value <= 1.0 or not _is_binomial(score):
        return None
    right = score.value * score.n
    return (round(right), score.n) if abs(right - round(right)) <= NEARLY_WHOLE * max(1.0, right) else None


def _is_binomial(score: Score) -> bool:
    """Whether a score's error is that of right and wrong items, as programs reckon it."""
    told, n, spread = score.stderr, score.n or 1, score.value * (1.0 - score.value)
    known = (binomial_error(score.value, n), sqrt(spread / n), sqrt(spread / max(1, n - 1)))
    return told is not None and any(isclose(told, each, rel_tol=NEARLY_WHOLE) for each in known)


def fisher(right_a: int, n_a: int, right_b: int, n_b: int) -> float:
    """Fisher's exact test, two-sided: the chance of tables at most as likely as this one, its margins given."""
    right = right_a + right_b
    low, high = max(0, right - n_b), min(right, n_a)
    ways = {k: comb(n_a, k) * comb(n_b, right - k) for k in range(low, high + 1)}
    return min(1.0, sum(way for way in ways.values() if way <= ways[right_a]) / sum(ways.values()))


def smallest_difference(score: Score, confidence: float = CONFIDENCE) -> float | None:
    """The smallest difference of two scores like this one that is worth believing; None: unknown."""
    return None if score.stderr is None else normal_reach(score.stderr, score.stderr, confidence)


def choose(candidates: Sequence[Marked], base: Score | None, confidence: float = CONFIDENCE, tried: int = 0) -> Choice:
    """The best trial by search score, or the base when none is above it, or none beyond a noise that is known.

    As `noise.choose`: the base is tested at alpha over the number of trials (`tried`, where the candidates are not all
    of them), ties go to the first.
    """
    if not candidates:
        return Choice(trial=None, why="no trial was scored: the result is the base", unresolved=False)
    ranked = sorted(candidates, key=lambda candidate: -candidate.score.value)
    best, rival = ranked[0], ranked[1] if len(ranked) > 1 else None
    alpha, told = 1.0 - confidence, f"best of {len(ranked)} by search score: {best.score.value:.3f}"
    p_base, tried = p_value(best.score, base) if base else None, max(tried, len(ranked))
    if base and best.score.value <= base.value:
        why = f"nothing beats the base ({base.value:.3f}): {best.id}, {told}"
        return Choice(trial=None, why=why, unresolved=False, runner_up=best.id, p_base=p_base)
    if p_base is not None and p_base * tried > alpha:
        why = f"nothing beats the base beyond noise: {best.id}, {told}; base test {of_tries(p_base, tried)}"
        return Choice(trial=None, why=why, unresolved=True, runner_up=best.id, p_base=p_base)
    p_rival = p_value(best.score, rival.score) if rival else None
    parts = [told, *_against(best, rival, p_rival, alpha), _over(best, base, p_base, tried)]
    return Choice(
        trial=best.id, why="; ".join(parts), unresolved=p_base is None or (p_rival is not None and p_rival > alpha),
        runner_up=rival.id if rival else None, p_runner_up=p_rival, p_base=p_base,
    )  # fmt: skip


def _against(best: Marked, rival: Marked | None, p: float | None, alpha: float) -> list[str]:
    if rival is None:
        return []
    label = "" if p is None else f" ({of_tries(p, 1)}{', unresolved' if p > alpha else ''})"
    return [f"{best.score.value - rival.score.value:.3f} above {rival.id}{label}"]


def _over(best: Marked, base: Score | None, p: float | None, tried: int) -> str:
    if base is None:
        return "not tested against the base"
    if p is None:
        return f"{best.score.value - base.value:.3f} above the base, unresolved: {UNKNOWN}"
    return f"base beaten ({of_tries(p, tried)})"
