"""A model x a benchmark's items -> a score and per-item results. The same for base, instruct, trials and finals."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipeline import benchmarks, decoding, plugins, programs, sandbox, scoring_progress, totals
from pipeline.errors import InputError
from pipeline.jobs import ITEMS, JOB, OUTCOME, EvaluateJob
from pipeline.judges.client import check as check_judge
from pipeline.judges.tasks import JUDGED
from pipeline.paths import read_json, write_json, write_jsonl
from pipeline.repeats import answers_of, passes, within
from pipeline.types import Benchmark, Cost, ItemsKey, Judge, Record, Score

Item = dict[str, Any]


@dataclass(frozen=True)
class Evaluation:
    """A score with the per-item results that it is the mean of (see `scorers.harness.score` for their fields)."""

    score: Score
    items: list[Item]
    seconds: float
    unused: frozenset[int] | None = None  # of an engine on a file of answers: the rows that no item asked for

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
    configured_as: str | Path | None = None,
    told: Callable[[float], None] | None = None,
    **options: Any,
) -> Evaluation:
    """Score the model in `model_path` on `items`, with the benchmark's scorer or another; `options` go to the engine.

    Answers are drawn as the benchmark says, or, with `configured_as`, as the generation_config.json of the model in
    that folder says. `few_shot` uses the benchmark's raw text form after so many examples, drawn by `key`. `told` hears
    of the share of answers that are there, if the engine tells it. Raises InputError.
    """
    if benchmark.program is not None and scorer is None:
        return _by_program(model_path, benchmark, role, few_shot)
    if benchmark.runs_code:
        sandbox.how()  # better refused before anything is generated
    scorer = scorer or benchmark.scorer
    judged: dict[str, Any] = {"judge": judge} if scorer == JUDGED else {}
    if judged:
        check_judge(judge, f"benchmark '{benchmark.name}'")
    begun = time.perf_counter()
    shots = benchmarks.items(benchmark, "fewshot", key or ItemsKey()) if few_shot else []
    how = (few_shot and benchmark.few_shot_decoding) or benchmark.decoding
    is_recorded = "file" in options  # answers made elsewhere: the model is only a label
    if configured_as is not None:
        options["further_ends"] = decoding.further_ends(configured_as, model_path)
        how = decoding.of_model(configured_as, how.own or "transformers", how.repeats).decoding
    elif not is_recorded:
        how = decoding.settled(how, model_path)
    opened = plugins.entry("engines", engine)(str(model_path), **options)
    if told is not None:
        scoring_progress.listen(opened, told)
    drawn = benchmark.model_copy(update={"decoding": how})
    results = plugins.entry("scorers", scorer)(opened, drawn, items, few_shot, shots, **judged)
    score = summarise(benchmark, results, role, few_shot)
    known = score.model_copy(update={"decoding": None if is_recorded else how})
    return Evaluation(known, results, time.perf_counter() - begun, getattr(opened, "unused", None))


def _by_program(
    model_path: str | Path, benchmark: Benchmark, role: Literal["search", "final"], few_shot: int
) -> Evaluation:
    """What a user's program says of the model; there are no per-item results."""
    if few_shot:
        raise InputError(f"benchmark '{benchmark.name}': its program prompts by itself: score it without examples")
    begun = time.perf_counter()
    score = plugins.entry("scorers", "program")(model_path, benchmark, role)
    return Evaluation(score, [], time.perf_counter() - begun)


def by_reading(found: Evaluation) -> list[Score]:
    """The score by strict reading and, where there is one, by lenient reading, each with its own standard error."""
    score = found.score
    if not found.items:  # a program's
        return [score]
    scores = [score.model_copy(update={"metric": f"{score.metric}, strict"})]
    if score.lenient is not None:
        rows = _leniently(found.items)
        given = {"metric": f"{score.metric}, lenient", "value": score.lenient, "stderr": totals.stderr(rows)}
        of_strict = {"stderr_within": None, "pass_at_k": None}
        scores.append(score.model_copy(update=given | of_strict))
    return scores


def _leniently(results: Sequence[Item]) -> list[Item]:
    return [{**result, "strict": result["lenient"]} for result in results]


def summarise(benchmark: Benchmark, results: Sequence[Item], role: Literal["search", "final"], few_shot: int) -> Score:
    """The score that per-item results amount to (see `totals`); several answers to an item are one (see `repeats`)."""
    return Score(
        benchmark=benchmark.name,
        metric=benchmark.metric,
        value=totals.value(results),
        stderr=totals.stderr(results),
        n=len(results),
        role=role,
        lenient=totals.value(_leniently(results)),
        stops=_stops(results, few_shot),
        repeats=min(len(answers_of(result)) for result in results),
        stderr_within=within(results),
        pass_at_k=passes(results),
    )


def _stops(results: Sequence[Item], few_shot: int) -> float | None:
    """The share of answers that ended by themselves. None: not known, or in raw text form, which a stop text ends."""
    stopped = [answer["stopped"] for result in results for answer in answers_of(result)]
    known = [each for each in stopped if each is not None]
    return float(np.mean(known)) if known and not few_shot else None


def why_not_stopping(results: Sequence[Item], max_tokens: int, end: str) -> str:
    """How the answers went on that did not end by themselves; `end` is the token that should have ended them."""
    known = [result for result in results if result["stopped"] is not None]
    endless = [result for result in known if not result["stopped"]]
    others = Counter(result["ending"] for result in endless if result.get("ending"))
    long = sum(not result.get("ending") and result["tokens"] >= max_tokens for result in endless)
    rest = len(endless) - long - others.total()
    parts = [f"{count} wrote {token} instead of {end} and went on" for token, count in others.most_common(2)]
    parts += [f"{long} ran to max_tokens ({max_tokens})"] if long else []
    parts += [f"{rest} went on to a stop text"] if rest else []
    never = f"; {end} was never written" if not any(result.get("ending") == end for result in known) else ""
    return f"of {len(known)} answers {', '.join(parts) or 'none went on'}{never}"


def main(folder: str | Path, told: Callable[[float], None] | None = None) -> None:
    """An EvaluateJob in a process of its own: reads job.json, writes items.jsonl and then outcome.json.

    How far it is goes to the job's folder, or to `told` in the process of who wants to know.
    """
    begun, folder = time.perf_counter(), Path(folder)
    job = EvaluateJob.model_validate(read_json(folder / JOB))
    benchmark = programs.benchmark(job.benchmark, job.protocol, job.program)
    items = [] if benchmark.program else benchmarks.items(benchmark, job.role, job.key, job.limit)
    with scoring_progress.Teller(folder) as written:
        found = evaluate(
            job.model_path,
            benchmark,
            items,
            job.role,
            job.few_shot,
            job.key,
            job.engine,
            job.scorer,
            job.judge,
            job.configured_as,
            told or written,
        )
    mode = 0o600 if job.role == "final" else 0o666
    if found.items:
        write_jsonl(folder / ITEMS, found.items, mode)
    cost = Cost(seconds=time.perf_counter() - begun, eval_seconds=found.seconds, dollars=found.dollars)
    write_json(folder / OUTCOME, Evaluated(score=found.score, cost=cost), mode)
