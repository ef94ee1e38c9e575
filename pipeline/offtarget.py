"""What a model is like on a task that it was not trained for: accuracy, and bits per byte of the gold answers.

Accuracy of a small model is often 0 on both sides of a training, and then tells nothing; the likelihood of the right
answers moves before that. Bits per byte, -log2 p(answer | question) over its UTF-8 bytes, do not hang on a tokenizer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline import benchmarks, decoding, plugins, sandbox, scoring_progress, set_items
from pipeline.errors import InputError
from pipeline.evaluate import Evaluated, Evaluation, summarise
from pipeline.jobs import ITEMS, JOB, OUTCOME, EvaluateJob
from pipeline.paths import read_json, write_json, write_jsonl
from pipeline.types import Benchmark, Completion, Cost, Request

Item = dict[str, Any]
ITEM_COUNT = 100  # of each task
PAIRS_AT_ONCE = 8  # all logits of an answer are held in memory


def check(benchmark: Benchmark) -> None:
    """Raises InputError for a benchmark whose items have no gold answers: a judge's or a program's."""
    if benchmark.scorer != "harness" or benchmark.program is not None:
        raise InputError(
            f"--off-target {benchmark.name}: it has no gold answers (scored by a {benchmark.scorer}): omit it"
        )
    if benchmark.runs_code:
        sandbox.how()


def measure(
    model_path: str | Path, benchmark: Benchmark, items: Sequence[Item], engine: str = "hf",
    told: Callable[[float], None] = lambda share: None,
) -> Evaluation:  # fmt: skip
    """The model's answers, scored, each item with the `bits` and `bytes` of its gold answer after the same prompt."""
    begun = time.perf_counter()
    how = decoding.settled(benchmark.decoding, model_path)
    opened = Heard(plugins.entry("engines", engine)(str(model_path)))
    scoring_progress.listen(opened.engine, told)
    drawn = benchmark.model_copy(update={"decoding": how})
    results = plugins.entry("scorers", benchmark.scorer)(opened, drawn, items, 0, ())
    golds = [gold(benchmark, item) for item in items]
    pairs = [(opened.requests[number], text) for number, text in enumerate(golds)]
    found: list[tuple[float, bool]] = []
    for begin in range(0, len(pairs), PAIRS_AT_ONCE):
        found += opened.engine.loglikelihood(pairs[begin : begin + PAIRS_AT_ONCE])
    rows = [
        {**result, "bits": -likelihood / math.log(2), "bytes": len(text.encode())}
        for result, (likelihood, _), text in zip(results, found, golds, strict=True)
    ]
    return Evaluation(summarise(benchmark, results, "search", 0), rows, time.perf_counter() - begun)


def gold(benchmark: Benchmark, item: Item) -> str:
    """An item's answer as the benchmark's worked examples write it."""
    return str(set_items.module_of(benchmark.folder).few_shot_answer(item))


class Heard:
    """An engine whose requests are remembered by their item's number."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.requests = engine, {}  # type: ignore[var-annotated]

    def generate(self, requests: Sequence[Request]) -> list[list[Completion]]:
        self.requests |= {request.index: request for request in requests}
        return self.engine.generate(requests)


def main(folder: str | Path) -> None:
    """An EvaluateJob in a process of its own: reads job.json, writes items.jsonl and then outcome.json."""
    begun, folder = time.perf_counter(), Path(folder)
    job = EvaluateJob.model_validate(read_json(folder / JOB))
    benchmark = benchmarks.load_benchmark(job.benchmark)
    items = benchmarks.items(benchmark, "search", job.key, job.limit)
    with scoring_progress.Teller(folder) as told:
        found = measure(job.model_path, benchmark, items, job.engine, told)
    write_jsonl(folder / ITEMS, found.items)
    cost = Cost(seconds=time.perf_counter() - begun, eval_seconds=found.seconds)
    write_json(folder / OUTCOME, Evaluated(score=found.score, cost=cost))
