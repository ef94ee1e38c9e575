"""Protocols: a published set of benchmarks with weights, items and decoding, as a YAML in evals/protocols/ or a file.

A protocol changes a benchmark: its weight, how answers to it are drawn, which items it has (`items: test`), and whether
worked examples stand before its questions (`system_shots`).
`own`, the default, changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline import published
from pipeline.benchmarks import load_benchmark, on_whole_test
from pipeline.errors import InputError, unknown
from pipeline.gain import weighted_average
from pipeline.paths import share
from pipeline.types import Benchmark, Decoding, Strict
from pipeline.yaml_file import read_model

Scores = Mapping[str, Mapping[str, float]]  # by model and benchmark

OWN = "own"
SUFFIX = ".yaml"


class Protocol(Strict):
    """One protocol. `averages` are in `unit`; the scores of its anchors stand in its benchmarks' own files."""

    name: str
    summary: str
    weights: dict[str, float] = Field(min_length=1)  # by benchmark: these are its benchmarks
    items: Literal["own", "test"] = "own"  # test: search and final items are both the whole test set
    decoding: dict[str, Decoding] = {}  # by benchmark; without: the benchmark's own
    few_shot: Decoding | None = None  # of the few-shot base, repeated as its benchmark is; without: as all
    system_shots: dict[str, int] = {}  # by benchmark: worked examples in a system turn before every question
    reshuffled: tuple[str, ...] = ()  # benchmarks of which each of several answers is to its item in another order
    unit: Literal["share", "percent"] = "share"  # of published scores, here and where they are compared
    pairs: dict[str, str] = {}  # base: instruct
    averages: dict[str, float] = {}  # published weighted averages, by row

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, weight in self.weights.items():
            if not weight > 0.0:
                raise ValueError(f"weights: {name}: must be above 0, not {weight}")
        for key, named in (
            ("decoding", self.decoding),
            ("reshuffled", self.reshuffled),
            ("system_shots", self.system_shots),
        ):
            for name in named:
                if name not in self.weights:
                    raise ValueError(f"{key}: {name} has no weight: benchmarks are {', '.join(self.weights)}")
        return self

    def average(self, scores: Scores) -> float:
        """The weighted average of scores[model][benchmark], over the benchmarks that are there."""
        return weighted_average(scores, self.weights)

    def fraction(self, scores: Scores, over: str = "base") -> float:
        """The share of the human gain in scores[model][benchmark], by the published anchors of the same models.

        `over` is base or base_few_shot. Raises InputError where the protocol has no anchors of a model or benchmark.
        """
        floor, human = (self.average(self._anchors(role, scores)) for role in (over, "instruct"))
        return (self.average(scores) - floor) / (human - floor)

    def _anchors(self, role: str, scores: Scores) -> Scores:
        """The published scores of a role in the cells that `scores` has, in the protocol's unit."""
        return {model: {name: self._anchor(role, model, name) for name in row} for model, row in scores.items()}

    def _anchor(self, role: str, model: str, name: str) -> float:
        found = published.scores(load_benchmark(name), model).get(role)
        if found is None:
            raise InputError(
                f"protocol {self.name}: no {role.replace('_', ' ')} score of {model} is published on {name}; name a "
                "model that has one"
            )
        return 100 * found.value if self.unit == "percent" else found.value

    def few_shot_of(self, name: str) -> Decoding | None:
        """How the few-shot base's answers to a benchmark are drawn; None: as all models'."""
        if self.few_shot is None or self.few_shot.temperature == 0.0 or name not in self.decoding:
            return self.few_shot
        return self.few_shot.model_copy(update={"repeats": self.decoding[name].repeats})


def folder() -> Path:
    """Where the protocols that ship lie."""
    return share("evals") / "protocols"


def names() -> list[str]:
    """The protocols that can be named, `own` first."""
    return [OWN, *sorted(name_of(str(path)) for path in folder().glob(f"*{SUFFIX}"))]


def name_of(protocol: str) -> str:
    """The name of a protocol that is given by name or by file."""
    return Path(protocol).name.removesuffix(SUFFIX)


def address(protocol: str) -> str:
    """What a run folder keeps: a name as it is, a file of the user's by its whole path. Raises InputError: unknown."""
    if protocol != OWN:
        load(protocol)
    return protocol if protocol in names() else str(Path(protocol).expanduser().absolute())


def load(protocol: str) -> Protocol:
    """A protocol other than `own`, by name or file. Raises InputError: unknown, or its file is wrong."""
    path = Path(protocol).expanduser()
    if protocol in names() and protocol != OWN:
        path = folder() / f"{protocol}{SUFFIX}"
    elif not protocol.endswith(SUFFIX):
        raise unknown("protocol", protocol, names())
    found = read_model(path, Protocol)
    if found.name != name_of(str(path)):
        raise InputError(f"{path}: name '{found.name}' is not its file's name: rename one of them")
    return found


def benchmark(name: str | Path, protocol: str = OWN) -> Benchmark:
    """A benchmark (see `load_benchmark`) as a protocol has it. Raises InputError if it is not part of the protocol."""
    if protocol == OWN:
        return load_benchmark(name)
    terms, loaded = load(protocol), load_benchmark(name)
    if loaded.name not in terms.weights:
        mini = f", a miniature of {loaded.sibling}," if loaded.sibling else ""
        raise InputError(
            f"benchmark '{loaded.name}'{mini} is not part of the protocol {terms.name}: its benchmarks are "
            f"{', '.join(terms.weights)}; omit --protocol for others"
        )
    changes = {
        "weight": terms.weights[loaded.name],
        "decoding": terms.decoding.get(loaded.name, loaded.decoding),
        "few_shot_decoding": terms.few_shot_of(loaded.name),
        "reshuffled": loaded.name in terms.reshuffled,
    }
    if loaded.name in terms.system_shots:
        if "sets" not in loaded.items:
            raise InputError(f"protocol {terms.name}: system_shots: {loaded.name} takes its items from no data set")
        changes["items"] = {**loaded.items, "system_shots": terms.system_shots[loaded.name]}
    changed = loaded.model_copy(update=changes)
    return on_whole_test(changed) if terms.items == "test" else changed


def is_whole_test(benchmark: Benchmark) -> bool:
    """Whether search and final items are both the whole test set: then the search has seen its final items' scores."""
    return bool(benchmark.items.get("whole"))
