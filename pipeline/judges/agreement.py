"""What recorded verdicts say of a judge: how often two sets of them agree, how much the answers' order counts. Pure.

Verdicts are labels: the five marks of `pipeline.judges.pairwise` or True and False of `pipeline.judges.rubric`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from pipeline.answers.verdicts import TIE
from pipeline.errors import InputError
from pipeline.judges.pairwise import UNREAD
from pipeline.repeats import answers_of

Pair = Sequence[str]  # two verdicts on one question: baseline first, candidate first


def agreement(first: Sequence[Hashable], second: Sequence[Hashable]) -> float:
    """The share of verdicts on which two judges, or two runs of one, agree."""
    _refuse_unpaired(first, second)
    return sum(a == b for a, b in zip(first, second, strict=True)) / len(first)


def kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Cohen's kappa: agreement beyond what the two judges' own habits would give by chance (Cohen 1960).

        kappa = (agreement - chance) / (1 - chance),   chance = sum over labels of share_1 * share_2

    None where both always give one and the same label: there is no chance to do better than.
    """
    _refuse_unpaired(first, second)
    n, ours, theirs = len(first), Counter(first), Counter(second)
    chance = sum(count * theirs[label] for label, count in ours.items()) / n**2
    return None if chance == 1.0 else (agreement(first, second) - chance) / (1.0 - chance)


def winner(verdict: str, candidate: str) -> int:
    """1 where the candidate (`A` or `B` in the verdict) wins, -1 where the baseline does, 0 for a tie or no verdict."""
    if verdict in (TIE, UNREAD):
        return 0
    return 1 if verdict[0] == candidate else -1


def position_bias(pairs: Iterable[Pair]) -> float | None:
    """The share of pairs whose verdict flips with the order: one answer wins in one order, the other in the other.

    Pairs with an unread verdict say nothing. None if no pair says anything.
    """
    read = [pair for pair in pairs if UNREAD not in pair]
    flips = [winner(pair[0], "B") * winner(pair[1], "A") < 0 for pair in read]
    return sum(flips) / len(flips) if flips else None


def first_wins(pairs: Iterable[Pair]) -> float | None:
    """The share of decided verdicts that prefer the answer that stands first; 0.5 without bias. None if none does."""
    decided = [verdict[0] == "A" for pair in pairs for verdict in pair if verdict not in (TIE, UNREAD)]
    return sum(decided) / len(decided) if decided else None


def facts(results: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """What judged per-item results say of their judging; None if they are not judged.

    `verdicts` in all, those `asked` for and `kept` from before (the others are ties by definition), `unread` ones,
    `dollars` spent (None: price not known), and of pairs `position_bias` and `first_wins`.
    """
    rows = [answer for result in results for answer in answers_of(result)]
    if not rows or any("verdicts" not in row for row in rows):
        return None
    given = [verdict for row in rows for verdict in row["verdicts"]]
    costs = [row.get("dollars") for row in rows]
    found: dict[str, Any] = {
        "judge": rows[0].get("judge"),
        "verdicts": len(given),
        "asked": sum(row.get("asked", 0) for row in rows),
        "kept": sum(row.get("kept", 0) for row in rows),
        "unread": sum(verdict is None or verdict == UNREAD for verdict in given),
        "dollars": None if None in costs else sum(costs),
    }
    if all("weight" in row for row in rows):
        pairs = [row["verdicts"] for row in rows if row.get("asked", 0) + row.get("kept", 0)]
        found |= {"position_bias": position_bias(pairs), "first_wins": first_wins(pairs)}
    return found


def _refuse_unpaired(first: Sequence[Hashable], second: Sequence[Hashable]) -> None:
    if len(first) != len(second) or not first:
        raise InputError(
            f"verdicts do not pair ({len(first)} and {len(second)}): compare verdicts on the same questions"
        )
