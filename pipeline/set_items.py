"""Items of a benchmark that come from data sets: which rows are search, final and few-shot items, and what they ask.

`utils.py` beside the benchmark's task makes an item of a row: `item(row, number, seed)` returns at least `id`,
`question` and `answer`; `belongs(row)`, if there is one, says which rows are the benchmark's. Search and final items
are disjoint: they come from different sets, or a hash of the question puts it on one side.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from pydantic import Field, model_validator

from pipeline.errors import DataError, InputError
from pipeline.hub import HubSet, hub_rows, is_pinned, local_copy
from pipeline.kept import file_digest
from pipeline.phrasing import phrased
from pipeline.types import Strict

Item = dict[str, Any]
MakeItem = Callable[[dict[str, Any], int, int], Item]


class KeyFile(Strict):
    """A second file of the same data set that holds the answers, joined by the column `join`.

    `hint` says where it is to be had, if not there.
    """

    data_file: str
    copy_file: str
    join: str = "id"
    hint: str = ""


class ItemSet(HubSet):
    """A data set of items, and where its answers lie if they are apart."""

    split: str = "test"
    key: KeyFile | None = None

    def answers(self) -> HubSet | None:
        """The data set of the answers."""
        return self.model_copy(update=self.key.model_dump(exclude={"join", "hint"})) if self.key else None


class SplitOf(Strict):
    """The items of some sets whose hash lies in [begin, end) of the unit interval; `n` takes the first ones of them.

    `shuffled` orders them by their hash: the first n are then a sample.
    """

    sets: tuple[str, ...]
    begin: float = Field(default=0.0, ge=0.0, lt=1.0)
    end: float = Field(default=1.0, gt=0.0, le=1.0)
    n: int | None = Field(default=None, ge=1)
    shuffled: bool = False


class SetItems(Strict):
    """The `items` of a benchmark.yaml: named data sets, and what each split takes of them.

    With `parts` every set is a part that can be asked for alone, as in `bfcl_ast:simple_python`. With `whole` search
    and final items are both the whole test set, as a protocol may have it (`whole_test`).
    """

    sets: dict[str, ItemSet]
    search: SplitOf
    final: SplitOf
    fewshot: SplitOf | None = None
    parts: bool = False
    part_tokens: dict[str, int] = {}  # of an answer at most, where a part alone needs fewer than the whole
    part_recipes: dict[str, str] = {}  # that a search on a part alone starts from, where it is another
    whole: bool = False
    system_shots: int = Field(default=0, ge=0)  # worked examples that stand in a system turn before every question

    @model_validator(mode="after")
    def _disjoint(self) -> Self:
        for name in (*self.part_tokens, *self.part_recipes):
            if name not in self.sets:
                raise ValueError(f"part_tokens: set '{name}' is not among sets: {', '.join(self.sets)}")
        for split in (self.search, self.final, self.fewshot):
            for name in split.sets if split else ():
                if name not in self.sets:
                    raise ValueError(f"set '{name}' is not among sets: {', '.join(self.sets)}")
        for name, split in () if self.whole else (("search", self.search), ("fewshot", self.fewshot)):
            shared = set(split.sets) & set(self.final.sets) if split else set()
            if split and shared and split.begin < self.final.end and self.final.begin < split.end:
                where = ", ".join(sorted(shared))
                raise ValueError(f"{name} and final overlap in {where}: give them disjoint begin and end")
        return self


def whole_test(found: SetItems) -> SetItems:
    """The same sets with the whole of those that final items come from as search and as final items."""
    whole = SplitOf(sets=found.final.sets)
    return found.model_copy(update={"search": whole, "final": whole, "whole": True})


def split_items(who: str, folder: str, found: SetItems, split: str, seed: int, n: int | None = None) -> list[Item]:
    """The items of `search`, `final` or `fewshot`; `n` takes the first ones. Raises DataError: a set cannot be read."""
    wanted: SplitOf | None = getattr(found, split)
    if wanted is None:
        return []
    made = [
        _items(who, folder, name, found.sets[name].model_dump_json(), seed, _states(folder, found.sets[name]))
        for name in wanted.sets
    ]
    items = [item for some in made for item in some if wanted.begin <= place(item) < wanted.end]
    if wanted.shuffled:
        items = sorted(items, key=place)
    taken = items[: min(n or len(items), wanted.n or len(items))]
    if found.system_shots and split != "fewshot":
        shots = split_items(who, folder, found, "fewshot", seed, found.system_shots)
        if len(shots) < found.system_shots:
            raise DataError(
                f"benchmark '{who}': {found.system_shots} worked examples are asked for, {len(shots)} there"
            )
        return _after_shots(taken, shots, folder)
    return taken


def _after_shots(items: list[Item], shots: list[Item], folder: str) -> list[Item]:
    """The items as chats: the examples in a system turn, as the task's `worked(item)` tells them, and the question."""
    task = utils(folder)
    if not callable(getattr(task, "worked", None)):
        raise InputError(f"{Path(folder) / 'utils.py'}: has no worked(item), which `system_shots` of a protocol needs")
    told = "\n\n".join(task.worked(shot) for shot in shots)
    return [
        {**item, "messages": [{"role": "system", "content": told}, {"role": "user", "content": task.question(item)}]}
        for item in items
    ]


def place(item: Item) -> float:
    """Where in [0, 1) an item stands, by a hash of what it asks: rows that are added move no others."""
    asked = item.get("about") or item["question"]
    text = asked if isinstance(asked, str) else repr(asked)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _copies(wanted: ItemSet) -> tuple[str, ...]:
    """The local copies that are read."""
    copies = [local_copy(each) for each in (wanted, wanted.answers()) if each is not None]
    return tuple(str(copy) for copy in copies if copy is not None)


def _states(folder: str, wanted: ItemSet) -> tuple[Any, ...]:
    """What items that are kept in memory must not outlive: other copies, other content, another `utils.py`."""
    paths = [*map(Path, _copies(wanted)), Path(folder) / "utils.py"]
    states = [(str(path), path.stat()) for path in paths if path.is_file()]
    return tuple((name, state.st_mtime_ns, state.st_size) for name, state in states)


def files(found: SetItems) -> list[Path]:
    """The local copies that all splits are read from."""
    return [Path(copy) for wanted in found.sets.values() for copy in _copies(wanted)]


def stamp(folder: str, found: SetItems) -> list[Any] | None:
    """What decides the final items beside the description; None where they lie on the Hub and may have moved there."""
    sets = [found.sets[name] for name in found.final.sets]
    if not all(_copies(wanted) or is_pinned(wanted) for wanted in sets):
        return None
    paths = [*(Path(copy) for wanted in sets for copy in _copies(wanted)), Path(folder) / "utils.py"]
    return [[str(path), file_digest(path) if path.is_file() else None] for path in paths]


@lru_cache(maxsize=32)
def _items(who: str, folder: str, name: str, spec: str, seed: int, _states: tuple[Any, ...]) -> tuple[Item, ...]:
    wanted = ItemSet.model_validate_json(spec)
    made_by = utils(folder)
    make: MakeItem = made_by.item
    rows = [row for row in hub_rows(f"benchmark '{who}'", wanted) if getattr(made_by, "belongs", _any)(row)]
    if wanted.key is not None:
        rows = _with_answers(who, rows, wanted, wanted.key)
    items = [made(make, row, number, seed, f"benchmark '{who}': {name}") for number, row in enumerate(rows)]
    return tuple({**phrased(item, made_by), "set": name} for item in items)


def made(make: MakeItem, row: dict[str, Any], number: int, seed: int, where: str) -> Item:
    """The item of a row (counted from 0). Raises DataError, naming `where`: the row has another form."""
    try:
        return make(row, number, seed)
    except (KeyError, TypeError, ValueError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{where}, row {number + 1}: of another form ({why}): correct the copy, or remove it") from None


def _any(row: dict[str, Any]) -> bool:
    return True


def _with_answers(who: str, rows: list[dict[str, Any]], wanted: ItemSet, key: KeyFile) -> list[dict[str, Any]]:
    """The rows with the columns of their answers."""
    where, on = wanted.answers(), key.join
    assert where is not None
    try:
        answers = {row[on]: row for row in hub_rows(f"benchmark '{who}'", where)}
    except DataError as error:
        raise DataError(f"{error}{'; ' if key.hint else ''}{key.hint}") from None
    missing = [str(row[on]) for row in rows if row[on] not in answers]
    if missing:
        raise DataError(f"benchmark '{who}': no answers to {', '.join(missing[:3])} in {key.data_file}")
    return [{**answers[row[on]], **row} for row in rows]


def utils(folder: str) -> ModuleType:
    """The `utils.py` beside a benchmark's task, as lm-eval finds it: by its place. Read anew where it was changed."""
    module, path = module_of(folder), Path(folder) / "utils.py"
    if not callable(getattr(module, "item", None)):
        raise InputError(f"{path}: has no function item(row, number, seed)")
    return module


def module_of(folder: str) -> ModuleType:
    """The same of any benchmark, whether or not it makes items of rows."""
    path = Path(folder) / "utils.py"
    return _module(folder, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=32)
def _module(folder: str, _: int) -> ModuleType:
    path = Path(folder) / "utils.py"
    spec = importlib.util.spec_from_file_location(f"posttrain_evals_{path.parent.name}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise InputError(f"{path}: missing: a benchmark from data sets needs it to make items of rows")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
