"""From what a user typed to a run's request: every name checked first, then models built or fetched."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from pipeline import (
    agent_options,
    benchmarks,
    catalogue,
    chat,
    judging,
    lookcost,
    machine,
    models,
    opening,
    plugins,
    programs,
    protocols,
    published,
    sandbox,
    sideeffects,
    sizes,
)
from pipeline import reference as references
from pipeline.dressing import AUTO, named, with_family
from pipeline.errors import DataError, InputError
from pipeline.hub import ROOT
from pipeline.prior import prior_changes
from pipeline.recipe import load_recipe, search_space
from pipeline.request import RunRequest
from pipeline.types import Benchmark, Budget, DataRef, ItemsKey, Judge, Program, Recipe, Record, Reference

WORTH_TELLING_SECONDS = 0.1
Resolve = Callable[[str, int], Path]  # (model name, lab seed) -> its folder


class Asked(Record):
    """A run in the user's words. `instruct` None stands for the known sibling of `model`, if there is one."""

    model: str
    benchmark: str
    budget: Budget
    instruct: str | None = None
    family: str = AUTO  # how turns are rendered, ended and adapted: by the models' own files, or a family's name
    agent: str | None = "asha"  # None: driven by steps
    agent_options: dict[str, Any] = {}
    seed: int = 0
    lab_seed: int = 0
    judge: Judge | None = None  # of a judged benchmark
    recipe: str | None = None  # None: the benchmark's own
    executor: str = "local"
    slots: int = 1
    protocol: str = protocols.OWN  # a name, or a YAML file
    anchors: Literal["measured", "published"] = "measured"
    program: Program | None = None  # scores instead of the benchmark's scorer
    data: tuple[str, ...] | None = None  # what may be mixed, and what the recipe then starts from; None: the recipe's
    against: Reference | None = None  # what stands for the instruct model where there is none
    off_target: tuple[str, ...] = ()  # other benchmarks that the result is measured on, outside the budget
    reference: bool = True  # False: no instruct model is looked for, and there is no fraction
    deadline: float | None = None  # Unix time, see `RunRequest`


def check(asked: Asked) -> Recipe:
    """Check all names of a run without building or fetching anything; returns the recipe it starts from.

    Raises InputError naming the first thing that is wrong.
    """
    benchmark = programs.benchmark(asked.benchmark, asked.protocol, asked.program)
    if benchmark.program is not None:
        _check_program(asked, benchmark.program)
    judging.judged([benchmark], asked.judge)
    if benchmark.runs_code:
        sandbox.how()  # before a lab is built, and before the first cell of a matrix runs
    references.check(asked.against, benchmark)
    sideeffects.check(asked.off_target, asked.benchmark)
    if asked.against and (asked.instruct or asked.anchors == "published"):
        other = "--instruct" if asked.instruct else "--anchors published"
        raise InputError(f"--reference with {other}: both say what the gain is measured against: omit one")
    for model in (asked.model, asked.instruct, asked.against.model if asked.against else None):
        if model is not None:
            models.check(model)
    if asked.anchors == "published":
        published.require(benchmark, asked.model, asked.instruct, models.sibling(asked.model))
    if asked.agent is not None:
        agent_options.check(asked.agent, asked.agent_options)
    plugins.load("executors", asked.executor)
    if asked.family != AUTO:
        named(asked.family)
    recipe = (
        load_recipe(asked.recipe)
        if asked.recipe
        else _own_recipe(benchmark, asked.data, models.parameters(asked.model))
    )
    if asked.data is not None:
        mixed = tuple(DataRef(name=name) for name in asked.data)
        stages = tuple(stage.model_copy(update={"data": mixed}) for stage in recipe.stages)
        recipe = recipe.model_copy(update={"stages": stages})
    for stage in recipe.stages:
        for reference in stage.data:
            catalogue.find(reference.name, benchmark.folder)
    return recipe.model_copy(update={"model": asked.model})


def _own_recipe(benchmark: Benchmark, data: tuple[str, ...] | None, parameters: int | None = None) -> Recipe:
    """The default recipe for the benchmark and a model of that size, with those of its sources that are at hand.

    `data` will take their place.

    Raises InputError if no source is at hand and none was named.
    """
    recipe = load_recipe(sizes.recipe_for(benchmarks.recipe_address(benchmark), parameters))
    if data is not None:
        return recipe
    stages = []
    for stage in recipe.stages:
        kept = tuple(reference for reference in stage.data if catalogue.at_hand(reference.name, benchmark.folder))
        if not kept:
            missing = ", ".join(str(catalogue.copy_of(reference.name, benchmark.folder)) for reference in stage.data)
            raise InputError(
                f"benchmark {benchmark.name}: none of its recipe's data is at hand: put a copy at {missing}, unset "
                f"{ROOT} to fetch it, name other data with --data, or give a recipe of your own with --recipe"
            )
        stages.append(stage.model_copy(update={"data": kept}))
    return recipe.model_copy(update={"stages": tuple(stages)})


def _check_program(asked: Asked, program: Program) -> None:
    """Raises InputError if the program cannot be run as it is, or if something asked for cannot go with it."""
    programs.check(program, "--scorer" if asked.program else f"benchmark '{asked.benchmark}', command")
    if asked.anchors == "published":
        raise InputError("--anchors published: a program's scores compare with its own alone: omit it")
    if program.alone and asked.recipe is None and asked.data is None:
        raise InputError(
            "--scorer: nothing says what to train on: name a catalogue benchmark with --benchmark, data with --data "
            "(see `posttrain list data`), or a recipe with --recipe"
        )


def to_request(
    asked: Asked, resolve: Resolve = models.resolve, told: Callable[[str], None] = lambda text: None
) -> RunRequest:
    """The request that a Session opens with.

    Models and data sets are built or fetched here, which can take minutes, and the machine is measured if it was not
    yet: all of that is outside the budget, and `before` says how long it took. A data set that the recipe does not name
    and that cannot be had is left out of what is searched; `told` hears why.
    """
    recipe = check(asked)
    instruct = _compared_with(asked)
    is_needed = instruct is not None and asked.anchors == "measured"  # a published score needs no weights
    benchmark = programs.benchmark(asked.benchmark, asked.protocol, asked.program)
    key = ItemsKey(lab_seed=asked.lab_seed, folder=benchmarks.own_folder(asked.benchmark))
    judge = judging.plan(asked.judge, benchmark, key) if asked.judge else None
    if (
        benchmark.items and "world" not in benchmark.items
    ):  # data that is not there is better told before minutes go into models
        benchmarks.items(benchmark, "search", key)
        benchmarks.items(benchmark, "final", key)
    sideeffects.check(asked.off_target, asked.benchmark, key)
    before: dict[str, float] = {}
    with _timed(before, "measuring the machine"):
        machine.cached()
    with _timed(before, "building the lab" if asked.model.startswith("lab/") else "fetching models"):
        found = {"model": resolve(models.address(asked.model, benchmark), asked.lab_seed)}
        if instruct and is_needed:
            found["instruct"] = _instruct(asked, models.address(instruct, benchmark), resolve)
    found = with_family(found, asked.family)  # what no family fits is better refused here than in a worker
    chat.check_trainable(found["model"])
    request = RunRequest(
        model=asked.model,
        model_path=str(found["model"]),
        instruct=instruct,
        instruct_path=str(found["instruct"]) if "instruct" in found else None,
        family=asked.family,
        benchmark=asked.benchmark,
        judge=judge,
        program=asked.program,
        deadline=asked.deadline,
        sources=asked.data,
        agent=asked.agent,
        agent_options=asked.agent_options,
        seed=asked.seed,
        lab_seed=asked.lab_seed,
        budget=asked.budget,
        recipe=recipe,
        executor=asked.executor,
        slots=asked.slots,
        protocol=protocols.address(asked.protocol),
        anchors=asked.anchors,
        against=asked.against,
        off_target=asked.off_target,
        before=before,
    )
    request = request.model_copy(update={"search_limit": _look(asked, benchmark, key, told)})
    with _timed(before, "fetching data sets"):
        sources = [name for name in opening.sources(request, benchmark) if _can_be_had(name, recipe, key, told)]
    prior = prior_changes(recipe, search_space(recipe, sources), sizes.is_small(models.parameters(asked.model)))
    return request.model_copy(update={"sources": tuple(sources), "prior": prior, "before": before})


def _compared_with(asked: Asked) -> str | None:
    """The model that takes the instruct model's place; None if a number does, or nothing."""
    if asked.against is not None:
        return asked.against.model
    return (asked.instruct or models.sibling(asked.model)) if asked.reference else None


def _look(asked: Asked, benchmark: Benchmark, key: ItemsKey, told: Callable[[str], None]) -> int | None:
    """How many search items trials are scored on, where all of them would take too much of the budget."""
    if benchmark.program is not None or "world" in benchmark.items:
        return None
    found = benchmarks.items(benchmark, "search", key)
    parameters, seconds = models.parameters(asked.model), asked.budget.seconds
    limit = lookcost.affordable(machine.cached(), parameters, found, benchmark.max_tokens, seconds)
    if limit is not None:
        told(f"trials are scored on {limit} of {len(found)} search items: all of them would take too long here")
    return limit


def _can_be_had(name: str, recipe: Recipe, key: ItemsKey, told: Callable[[str], None]) -> bool:
    """Fetches a source from the Hub, where it lies there. Raises DataError if the recipe needs it and it cannot be."""
    if not catalogue.is_remote(name, key.folder):
        return True
    try:
        catalogue.rows(name, key)
    except DataError as error:
        if name in {reference.name for stage in recipe.stages for reference in stage.data}:
            raise
        told(f"left out of the search: {error}")
        return False
    return True


def _instruct(asked: Asked, instruct: str, resolve: Resolve) -> Path:
    """The instruct model's folder. One that cannot be had is refused with the flag that takes a published score."""
    try:
        return resolve(instruct, asked.lab_seed)
    except InputError as error:
        raise published.instead(error, [benchmarks.load_benchmark(asked.benchmark)], asked.model) from None


@contextlib.contextmanager
def _timed(spent: dict[str, float], what: str) -> Iterator[None]:
    """Notes the seconds that something took, if it took any worth telling."""
    begun = time.perf_counter()
    yield
    seconds = time.perf_counter() - begun
    if seconds >= WORTH_TELLING_SECONDS:
        spent[what] = round(seconds, 3)
