"""The benchmarks: each folder of evals/ with a benchmark.yaml is one, and its items come from a lab world."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from pipeline import worlds
from pipeline.errors import InputError, unknown
from pipeline.paths import share
from pipeline.types import Benchmark, ItemsKey, Strict
from pipeline.validation import first_fault
from pipeline.yaml_file import read_model

Item = dict[str, Any]  # at least "id", "question", "answer"
Split = Literal["search", "final", "fewshot"]
SPLITS = ("search", "final", "fewshot")
FILE = "benchmark.yaml"


class WorldItems(Strict):
    """The `items` of a benchmark.yaml: a world, and how many items each split has.

    `pool` final items are reserved: no source draws from them, and a run's salt selects its `final` ones there.
    """

    world: str
    search: int = Field(ge=1)
    final: int = Field(ge=1)
    pool: int = Field(ge=1)

    @model_validator(mode="after")
    def _pool_suffices(self) -> Self:
        if self.final > self.pool:
            raise ValueError(f"final asks for {self.final} items of a pool of {self.pool}: lower it")
        return self


def names() -> list[str]:
    """The benchmarks that ship: the folders of evals/ that have a benchmark.yaml."""
    return sorted(path.parent.name for path in share("evals").glob(f"*/{FILE}"))


def load_benchmark(name_or_folder: str | Path) -> Benchmark:
    """A benchmark by name, or from a folder of the user's own.

    Raises InputError: unknown, or its file is wrong (naming file, line and key).
    """
    folder = Path(name_or_folder)
    if str(name_or_folder) in names():
        folder = share("evals") / name_or_folder
    elif not folder.is_dir():
        raise unknown("benchmark", str(name_or_folder), names())
    benchmark = read_model(folder / FILE, Benchmark, folder=str(folder))
    if benchmark.name != folder.resolve().name:
        raise InputError(f"{folder / FILE}: name '{benchmark.name}' is not its folder's name: rename one of them")
    _items_of(benchmark)
    return benchmark


def _items_of(benchmark: Benchmark) -> WorldItems:
    try:
        found = WorldItems.model_validate(benchmark.items)
    except ValidationError as error:
        place, message = first_fault(error, WorldItems, ("items",))
        where = ".".join(map(str, place))
        raise InputError(f"{Path(benchmark.folder) / FILE}: {where}: {message}") from None
    if found.world not in worlds.names():
        raise InputError(
            f"{Path(benchmark.folder) / FILE}: items.world: {unknown('world', found.world, worlds.names())}"
        )
    return found


def items(benchmark: Benchmark, split: Split, key: ItemsKey, limit: int | None = None) -> list[Item]:
    """The items of a split, the same for the same key; `limit` takes the first ones. Treat them as read-only.

    The key's salt matters to `final` only. Few-shot items are as many as the benchmark's `few_shot`.
    """
    if split not in SPLITS:
        raise unknown("split", split, list(SPLITS))
    if limit is not None and limit < 1:
        raise InputError(f"limit {limit}: must be at least 1")
    source = _items_of(benchmark)
    n = benchmark.few_shot if split == "fewshot" else int(getattr(source, split))
    salt = key.salt if split == "final" else ""
    return list(_world_items(source.world, split, n, key.lab_seed, salt))[:limit]


@lru_cache(maxsize=32)
def _world_items(world: str, split: str, n: int, lab_seed: int, salt: str) -> tuple[Item, ...]:
    return tuple(worlds.get(world).items(lab_seed, split, n, salt=salt))


def final_pool(benchmark: Benchmark, key: ItemsKey) -> list[Item]:
    """All reserved final items, selected or not: what no training data may hold. Treat them as read-only."""
    return list(_world_pool(_items_of(benchmark).world, key.lab_seed))


@lru_cache(maxsize=8)
def _world_pool(world: str, lab_seed: int) -> tuple[Item, ...]:
    return tuple(worlds.get(world).final_pool(lab_seed))
