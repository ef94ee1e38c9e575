"""Several answers to each item: what an item's score is, how sure the mean over items is, and pass@k. Pure.

Answers to one item share its difficulty, so they are no independent observations of the model: the item is the unit,
its score the mean of its answers, and the standard error is that of the mean over items. More answers per item make
each item's score sharper (`within` says by how much); only more items tell more about other items.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, sqrt
from typing import Any

import numpy as np

Item = dict[str, Any]
OF_ITEM = ("id", "set")  # what a result says of its item and not of an answer


def merged(answers: Sequence[Item]) -> Item:
    """One item's result from its answers' results: means, and all answers under `responses`. One answer stays itself.

    `stopped` is whether all that are known did, `tokens` their sum.
    """
    if len(answers) == 1:
        return answers[0]
    known = [answer["stopped"] for answer in answers if answer["stopped"] is not None]
    return {
        **{name: value for name, value in answers[0].items() if name in OF_ITEM},
        "strict": sum(answer["strict"] for answer in answers) / len(answers),
        "lenient": sum(answer["lenient"] for answer in answers) / len(answers),
        "stopped": all(known) if known else None,
        "tokens": sum(answer.get("tokens") or 0 for answer in answers),
        "responses": [{name: value for name, value in a.items() if name not in OF_ITEM} for a in answers],
    }


def answers_of(result: Item) -> list[Item]:
    """The answers behind an item's result, one or several."""
    return result.get("responses") or [result]


def within(results: Sequence[Item]) -> float | None:
    """The part of the mean's standard error that comes of drawing answers: sqrt(sum of s_i^2 / n_i) / items.

    s_i is the deviation of item i's n_i answers. None where an item has fewer than two.
    """
    drawn = [[float(answer["strict"]) for answer in answers_of(result)] for result in results]
    if any(len(scores) < 2 for scores in drawn):
        return None
    return sqrt(sum(float(np.var(scores, ddof=1)) / len(scores) for scores in drawn)) / len(drawn)


def pass_at_k(n: int, right: int, k: int) -> float:
    """The chance that at least one of k answers is right, from n answers of which `right` are (Chen et al. 2021).

    1 - C(n - right, k) / C(n, k): unbiased, as it is the share of all choices of k among the n that hold a right one.
    Raises ValueError unless 1 <= k <= n and 0 <= right <= n.
    """
    if not (1 <= k <= n and 0 <= right <= n):
        raise ValueError(f"pass@{k} of {right} right among {n}: needs 1 <= k <= n and 0 <= right <= n")
    return 1.0 - comb(n - right, k) / comb(n, k)


def passes(results: Sequence[Item]) -> dict[str, float] | None:
    """Mean pass@k over items by k, from 1 to the fewest answers of an item; None if answers are not right or wrong."""
    drawn = [[float(answer["strict"]) for answer in answers_of(result)] for result in results]
    fewest = min(map(len, drawn))
    if fewest < 2 or any(score not in (0.0, 1.0) for scores in drawn for score in scores):
        return None
    return {
        str(k): sum(pass_at_k(len(scores), int(sum(scores)), k) for scores in drawn) / len(drawn)
        for k in range(1, fewest + 1)
    }
