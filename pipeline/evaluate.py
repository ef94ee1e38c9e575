"""A model x a benchmark's items -> a score and per-item results. The same for base, instruct, trials and finals."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipeline import benchmarks, plugins, sandbox
from pipeline.jobs import ITEMS, JOB, OUTCOME, EvaluateJob
from pipeline.paths import read_json, write_json, write_jsonl
from pipeline.types import Benchmark, Cost, ItemsKey, Record, Score

Item = dict[str, Any]
ENOUGH_STOPS = 0.95  # share of answers that must end by themselves
STOP_PROMPTS = 32  # fewer answers than that say too little about stopping


@dataclass(frozen=True)
class Evaluation:
    """A score with the per-item results that it is the mean of (see `scorers.harness.score` for their fields)."""

    score: Score
    items: list[Item]
    seconds: float


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
    scorer: str = "harness",
    **options: Any,
) -> Evaluation:
    """Score the model in `model_path` on `items`; `options` go to the engine.

    `few_shot` uses the benchmark's raw text form after so many examples, drawn by `key`. Raises InputError.
    """
    if benchmark.runs_code:
        sandbox.how()  # better refused before anything is generated
    begun = time.perf_counter()
    shots = benchmarks.items(benchmark, "fewshot", key or ItemsKey(), few_shot) if few_shot else []
    opened = plugins.entry("engines", engine)(str(model_path), **options)
    results = plugins.entry("scorers", scorer)(opened, benchmark, items, few_shot, shots)
    return Evaluation(summarise(benchmark, results, role, few_shot), results, time.perf_counter() - begun)


def summarise(benchmark: Benchmark, results: Sequence[Item], role: Literal["search", "final"], few_shot: int) -> Score:
    """The score that per-item results amount to; the standard error is the mean's.

    Items may be worth less than nothing where a rubric takes points off; a mean is clipped to [0, 1], as HealthBench's.
    """
    strict = np.array([result["strict"] for result in results], float)
    spread = float(strict.std(ddof=1)) if len(strict) > 1 else 0.0
    return Score(
        benchmark=benchmark.name,
        metric=benchmark.metric,
        value=_clipped(strict),
        stderr=spread / math.sqrt(len(strict)),
        n=len(strict),
        role=role,
        lenient=_clipped([result["lenient"] for result in results]),
        stops=_stops(results, few_shot),
    )


def _clipped(items: Any) -> float:
    return float(np.clip(np.mean(items), 0.0, 1.0))


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
        job.model_path, benchmark, items, job.role, job.few_shot, job.key, engine=job.engine, scorer=job.scorer
    )
    mode = 0o600 if job.role == "final" else 0o666
    write_jsonl(folder / ITEMS, found.items, mode)
    cost = Cost(seconds=time.perf_counter() - begun, eval_seconds=found.seconds)
    write_json(folder / OUTCOME, Evaluated(score=found.score, cost=cost), mode)
