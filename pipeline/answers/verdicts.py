"""Arena-Hard's five verdicts on two answers, A and B, and what they count: a strong one as three games. Pure.

As arena-hard-auto v2 counts (`show_result.py`): the score is the share of all games won, a tie half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

VERDICTS = ("A>>B", "A>B", "A=B", "B>A", "B>>A")
TIE = "A=B"
STRONG = 3  # games that a strong verdict counts as


@dataclass(frozen=True)
class Game:
    """The share that one side won of so many games."""

    share: float
    weight: int = 1


def game(verdict: str, side: str) -> Game:
    """What a verdict counts for one side, `A` or `B`. Raises ValueError: no verdict."""
    if verdict not in VERDICTS:
        raise ValueError(f"unknown verdict {verdict!r}: known are {', '.join(VERDICTS)}")
    if verdict == TIE:
        return Game(0.5)
    return Game(float(verdict[0] == side), STRONG if ">>" in verdict else 1)


def together(games: Sequence[Game]) -> Game:
    """All games as one. Raises ValueError: there is none."""
    weight = sum(each.weight for each in games)
    if not weight:
        raise ValueError("no verdict to count")
    return Game(sum(each.weight * each.share for each in games) / weight, weight)
