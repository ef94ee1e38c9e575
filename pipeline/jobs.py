"""What a worker process is asked to do: job.json in the job's folder. The answer is outcome.json beside it."""

from __future__ import annotations

from typing import Literal

from pipeline.types import ItemsKey, Judge, Program, Recipe, Record

JOB = "job.json"
OUTCOME = "outcome.json"
ITEMS = "items.jsonl"  # per-item results


class TrialJob(Record):
    """Train a recipe and score it on the search split (`pipeline.trial.main`). Answered by a `types.Outcome`."""

    trial: str
    recipe: Recipe
    model_path: str
    benchmark: str  # a name, or a folder
    protocol: str = "own"
    key: ItemsKey = ItemsKey()  # its salt is empty: a trial never learns which final items count
    fidelity: float = 1.0
    resume_from: str | None = None  # another trial's checkpoint of the same recipe
    limit_seconds: float | None = None  # for training, saving included
    tail_limit: int | None = (
        None  # steps of the last stage's tail at most, where a rerun's original had no time for more
    )
    proposed_at: float = 0.0  # Unix time
    search_limit: int | None = None  # items to score; None for all
    program: Program | None = None  # scores instead of the benchmark's scorer
    guards: tuple[str, ...] = ("contamination",)  # asked about every source before it is trained on
    judge: Judge | None = None  # of a judged benchmark
    threads: int | None = None  # that the process has, told for a rerun: sums of as many parts round alike


class SubmissionJob(Record):
    """Take a checkpoint in and score it on the search split (`pipeline.submission.main`). Answered by an `Outcome`."""

    trial: str
    source: str  # a folder of the user's, or of an agent's
    model_path: str  # the run's base
    references: dict[str, str] = {}  # what it must not be: folders of `base` and `instruct`
    benchmark: str
    protocol: str = "own"
    key: ItemsKey = ItemsKey()
    search_limit: int | None = None
    guards: tuple[str, ...] = ()  # asked about the copy
    judge: Judge | None = None


class EvaluateJob(Record):
    """Score a model (`pipeline.evaluate.main`). Answered by an `evaluate.Evaluated`.

    For the final split the job's folder has to be a sealed one: the per-item results are written into it.
    """

    model_path: str
    benchmark: str
    protocol: str = "own"
    role: Literal["search", "final"] = "search"
    key: ItemsKey = ItemsKey()  # with the salt if the role is final
    few_shot: int = 0
    limit: int | None = None
    engine: str = "hf"
    scorer: str | None = None  # None: the benchmark's
    program: Program | None = None  # scores instead of it
    judge: Judge | None = None
    configured_as: str | None = None  # a model whose generation_config.json says how to decode, for this one
