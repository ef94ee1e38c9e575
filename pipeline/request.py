"""What a run was asked to do, as run.json keeps it, and the news that a run tells while it works."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from pipeline import __version__, benchmarks, programs, protocols, recipe
from pipeline.decoding import describe
from pipeline.errors import InputError
from pipeline.judging import JudgePlan
from pipeline.paths import digest, read_json
from pipeline.strategy import strategy_of
from pipeline.types import Benchmark, Budget, ItemsKey, Program, Record, Reference, Trial
from pipeline.types import Recipe as RecipeNoun

RUN_FILE = "run.json"
UNVERIFIED = "unverified"  # a submission's label: what it was trained from and on is not known
WHOLE_TEST = "search and final items are both the whole test set"
LIBRARIES = ("torch", "transformers", "trl", "peft", "datasets", "lm_eval", "numpy", "scipy")


class RunRequest(Record):
    """A run as its user asked for it. `*_path` are the folders that the names above them were resolved to."""

    model: str
    model_path: str
    instruct: str | None = None  # the human reference; without it there is no fraction
    instruct_path: str | None = None
    family: str | None = None
    benchmark: str  # a name in evals/ or a folder
    judge: JudgePlan | None = None  # of a judged benchmark
    program: Program | None = None  # of the user's, that scores instead of the benchmark's scorer
    agent: str | None = None  # None: driven by steps, so its clock runs from opening to finish
    agent_options: dict[str, Any] = {}  # its own options; never a key
    seed: int = 0
    lab_seed: int = 0
    budget: Budget = Budget()
    deadline: float | None = None  # Unix time by which the search is over and its model scored, whatever the budget
    recipe: RecipeNoun
    sources: tuple[str, ...] | None = None  # what may be mixed; None: the catalogue's sources of the benchmark's kind
    prior: tuple[dict[str, Any], ...] = ()  # patches that an agent may try first
    executor: str = "local"
    slots: int = 1
    threads: int | None = None  # per slot; None: the machine's cores, divided
    search_limit: int | None = None  # search items at most
    final_limit: int | None = None  # final items at most
    guards: tuple[str, ...] = ()  # beside those that ship: dotted addresses from the user's command line
    protocol: str = protocols.OWN  # a name, or the whole path of a user's YAML
    keep_best: int = 3  # trials whose weights are kept
    before: dict[str, float] = {}  # seconds spent before opening, outside the budget, by what on: building the lab, say
    anchors: Literal["measured", "published"] = "measured"  # what the fraction compares with: see `pipeline.published`
    against: Reference | None = None  # named instead of an instruct model: a model, then `instruct` too, or a number
    off_target: tuple[str, ...] = ()  # other benchmarks that base and result are measured on at the end
    keeps_anchors: bool = True  # measured anchors are taken from, and put into, the cache (`pipeline.anchors`)
    keep_open: int = 16  # trials whose checkpoints are kept for a continuation
    # From the run's folder, the sealed folder of the comparison that it is an arm of: arms are scored on the same final
    # items and measure their anchors once.
    sealed_with: str | None = None

    @property
    def key(self) -> ItemsKey:
        """What decides the items of everything but the final split: no salt."""
        return ItemsKey(lab_seed=self.lab_seed, folder=benchmarks.own_folder(self.benchmark))


class News(Record):
    """One thing that happened in a run, for whoever watches."""

    what: Literal["warning", "anchor", "started", "progress", "finished", "rejected", "agent", "ended", "final"]
    text: str
    trial: Trial | None = None
    progress: dict[str, Any] | None = None
    seconds_left: float | None = None  # of the budget; None where there is none


def describe_run(request: RunRequest, benchmark: Benchmark, seals: dict[str, str]) -> dict[str, Any]:
    """run.json: the request, the versions it runs with, fingerprints of what decides its result."""
    from pipeline import catalogue  # reads the catalogue's YAML

    used = {reference.name for stage in request.recipe.stages for reference in stage.data}
    return {
        "schema": 1,
        "request": request,
        "metric": benchmark.metric,
        "terms": _terms(request, benchmark),
        "versions": versions(),
        "fingerprints": {
            "recipe": recipe.fingerprint(request.recipe),
            "data": {name: digest(catalogue.stamp(name, request.key)) for name in sorted(used)},
            "benchmark": digest(benchmark.model_dump(mode="json", exclude={"folder"})),
        },
        "strategy": strategy_of(request.recipe, catalogue.kinds(benchmark.folder)),
        "seals": seals,
        "sealed": _is_sealed(benchmark),
    }


def _is_sealed(benchmark: Benchmark) -> bool:
    """Whether final items are kept apart from those that the search is scored on."""
    if benchmark.program is not None:
        return programs.knows_splits(benchmark.program)
    return not protocols.is_whole_test(benchmark)


def _terms(request: RunRequest, benchmark: Benchmark) -> dict[str, Any]:
    """How the run scores, in words: which items, and how answers are drawn."""
    few_shot, program = benchmark.few_shot_decoding, benchmark.program
    if program is not None:
        told = {"items": programs.items_told(program), "decoding": "the program's own", "program": program.command}
        return {"protocol": protocols.name_of(request.protocol), "weight": benchmark.weight, **told}
    return {
        "protocol": protocols.name_of(request.protocol),
        "weight": benchmark.weight,
        "items": WHOLE_TEST if protocols.is_whole_test(benchmark) else "search and final items are disjoint",
        "decoding": describe(benchmark.decoding),
        "few_shot_decoding": describe(few_shot) if few_shot else None,
    }


def read_run(folder: Path) -> tuple[RunRequest, dict[str, Any]]:
    """The request in a run folder, and all of run.json. Raises InputError if it is no run folder."""
    if not (folder / RUN_FILE).is_file():
        raise InputError(f"{folder}: not a run folder (it has no {RUN_FILE}): name one that search or open wrote")
    document = read_json(folder / RUN_FILE)
    try:
        return RunRequest.model_validate(document["request"]), document
    except (ValidationError, KeyError, TypeError) as error:
        what = " ".join(str(error).split())[:200]
        raise InputError(f"{folder / RUN_FILE}: not readable ({what}): restore it, or start another run") from None


def versions() -> dict[str, str]:
    """Versions of this package, Python and the libraries that decide a result, found without importing them."""
    found = {"posttrain": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
