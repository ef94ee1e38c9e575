"""Scoring by another model: lm-eval asks and our engine answers as ever, then a judge is asked about the answers.

What the judge is asked and how its verdicts count stands in `utils.py` beside the task: `questions(doc, answer)`,
`read(reply)` and `result(doc, verdicts)` (see `pipeline.judges.pairwise` and `rubric`), and `OUTPUT_TOKENS`, the length
of a reply, for the estimate of the price.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from pipeline.contracts import Engine
from pipeline.errors import JudgeError
from pipeline.judges.ask import Asker, Question, Ruling
from pipeline.judges.shown import shown
from pipeline.judges.tasks import JudgedTask
from pipeline.providers.prices import price
from pipeline.repeats import answers_of, merged
from pipeline.scorers import harness
from pipeline.types import Benchmark, Judge

Item = dict[str, Any]
TOO_FEW_TO_TELL = 10  # verdicts; of so many unread ones not even one read means that this judge cannot judge


def score(
    engine: Engine,
    benchmark: Benchmark,
    items: Sequence[Item],
    few_shot: int = 0,
    shots: Sequence[Item] = (),
    judge: Judge | None = None,
) -> list[Item]:
    """The results of `scorers.harness.score`, judged: what the task's `result` gives, and who judged at what price.

    `asked` and `kept` count new verdicts and those that were there already; `dollars` is None where the price is not
    known. Raises InputError, before anything is generated, if there is no judge; JudgeError if verdicts are missing.
    """
    asker, task = Asker(judge, f"benchmark '{benchmark.name}'"), JudgedTask(benchmark)
    answered = harness.score(engine, benchmark, items, few_shot, shots)
    answers = [(number, answer) for number, row in enumerate(answered) for answer in answers_of(row)]
    asked = [task.questions(items[number], shown(answer["response"])) for number, answer in answers]
    flat = [question for some in asked for question in some]
    asker.tell(flat, task.output_tokens, benchmark.name)
    rulings = asker.rule(flat, task.read)
    _refuse_unread(asker, rulings, flat)
    ends = list(accumulate(map(len, asked)))
    is_priced = price(asker.client.address) is not None
    rows: list[list[Item]] = [[] for _ in items]
    for (number, answer), some, end in zip(answers, asked, ends, strict=True):
        found = _judged(task, items[number], rulings[end - len(some) : end], str(asker.client.address), is_priced)
        rows[number].append({"id": answered[number]["id"]} | answer | found)
    return [_together(some) for some in rows]


def _together(rows: Sequence[Item]) -> Item:
    """The judged answers to one item: weighted as its questions are, and what they cost added up."""
    if len(rows) == 1:
        return rows[0]
    weights = [row.get("weight", 1.0) for row in rows]
    means = {name: sum(w * row[name] for w, row in zip(weights, rows, strict=True)) / sum(weights)
             for name in ("strict", "lenient")}  # fmt: skip
    dollars = None if any(row["dollars"] is None for row in rows) else sum(row["dollars"] for row in rows)
    more = {"weight": sum(weights) / len(weights)} if "weight" in rows[0] else {}
    return merged(rows) | means | more | {"dollars": dollars}


def _judged(task: JudgedTask, item: Item, rulings: Sequence[Ruling], judge: str, is_priced: bool) -> Item:
    found = task.result(item, [ruling.verdict for ruling in rulings])
    return found | {
        "judge": judge,
        "asked": sum(not ruling.kept for ruling in rulings),
        "kept": sum(ruling.kept for ruling in rulings),
        "dollars": sum(ruling.dollars for ruling in rulings) if is_priced else None,
    }


def _refuse_unread(asker: Asker, rulings: Sequence[Ruling], questions: Sequence[Question]) -> None:
    if len(rulings) >= TOO_FEW_TO_TELL and all(ruling.verdict is None for ruling in rulings):
        raise JudgeError(
            f"judge {asker.client.address}: not one of {len(questions)} replies holds a verdict: take a stronger judge"
        )
