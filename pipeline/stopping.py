"""The gate that a trained model passes: does it end its turns by itself, on as many prompts as tell something?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline import benchmarks
from pipeline.chat import family_of
from pipeline.evaluate import Evaluation, evaluate, why_not_stopping
from pipeline.repeats import answers_of
from pipeline.types import Benchmark, ItemsKey, Record

Item = dict[str, Any]
ENOUGH = 0.95  # share of answers that must end by themselves
PROMPTS = 32  # on so many at least, as far as the benchmark has them: of fewer, one answer alone would decide


class Stopping(Record):
    """The share of answers that ended by themselves (None: not known), how many were looked at, and how others went."""

    share: float | None
    answers: int
    why: str = ""
    seconds: float = 0.0  # that answering further prompts took

    @property
    def suffices(self) -> bool:
        """Whether at least 95% did."""
        return self.share is None or self.share >= ENOUGH


def examine(model_path: str | Path, benchmark: Benchmark, key: ItemsKey, found: Evaluation) -> Stopping:
    """How the model that has the search score `found` ends its turns.

    Where that score is of fewer than 32 prompts, so many more are answered, greedily or not as all are: of the search
    split, then of the examples. They do not count for the score.
    """
    results, seconds = list(found.items), 0.0
    if not results:  # a program's score, which tells no answers
        return Stopping(share=None, answers=0)
    if found.score.stops is not None and len(results) < PROMPTS:
        further = _further(benchmark, key, {str(item["id"]) for item in results})[: PROMPTS - len(results)]
        if further:
            once = benchmark.model_copy(update={"decoding": benchmark.decoding.model_copy(update={"repeats": 1})})
            more = evaluate(model_path, once, further, "search", key=key, scorer="harness")
            results, seconds = [*results, *more.items], more.seconds
    answers = [answer for row in results for answer in answers_of(row)]
    known = [answer["stopped"] for answer in answers if answer["stopped"] is not None]
    return Stopping(
        share=sum(known) / len(known) if known else None,
        answers=len(known),
        why=why_not_stopping(answers, benchmark.max_tokens, family_of(model_path).end_of_turn),
        seconds=seconds,
    )


def _further(benchmark: Benchmark, key: ItemsKey, done: set[str]) -> list[Item]:
    """Search items that were not answered, then examples: all that may be looked at without looking at final items."""
    items = [*benchmarks.items(benchmark, "search", key), *benchmarks.items(benchmark, "fewshot", key)]
    return list({str(item["id"]): item for item in items if str(item["id"]) not in done}.values())
