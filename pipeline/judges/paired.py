"""Two sets of verdicts on the same answers, of two judges, two runs or a person: how far do they agree? Pure.

A set is rows as per-item results have them: `id` and `verdicts`, perhaps `benchmark`, `of` (whose answer), `response`,
`judge`, `strict` and `weight`. Verdicts are the marks of `pairwise` (in both orders) or `rubric`'s True and False.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline import totals
from pipeline.answers.verdicts import VERDICTS
from pipeline.errors import DataError, InputError
from pipeline.judges import agreement
from pipeline.judges.pairwise import UNREAD
from pipeline.repeats import answers_of

Row = Mapping[str, Any]
Key = tuple[str, str, str, int]  # benchmark, whose answer, item, which of its answers
ORDERS = {"baseline_first": "B", "candidate_first": "A"}  # the candidate's letter in it
RESAMPLES = 2_000


@dataclass(frozen=True)
class Verdicts:
    """What one judge said, by answer; `judge` is its name, if the rows say it."""

    judge: str
    by_answer: dict[Key, Row]
    skipped: int  # rows without verdicts


def read(rows: Sequence[Row], where: str, named: Sequence[str] = ("benchmark", "of")) -> Verdicts:
    """The verdicts in rows of `where`, keyed by those of the `named` fields that are to tell answers apart.

    Raises DataError: a row without an id, an unknown verdict, an answer twice; InputError: no verdicts at all.
    """
    found: dict[Key, Row] = {}
    judged = [(number, row) for number, row in enumerate(rows, start=1) if _is_judged(row)]
    for number, row in judged:
        place = f"{where}, row {number}"
        if not isinstance(row.get("id"), str | int) or isinstance(row.get("id"), bool):
            raise DataError(f'{place}: "id" must name the item that was answered')
        names = [str(row.get(name) or "") if name in named else "" for name in ("benchmark", "of")]
        for copy, answer in enumerate(answers_of(dict(row))):
            _refuse_unknown(answer["verdicts"], place)
            key = (names[0], names[1], str(row["id"]), copy)
            if key in found:
                raise DataError(
                    f"{place}: {row['id']} is there twice: name its `benchmark` and whose answer it is, `of`"
                )
            found[key] = answer
    if not found:
        raise InputError(
            f"{where}: no verdicts: name per-item results of a judged benchmark, as `evaluate` writes them"
        )
    names_of = dict.fromkeys(str(answer["judge"]) for answer in found.values() if answer.get("judge"))
    return Verdicts(" and ".join(names_of) or where, found, len(rows) - len(judged))


def _is_judged(row: Row) -> bool:
    return all(isinstance(answer.get("verdicts"), list) for answer in answers_of(dict(row)))


def _refuse_unknown(verdicts: Sequence[Any], place: str) -> None:
    is_marks = any(isinstance(each, str) for each in verdicts)
    known = (*VERDICTS, UNREAD) if is_marks else (True, False, None)
    unknown = [each for each in verdicts if each not in known or (not is_marks and isinstance(each, int | float)
                                                                  and not isinstance(each, bool))]  # fmt: skip
    if unknown:
        raise DataError(
            f"{place}: {unknown[0]!r} is no verdict: they are {', '.join(VERDICTS)} (baseline's answer first, then the "
            "candidate's), or true and false by criterion"
        )
    if is_marks and len(verdicts) != len(ORDERS):
        raise DataError(f"{place}: {len(verdicts)} verdicts: a pair is compared in both orders, which makes two")


def compare(first: Verdicts, second: Verdicts) -> dict[str, Any]:
    """How far two sets agree, by benchmark. Raises InputError if they share no answer."""
    shared = [key for key in first.by_answer if key in second.by_answer]
    if not shared:
        raise InputError(
            f"{first.judge} and {second.judge} have no answer in common: compare verdicts on the same items"
        )
    pairs = {key: (first.by_answer[key], second.by_answer[key]) for key in shared}
    same = {key: pair for key, pair in pairs.items() if _is_same_answer(*pair)}
    if not same:
        raise InputError(
            f"{first.judge} and {second.judge} judged other answers to the same items: have them judge the same"
        )
    return {
        "first": first.judge,
        "second": second.judge,
        "only_first": len(first.by_answer) - len(shared),
        "only_second": len(second.by_answer) - len(shared),
        "other_answers": len(pairs) - len(same),
        "benchmarks": [
            _benchmark(name, [pair for key, pair in same.items() if key[0] == name])
            for name in dict.fromkeys(key[0] for key in same)
        ],
    }


def _is_same_answer(one: Row, other: Row) -> bool:
    return one.get("response", other.get("response")) == other.get("response", one.get("response"))


def _benchmark(name: str, pairs: Sequence[tuple[Row, Row]]) -> dict[str, Any]:
    for one, other in pairs:
        if len(one["verdicts"]) != len(other["verdicts"]):
            n = f"{len(one['verdicts'])} and {len(other['verdicts'])}"
            raise InputError(f"{name or 'the verdicts'}: {n} verdicts on one answer: these are of other criteria")
    asked = [pair for pair in pairs if not any(_by_definition(row) for row in pair)]
    columns = [list(_both(pair)) for pair in asked]
    is_pairwise = any(isinstance(verdict, str) for pair in asked for row in pair for verdict in row["verdicts"])
    found = {
        "benchmark": name,
        "answers": len(pairs),
        "unread": [sum(_is_unread(v) for pair in asked for v in pair[side]["verdicts"]) for side in (0, 1)],
        **_agreement([both for column in columns for both in column], columns),
        **_scores(pairs),
    }
    return found | (_pairwise(asked) if is_pairwise else {})


def _by_definition(row: Row) -> bool:
    """Whether nobody was asked: the answer was the baseline's own."""
    return row.get("asked") == 0 and row.get("kept") == 0


def _is_unread(verdict: Any) -> bool:
    return verdict is None or verdict == UNREAD


def _both(pair: tuple[Row, Row], order: int | None = None) -> Iterator[tuple[Any, Any]]:
    """Both sides' verdicts where both have one."""
    told = zip(pair[0]["verdicts"], pair[1]["verdicts"], strict=True)
    for place, (one, other) in enumerate(told):
        if order in (None, place) and not _is_unread(one) and not _is_unread(other):
            yield one, other


def _agreement(both: Sequence[tuple[Any, Any]], columns: Sequence[Sequence[tuple[Any, Any]]] = ()) -> dict[str, Any]:
    """The share that agrees, with its interval if the verdicts of each answer are given, and kappa."""
    if not both:
        return {"verdicts": 0, "agreement": None, "kappa": None}
    one, other = ([pair[side] for pair in both] for side in (0, 1))
    found = {"verdicts": len(both), "agreement": agreement.agreement(one, other), "kappa": agreement.kappa(one, other)}
    return found | ({"interval": _interval(columns)} if columns else {})


def _interval(columns: Sequence[Sequence[tuple[Any, Any]]]) -> list[float]:
    """The 95% interval of the agreement: answers are resampled, as the verdicts on one of them hang together."""
    counts_Ax2 = np.array([[sum(a == b for a, b in column), len(column)] for column in columns], float)
    counts_Ax2 = counts_Ax2[counts_Ax2[:, 1] > 0]
    drawn = np.random.default_rng(0).integers(0, len(counts_Ax2), (RESAMPLES, len(counts_Ax2)))
    sums_Rx2 = counts_Ax2[drawn].sum(1)
    return [float(each) for each in np.quantile(sums_Rx2[:, 0] / sums_Rx2[:, 1], (0.025, 0.975))]


def _scores(pairs: Sequence[tuple[Row, Row]]) -> dict[str, Any]:
    """What the answers score by either side, where the rows say it."""
    if any("strict" not in row for pair in pairs for row in pair):
        return {"scores": None}
    return {"scores": [totals.value([dict(pair[side]) for pair in pairs]) for side in (0, 1)]}


def _pairwise(asked: Sequence[tuple[Row, Row]]) -> dict[str, Any]:
    """By order of the answers; on who wins, whatever the margin; and each side's consistency between the orders."""
    winners = [
        [(agreement.winner(one, letter), agreement.winner(other, letter)) for one, other in _both(pair, place)]
        for pair in asked
        for place, letter in enumerate(ORDERS.values())
    ]
    sides = [[row["verdicts"] for row in (pair[side] for pair in asked)] for side in (0, 1)]
    flips = [agreement.position_bias(side) for side in sides]
    return {
        "winner": _agreement([both for some in winners for both in some]),
        "orders": {
            name: _agreement([both for pair in asked for both in _both(pair, place)])
            for place, name in enumerate(ORDERS)
        },
        "consistency": [None if flip is None else 1.0 - flip for flip in flips],
        "first_wins": [agreement.first_wins(side) for side in sides],
    }
