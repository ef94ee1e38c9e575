"""The benchmarks: each folder of evals/ with a benchmark.yaml is one, and any folder of the user's that has one.

Items come from a lab world, from data sets, or from files in the benchmark's own folder.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from pipeline import file_items, plugins, set_items, worlds
from pipeline.errors import InputError, unknown
from pipeline.file_items import FileItems
from pipeline.paths import share
from pipeline.set_items import SetItems, split_items, whole_test
from pipeline.types import Benchmark, ItemsKey, Program, Strict
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


ItemsSource = WorldItems | SetItems | FileItems


def names() -> list[str]:
    """The benchmarks that ship: the folders of evals/ that have a benchmark.yaml."""
    return sorted(path.parent.name for path in share("evals").glob(f"*/{FILE}"))


def tiny_names() -> dict[str, str]:
    """The lab's benchmarks among them, the miniatures, and the world that each one's items are generated from."""
    found = {name: load_benchmark(name).items.get("world") for name in names()}
    return {name: world for name, world in found.items() if world is not None}


def load_benchmark(name_or_folder: str | Path) -> Benchmark:
    """A benchmark by name, or from a folder of the user's own; `NAME:PART` takes one part of one that has parts.

    Raises InputError: unknown, or its file is wrong (naming file, line and key).
    """
    name, _, part = str(name_or_folder).partition(":")
    if not part or Path(name_or_folder).is_dir():
        name, part = str(name_or_folder), ""
    folder = Path(name)
    if name in names():
        folder = share("evals") / name
    elif not folder.is_dir() and (name.startswith(".") or "/" in name):
        raise InputError(
            f"benchmark '{name}': no such folder: `posttrain task create` makes one of your own rows; `posttrain list "
            "benchmarks` shows the others"
        )
    elif not folder.is_dir():
        raise unknown("benchmark", name, names())
    benchmark = read_model(folder / FILE, Benchmark, folder=str(folder))
    if benchmark.name != folder.resolve().name:
        raise InputError(f"{folder / FILE}: name '{benchmark.name}' is not its folder's name: rename one of them")
    benchmark = benchmark.model_copy(update={"task": benchmark.task or benchmark.name, "program": _program(benchmark)})
    found = _items_of(benchmark)
    scorer = benchmark.scorer
    if scorer != "harness" and "." not in scorer and scorer not in plugins.names("scorers"):
        raise InputError(f"{folder / FILE}: scorer: {unknown('scorer', scorer, plugins.names('scorers'))}")
    return _part_of(benchmark, found, part) if part else benchmark


def own_folder(name: str) -> str:
    """The folder that a benchmark's name is, as a whole path; "" for the name of one that ships."""
    is_own = bool(name) and name not in names() and Path(name).is_dir()
    return str(Path(name).absolute()) if is_own else ""


def recipe_address(benchmark: Benchmark) -> str:
    """What `load_recipe` finds a benchmark's default recipe by: a name, or the whole path of a file in its folder."""
    is_file = benchmark.recipe.endswith((".yaml", ".yml")) and bool(benchmark.folder)
    return str(Path(benchmark.folder).absolute() / benchmark.recipe) if is_file else benchmark.recipe


def items_stamp(benchmark: Benchmark) -> list[Any] | None:
    """What decides a benchmark's final items, beside key and code, as plain data; None: not known without reading."""
    source = _items_of(benchmark)
    if isinstance(source, FileItems):
        return [benchmark.items, file_items.stamp(benchmark.folder, source)]
    if not isinstance(source, SetItems):
        return [benchmark.items]
    read = set_items.stamp(benchmark.folder, source)
    return None if read is None else [benchmark.items, read]


def files(benchmark: Benchmark) -> list[Path]:
    """The local copies of data sets that a benchmark's items are read from."""
    source = _items_of(benchmark)
    return set_items.files(source) if isinstance(source, SetItems) else []


def _program(benchmark: Benchmark) -> Program | None:
    """The program that scores a benchmark, if one does. Raises InputError: a command without it, or it without one."""
    if (benchmark.scorer == "program") != bool(benchmark.command):
        missing = "command" if benchmark.scorer == "program" else "scorer: program"
        raise InputError(f"{Path(benchmark.folder) / FILE}: {missing} is missing: the two belong together")
    if not benchmark.command:
        return None
    return Program(
        command=benchmark.command, folder=str(Path(benchmark.folder).absolute()), metric=benchmark.metric,
        limit=benchmark.limit, time_limit=benchmark.time_limit,
    )  # fmt: skip


def _part_of(benchmark: Benchmark, found: ItemsSource | None, part: str) -> Benchmark:
    """The benchmark with the items of one part only."""
    if not isinstance(found, SetItems) or not found.parts:
        raise InputError(f"benchmark '{benchmark.name}' has no parts: ask for it without ':{part}'")
    if part not in found.sets:
        raise unknown(f"part of {benchmark.name}", part, list(found.sets))
    items = found.model_dump(mode="json", exclude_none=True)
    for split in ("search", "final", "fewshot"):
        if split in items:
            items[split]["sets"] = [part]
    # what was published is of the whole
    changes: dict[str, Any] = {"name": f"{benchmark.name}:{part}", "items": items, "anchors": None}
    changes["max_tokens"] = found.part_tokens.get(part, benchmark.max_tokens)
    changes["recipe"] = found.part_recipes.get(part, benchmark.recipe)
    return benchmark.model_copy(update=changes)


def _items_of(benchmark: Benchmark) -> ItemsSource | None:
    """What says where the items come from; None of a program's benchmark that names none."""
    if not benchmark.items and benchmark.scorer == "program":
        return None
    model = _kind_of(benchmark.items)
    try:
        found = model.model_validate(benchmark.items)
    except ValidationError as error:
        place, message = first_fault(error, model, ("items",))
        where = ".".join(map(str, place))
        raise InputError(f"{Path(benchmark.folder) / FILE}: {where}: {message}") from None
    if isinstance(found, WorldItems) and found.world not in worlds.names():
        raise InputError(
            f"{Path(benchmark.folder) / FILE}: items.world: {unknown('world', found.world, worlds.names())}"
        )
    return found


def _kind_of(described: dict[str, Any]) -> type[WorldItems] | type[SetItems] | type[FileItems]:
    if "sets" in described:
        return SetItems
    return FileItems if "world" not in described and isinstance(described.get("final"), dict) else WorldItems


def items(benchmark: Benchmark, split: Split, key: ItemsKey, limit: int | None = None) -> list[Item]:
    """The items of a split, the same for the same key. Treat them as read-only.

    `limit` takes the first ones, and of search items that were not generated those whose hash comes first: files are
    often in some order, and a look at their beginning would tell about that alone.

    The key's salt matters to `final` items of a world only. Few-shot items are as many as the benchmark's `few_shot`,
    and one to spare where one of them may be an item, which is no example for itself.
    """
    if split not in SPLITS:
        raise unknown("split", split, list(SPLITS))
    if limit is not None and limit < 1:
        raise InputError(f"limit {limit}: must be at least 1")
    source = _items_of(benchmark)
    if source is None:
        return []
    n = benchmark.few_shot if split == "fewshot" else None
    if isinstance(source, SetItems | FileItems):
        n = n + 1 if n is not None and source.whole else n
        found = _from_rows(benchmark, source, split, key, n)
        return sample(found, limit) if split == "search" and limit is not None else found[:limit]
    salt = key.salt if split == "final" else ""
    n = int(getattr(source, split)) if n is None else n
    return list(_world_items(source.world, split, n, key.lab_seed, salt))[:limit]


def sample(items: list[Item], count: int) -> list[Item]:
    """So many of the items, in their order: those whose hash comes first."""
    if count >= len(items):
        return items
    first = sorted(range(len(items)), key=lambda number: set_items.place(items[number]))[:count]
    return [items[number] for number in sorted(first)]


def _from_rows(
    benchmark: Benchmark, source: SetItems | FileItems, split: str, key: ItemsKey, n: int | None = None
) -> list[Item]:
    who, folder = benchmark.name, benchmark.folder
    if isinstance(source, SetItems):
        return split_items(who, folder, source, split, key.lab_seed, n)
    return file_items.split_items(who, folder, source, split, key.lab_seed, n)


@lru_cache(maxsize=32)
def _world_items(world: str, split: str, n: int, lab_seed: int, salt: str) -> tuple[Item, ...]:
    return tuple(worlds.get(world).items(lab_seed, split, n, salt=salt))


def on_whole_test(benchmark: Benchmark) -> Benchmark:
    """The benchmark with its whole test set as search and as final items. Raises InputError if it has no test set."""
    source = _items_of(benchmark)
    if not isinstance(source, SetItems | FileItems):
        raise InputError(f"benchmark '{benchmark.name}': its items are generated: there is no whole test set of them")
    whole = whole_test(source) if isinstance(source, SetItems) else file_items.whole_test(source)
    return benchmark.model_copy(update={"items": whole.model_dump(mode="json", exclude_none=True)})


def places_in_whole(benchmark: Benchmark, split: Split, key: ItemsKey) -> dict[str, int]:
    """The index of each item, by id, in the same split of what `benchmark` is a part of; {} of a whole benchmark."""
    if ":" not in benchmark.name:
        return {}
    whole, source = load_benchmark(benchmark.folder), _items_of(benchmark)
    whole = on_whole_test(whole) if isinstance(source, SetItems) and source.whole else whole
    return {item["id"]: number for number, item in enumerate(items(whole, split, key))}


def final_pool(benchmark: Benchmark, key: ItemsKey) -> list[Item]:
    """All reserved final items, selected or not: what no training data may hold. Treat them as read-only."""
    source = _items_of(benchmark)
    if source is None:
        return []
    if isinstance(source, SetItems):
        return split_items(benchmark.name, benchmark.folder, source, "final", key.lab_seed)
    if isinstance(source, FileItems):
        return file_items.pool(benchmark.name, benchmark.folder, source, key.lab_seed)
    return list(_world_pool(source.world, key.lab_seed))


@lru_cache(maxsize=8)
def _world_pool(world: str, lab_seed: int) -> tuple[Item, ...]:
    return tuple(worlds.get(world).final_pool(lab_seed))
