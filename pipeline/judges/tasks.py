"""A judged benchmark: what its `utils.py` says of questions to the judge, and what judging it will cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.judges.ask import Question, Read
from pipeline.providers.names import Address
from pipeline.providers.prices import dollars
from pipeline.set_items import utils
from pipeline.types import Benchmark

Item = dict[str, Any]
JUDGED = "judge"  # the scorer of such a benchmark
ANSWER_BYTES = 3_000  # of an answer that is not there yet
NEEDED = ("questions", "read", "result", "OUTPUT_TOKENS")


class JudgedTask:
    """The judging part of a benchmark's `utils.py`. Raises InputError naming what it lacks."""

    def __init__(self, benchmark: Benchmark) -> None:
        self._utils = utils(benchmark.folder)
        for name in NEEDED:
            if not hasattr(self._utils, name):
                path = Path(benchmark.folder) / "utils.py"
                raise InputError(f"{path}: has no {name}: a benchmark whose scorer is `judge` needs it")
        self.read: Read = self._utils.read
        self.output_tokens: int = self._utils.OUTPUT_TOKENS

    def questions(self, item: Item, answer: str) -> list[Question]:
        """What the judge is asked about an answer."""
        return list(self._utils.questions(item, answer))

    def result(self, item: Item, verdicts: Sequence[Any]) -> Item:
        """`strict`, `lenient`, `verdicts` and perhaps `weight` of an item."""
        return dict(self._utils.result(item, verdicts))


def estimate(benchmark: Benchmark, items: Sequence[Item], judge: Address, answers: int = 1) -> tuple[int, float | None]:
    """Verdicts that `answers` answers to each item need, and about what they cost before there is any answer."""
    task, answer = JudgedTask(benchmark), "x" * ANSWER_BYTES
    questions = [question for item in items for question in task.questions(item, answer)]
    cost = dollars(judge, sum(map(Question.tokens, questions)), task.output_tokens * len(questions))
    return answers * len(questions), None if cost is None else answers * cost
