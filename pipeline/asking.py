"""From what a user typed to a run's request: every name checked first, then models built or fetched."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline import benchmarks, catalogue, machine, models, opening, plugins, sandbox
from pipeline.chat import family_of
from pipeline.prior import prior_changes
from pipeline.recipe import load_recipe, search_space
from pipeline.request import RunRequest
from pipeline.types import Budget, Recipe, Record

WORTH_TELLING_SECONDS = 0.1
Resolve = Callable[[str, int], Path]  # (model name, lab seed) -> its folder


class Asked(Record):
    """A run in the user's words. `instruct` None stands for the known sibling of `model`, if there is one."""

    model: str
    benchmark: str
    budget: Budget
    instruct: str | None = None
    agent: str | None = "asha"  # None: driven by steps
    seed: int = 0
    lab_seed: int = 0
    recipe: str | None = None  # None: the benchmark's own
    executor: str = "local"
    slots: int = 1


def check(asked: Asked) -> Recipe:
    """Check all names of a run without building or fetching anything; returns the recipe it starts from.

    Raises InputError naming the first thing that is wrong.
    """
    benchmark = benchmarks.load_benchmark(asked.benchmark)
    if benchmark.runs_code:
        sandbox.how()  # before a lab is built, and before the first cell of a matrix runs
    for model in (asked.model, asked.instruct):
        if model is not None:
            models.check(model)
    if asked.agent is not None:
        plugins.entry("agents", asked.agent)
    plugins.load("executors", asked.executor)
    recipe = load_recipe(asked.recipe or benchmark.recipe)
    for stage in recipe.stages:
        for reference in stage.data:
            catalogue.find(reference.name)
    return recipe.model_copy(update={"model": asked.model})


def to_request(asked: Asked, resolve: Resolve = models.resolve) -> RunRequest:
    """The request that a Session opens with.

    Models are built or fetched here, which can take minutes, and the machine is measured if it was not yet: all of
    that is outside the budget, and `before` says how long it took.
    """
    recipe = check(asked)
    instruct = asked.instruct or models.sibling(asked.model)
    before: dict[str, float] = {}
    with _timed(before, "measuring the machine"):
        machine.cached()
    with _timed(before, "building the lab" if asked.model.startswith("lab/") else "fetching models"):
        model_path = str(resolve(asked.model, asked.lab_seed))
        instruct_path = str(resolve(instruct, asked.lab_seed)) if instruct else None
    for path in filter(None, (model_path, instruct_path)):
        family_of(path)  # an architecture that no family knows is better refused here than in a worker
    request = RunRequest(
        model=asked.model,
        model_path=model_path,
        instruct=instruct,
        instruct_path=instruct_path,
        benchmark=asked.benchmark,
        agent=asked.agent,
        seed=asked.seed,
        lab_seed=asked.lab_seed,
        budget=asked.budget,
        recipe=recipe,
        executor=asked.executor,
        slots=asked.slots,
        before=before,
    )
    sources = opening.sources(request, benchmarks.load_benchmark(asked.benchmark))
    return request.model_copy(update={"prior": prior_changes(recipe, search_space(recipe, sources))})


@contextlib.contextmanager
def _timed(spent: dict[str, float], what: str) -> Iterator[None]:
    """Notes the seconds that something took, if it took any worth telling."""
    begun = time.perf_counter()
    yield
    seconds = time.perf_counter() - begun
    if seconds >= WORTH_TELLING_SECONDS:
        spent[what] = round(seconds, 3)
