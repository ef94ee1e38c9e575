"""A model x a benchmark's items -> a score and per-item results. The same for base, instruct, trials and finals."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipeline import benchmarks, plugins, sandbox, totals
from pipeline.jobs import ITEMS, JOB, OUTCOME, EvaluateJob
from pipeline.judges.client import check as check_judge
from pipeline.judges.tasks import JUDGED
from pipeline.paths import read_json, write_json, write_jsonl
from pipeline.types import Benchmark, Cost, ItemsKey, Judge, Record, Score

Item = dict[str, Any]
ENOUGH_STOPS = 0.95  # share of answers that must end by themselves
STOP_PROMPTS = 32  # fewer answers than that say too little about stopping


@dataclass(frozen=True)
class Evaluation:
    """A score with the per-item results that it is the mean of (see `scorers.harness.score` for their fields)."""

    score: Score
    items: list[Item]
    seconds: float

    @property
    def dollars(self) -> float:
        """What a judge cost, as far as its price is known."""
        return float(sum(item.get("dollars") or 0.0 for item in self.items))


class Evaluated(Record):
    """The outcome of an EvaluateJob; the per-item results lie beside it in items.jsonl."""

    score: Score
    cost: Cost


def evaluate(
    model_path: str | Path,
    benchmark: Benchmark,
    items: Sequence[Item],
    role: Literal["search", "final"],
    few_shot: int = 0,
    key: ItemsKey | None = None,
    engine: str = "hf",
    scorer: str | None = None,
    judge: Judge | None = None,
    **options: Any,
) -> Evaluation:
    """Score the model in `model_path` on `items`, with the benchmark's scorer or another; `options` go to the engine.

    `few_shot` uses the benchmark's raw text form after so many examples, drawn by `key`. Raises InputError.
    """
    if benchmark.runs_code:
        sandbox.how()  # better refused before anything is generated
    scorer = scorer or benchmark.scorer
    judged: dict[str, Any] = {"judge": judge} if scorer == JUDGED else {}
    if judged:
        check_judge(judge, f"benchmark '{benchmark.name}'")
    begun = time.perf_counter()
    shots = benchmarks.items(benchmark, "fewshot", key or ItemsKey(), few_shot) if few_shot else []
    opened = plugins.entry("engines", engine)(str(model_path), **options)
    results = plugins.entry("scorers", scorer)(opened, benchmark, items, few_shot, shots, **judged)
    return Evaluation(summarise(benchmark, results, role, few_shot), results, time.perf_counter() - begun)


def summarise(benchmark: Benchmark, results: Sequence[Item], role: Literal["search", "final"], few_shot: int) -> Score:
    """The score that per-item results amount to (see `pipeline.totals`)."""
    return Score(
        benchmark=benchmark.name,
        metric=benchmark.metric,
        value=totals.value(results),
        stderr=totals.stderr(results),
        n=len(results),
        role=role,
        lenient=totals.value([{**result, "strict": result["lenient"]} for result in results]),
        stops=_stops(results, few_shot),
    )


def _stops(results: Sequence[Item], few_shot: int) -> float | None:
    """The share of answers that ended by themselves. None: not known, or in raw text form, which a stop text ends."""
    known = [result["stopped"] for result in results if result["stopped"] is not None]
    return float(np.mean(known)) if known and not few_shot else None


def stops_enough(score: Score) -> bool:
    """Whether the model ends its turns by itself: at least 95% of the answers did."""
    return score.stops is None or score.stops >= ENOUGH_STOPS


def main(folder: str | Path) -> None:
    """An EvaluateJob in a process of its own: reads job.json, writes items.jsonl and then outcome.json."""
    begun, folder = time.perf_counter(), Path(folder)
    job = EvaluateJob.model_validate(read_json(folder / JOB))
    benchmark = benchmarks.load_benchmark(job.benchmark)
    items = benchmarks.items(benchmark, job.role, job.key, job.limit)
    found = evaluate(
        job.model_path, benchmark, items, job.role, job.few_shot, job.key, job.engine, job.scorer, job.judge
    )
    mode = 0o600 if job.role == "final" else 0o666
    write_jsonl(folder / ITEMS, found.items, mode)
    cost = Cost(seconds=time.perf_counter() - begun, eval_seconds=found.seconds, dollars=found.dollars)
    write_json(folder / OUTCOME, Evaluated(score=found.score, cost=cost), mode)
