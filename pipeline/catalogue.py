"""The data source catalogue: each YAML file in recipes/data/ is an entry, one source or a numbered series of them.

A benchmark in a folder of the user's own may bring sources in its `data/`: `beside` names that folder.

A source is what a recipe may mix. It has a card, as on the Hub: what it is about, size, lengths, three sample rows.
Whether its rows are right is for the reader, or a trial, to find out.
"""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from pipeline import generators, rowfiles, set_items, worlds
from pipeline.errors import DataError, InputError, unknown
from pipeline.formats import to_messages
from pipeline.hub import HubSet, hub_rows, is_pinned, local_copy
from pipeline.kept import code_digest, file_digest
from pipeline.leaves import TOKEN_COLUMNS, leaves
from pipeline.paths import share
from pipeline.types import Card, ItemsKey, Strict
from pipeline.yaml_file import read_variant

Row = dict[str, Any]

SAMPLES = 3
CLIP_CHARACTERS = 300  # of a string in a sample row
CLIP_ITEMS = 8  # of a list in a sample row


class Entry(Strict):
    """What every catalogue entry says. `columns` renames: the name that is wanted -> the name in the data."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    kind: str  # coarse: maths, calls, facts, chat ...
    summary: str
    columns: dict[str, str] = {}
    file: Path = Path()  # the entry's own YAML; filled in when it is read


class WorldEntry(Entry):
    """Sources NAME_1 ... NAME_n of a lab world, generated from the lab's seed."""

    loader: Literal["world"]
    world: str
    sources: int = Field(ge=1)


class FileEntry(Entry):
    """Rows of a file; a relative path starts at the entry's own folder."""

    loader: Literal["file"]
    path: str


class HubEntry(Entry, HubSet):
    """Rows of a Hub data set, or of its local copy."""

    loader: Literal["hub"]


class GeneratedEntry(Entry):
    """`rows` rows that a module of pipeline/generators/ writes from a seed, with that module's own options."""

    loader: Literal["generated"]
    generator: str
    rows: int = Field(ge=1, le=1_000_000)
    seed: int = 0
    options: dict[str, Any] = {}


class TaskEntry(Entry):
    """Rows of a file in the `data/` of a benchmark's folder, asked and answered as the `utils.py` there has it.

    That has, beside `item` (see `pipeline.set_items`), `question(item)` and `reply(item)`: training cannot ask in
    other words than scoring does.
    """

    loader: Literal["task"]
    path: str

    @property
    def home(self) -> Path:
        """The benchmark's folder."""
        return self.file.parent.parent


LOADERS: dict[str, type[Entry]] = {
    "world": WorldEntry,
    "file": FileEntry,
    "hub": HubEntry,
    "generated": GeneratedEntry,
    "task": TaskEntry,
}


@dataclass(frozen=True)
class Source:
    """One data source: its name, the entry it belongs to, and its number there (from 1; 0 if it is alone)."""

    name: str
    entry: Entry
    index: int = 0


def folder() -> Path:
    """Where the catalogue's entries lie."""
    return share("recipes") / "data"


def entries(beside: str = "") -> list[Entry]:
    """All entries, sorted by name. Raises InputError naming file, line and key."""
    folders = [folder(), *([Path(beside).absolute() / "data"] if beside else [])]
    found = [_read(path, path.stat().st_mtime_ns) for each in folders for path in each.glob("*.yaml")]
    return sorted(found, key=lambda entry: entry.name)


@lru_cache(maxsize=256)
def _read(path: Path, written_ns: int) -> Entry:
    return read_variant(path, "loader", LOADERS, file=path)


def all_sources(beside: str = "") -> dict[str, Source]:
    """Every source by name, in the catalogue's order. Raises InputError if two entries make the same name."""
    found: dict[str, Source] = {}
    for entry in entries(beside):
        for source in _expand(entry):
            if source.name in found:
                first = found[source.name].entry.file
                raise InputError(f"{entry.file}: the source name '{source.name}' is taken by {first}: rename one")
            found[source.name] = source
    return found


def _expand(entry: Entry) -> list[Source]:
    if not isinstance(entry, WorldEntry):
        return [Source(entry.name, entry)]
    return [Source(f"{entry.name}_{index}", entry, index) for index in range(1, entry.sources + 1)]


def names(kind: str | None = None, beside: str = "") -> list[str]:
    """The names of all sources, or of those whose entry is of one kind. Reads no data."""
    return [name for name, source in all_sources(beside).items() if kind in (None, source.entry.kind)]


def kinds(beside: str = "") -> dict[str, str]:
    """Source name -> the kind of data that its entry says. Reads no data."""
    return {name: source.entry.kind for name, source in all_sources(beside).items()}


def at_hand(name: str, beside: str = "") -> bool:
    """Whether a source can be had here: false for a Hub source without a copy where POSTTRAIN_DATA_ROOT is used."""
    copy = copy_of(name, beside)
    return copy is None or copy.is_file()


def is_remote(name: str, beside: str = "") -> bool:
    """Whether a source's rows come from the Hub, or from a copy of what lies there."""
    return isinstance(find(name, beside).entry, HubEntry)


def copy_of(name: str, beside: str = "") -> Path | None:
    """Where the local copy of a Hub source is looked for; None for other sources, or without POSTTRAIN_DATA_ROOT."""
    entry = find(name, beside).entry
    return local_copy(entry) if isinstance(entry, HubEntry) else None


def file_of(name: str, beside: str = "") -> Path | None:
    """The file that a source is read from, its local copy or its own; None for other sources."""
    entry = find(name, beside).entry
    return (entry.file.parent / entry.path).absolute() if isinstance(entry, FileEntry) else copy_of(name, beside)


def find(name: str, beside: str = "") -> Source:
    """A source by name; the error lists what exists."""
    known = all_sources(beside)
    if name not in known:
        raise unknown("data source", name, list(known))
    return known[name]


def rows(name: str, key: ItemsKey) -> list[Row]:
    """The raw rows of a source; treat them as read-only. Raises InputError (no such source), DataError (unreadable)."""
    source = find(name, key.folder)
    if isinstance(source.entry, WorldEntry):
        found = list(_world_rows(source.entry.world, key.lab_seed, source.index))
    elif isinstance(source.entry, FileEntry):
        found = rowfiles.read_rows(source.entry.file.parent / source.entry.path)
    elif isinstance(source.entry, GeneratedEntry):
        found = generators.rows(source.entry.generator, source.entry.seed, source.entry.rows, source.entry.options)
    elif isinstance(source.entry, TaskEntry):
        return _task_rows(source.entry)
    else:
        assert isinstance(source.entry, HubEntry)
        found = hub_rows(source.entry.name, source.entry)
    renames = {old: new for new, old in source.entry.columns.items()}
    return (
        [{renames.get(column, column): value for column, value in row.items()} for row in found] if renames else found
    )


def _task_rows(entry: TaskEntry) -> list[Row]:
    """Chats of the rows of a user's own task."""
    utils, path = set_items.utils(str(entry.home)), entry.file.parent / entry.path
    for name in ("question", "reply"):
        if not callable(getattr(utils, name, None)):
            raise InputError(f"{entry.home / 'utils.py'}: has no function {name}(item): it says what is trained on")
    items = [set_items.made(utils.item, row, i, 0, str(path)) for i, row in enumerate(rowfiles.read_rows(path))]
    return [
        {
            "messages": [
                {"role": "user", "content": utils.question(item)},
                {"role": "assistant", "content": utils.reply(item)},
            ]
        }
        for item in items
    ]


@lru_cache(maxsize=64)
def _world_rows(world: str, lab_seed: int, index: int) -> tuple[Row, ...]:
    return tuple(worlds.get(world).source(lab_seed, index))


def stamp(name: str, key: ItemsKey) -> list[Any] | None:
    """What decides a source's rows, apart from code, as plain data; None if that is not known without reading them."""
    source = find(name, key.folder)
    entry = source.entry
    if isinstance(entry, WorldEntry):
        return ["world", entry.world, source.index, key.lab_seed, entry.columns]
    if isinstance(entry, FileEntry):
        path = entry.file.parent / entry.path
        return ["file", file_digest(path), entry.path, entry.columns] if path.is_file() else None
    if isinstance(entry, GeneratedEntry):
        code = code_digest(("generators/*", "answers/call_prompt.py"))
        return ["generated", entry.generator, entry.seed, entry.rows, entry.options, entry.columns, code]
    if isinstance(entry, TaskEntry):
        parts = [entry.file.parent / entry.path, entry.home / "utils.py", *sorted(entry.file.parent.glob("*.json"))]
        whole = all(part.is_file() for part in parts)
        return ["task", entry.columns, *map(file_digest, parts)] if whole else None
    assert isinstance(entry, HubEntry)
    if (copy := local_copy(entry)) is not None:
        return ["file", file_digest(copy), entry.rows, entry.columns] if copy.is_file() else None
    if is_pinned(entry):
        return ["hub", entry.id, entry.subset, entry.split, entry.revision, entry.rows, entry.columns]
    return None


def sources(key: ItemsKey, kinds: list[str] | None = None) -> list[Card]:
    """The cards of all sources, or of those whose entry is of certain kinds. Reads their data."""
    return [
        card(name, key)
        for name, source in all_sources(key.folder).items()
        if kinds is None or source.entry.kind in kinds
    ]


def card(name: str, key: ItemsKey) -> Card:
    """A source's card: what a reader sees before using it."""
    source, found = find(name, key.folder), rows(name, key)
    kind = source.entry.kind
    if isinstance(source.entry, WorldEntry):
        kind = worlds.get(source.entry.world).source_kind(key.lab_seed, source.index)
    chosen = random.Random(f"card/{name}/{key.lab_seed}").sample(range(len(found)), min(SAMPLES, len(found)))
    return Card(
        name=name,
        kind=kind,
        rows=len(found),
        columns=tuple(dict.fromkeys(column for row in found for column in row)),
        mean_characters=round(sum(map(_characters, found)) / len(found), 1),
        samples=tuple(_clipped(found[index]) for index in sorted(chosen)),
        summary=source.entry.summary,
    )


def _characters(row: Row) -> int:
    """How many characters a row's texts have: a card is shown of any source, usable or not."""
    with suppress(DataError):
        return sum(len(message["content"]) for message in to_messages(row))
    with suppress(DataError):
        return sum(len(text) for _, text in leaves({k: row[k] for k in row if k not in TOKEN_COLUMNS}))
    return 0  # it nests too deeply for anybody to read


def _clipped(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= CLIP_CHARACTERS else value[:CLIP_CHARACTERS] + " ..."
    if isinstance(value, dict):
        return {str(key): _clipped(item) for key, item in value.items()}
    if isinstance(value, list):
        shown = [_clipped(item) for item in value[:CLIP_ITEMS]]
        return shown if len(value) <= CLIP_ITEMS else [*shown, f"... {len(value) - CLIP_ITEMS} more"]
    return value if value is None or isinstance(value, bool | int | float) else str(value)
