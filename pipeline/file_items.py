"""Items that lie in a benchmark's own folder, a file for each split, as `posttrain task create` writes them.

`utils.py` beside the task makes an item of a row, as for data sets (`pipeline.set_items`). Its owner may edit the
files: whatever makes them useless as a benchmark is told with its file and row.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline import rowfiles
from pipeline.errors import DataError
from pipeline.kept import file_digest
from pipeline.phrasing import phrased
from pipeline.set_items import made, utils
from pipeline.types import Strict
from pipeline.wording import fold, words

Item = dict[str, Any]


class SplitFile(Strict):
    """One split: a file, relative to the benchmark's folder; `n` takes its first rows."""

    file: str
    n: int | None = Field(default=None, ge=1)


class FileItems(Strict):
    """The `items` of a benchmark.yaml that has its items in files. With `whole` all final rows are both splits."""

    search: SplitFile
    final: SplitFile
    fewshot: SplitFile | None = None
    whole: bool = False


def split_items(who: str, folder: str, found: FileItems, split: str, seed: int, n: int | None = None) -> list[Item]:
    """The items of `search`, `final` or `fewshot`; `n` takes the first ones.

    Raises DataError: a file cannot be read, or a question stands in it twice, or both in search and in final.
    """
    wanted: SplitFile | None = getattr(found, split)
    if wanted is None:
        return []
    items = _read(who, folder, wanted.file, seed)
    if split == "search" and not found.whole:
        _refuse_shared(who, folder, found, seed)
    return list(items[: min(n or len(items), wanted.n or len(items))])


def pool(who: str, folder: str, found: FileItems, seed: int) -> list[Item]:
    """All final items, those that are not scored included."""
    return list(_read(who, folder, found.final.file, seed))


def whole_test(found: FileItems) -> FileItems:
    """The same with the whole final file as search and as final items."""
    whole = SplitFile(file=found.final.file)
    return found.model_copy(update={"search": whole, "final": whole, "whole": True})


def stamp(folder: str, found: FileItems) -> dict[str, str | None]:
    """What decides the items beside the description: the files' content, by name; None for one that is not there."""
    names = {found.search.file, found.final.file, *([found.fewshot.file] if found.fewshot else []), "utils.py"}
    paths = {name: Path(folder) / name for name in sorted(names)}
    return {name: file_digest(path) if path.is_file() else None for name, path in paths.items()}


def _read(who: str, folder: str, file: str, seed: int) -> tuple[Item, ...]:
    path = Path(folder) / file
    if not path.is_file():
        raise DataError(f"benchmark '{who}': {path}: no such file: restore it, or correct `items` in benchmark.yaml")
    state = path.stat()
    return _items(who, folder, file, seed, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=16)
def _items(who: str, folder: str, file: str, seed: int, *_: int) -> tuple[Item, ...]:
    path, task = Path(folder) / file, utils(folder)
    rows = rowfiles.read_rows(path)
    items = tuple(phrased(made(task.item, row, number, seed, str(path)), task) for number, row in enumerate(rows))
    first: dict[str, int] = {}
    for number, item in enumerate(items, start=1):
        if not str(item["question"]).strip() or not str(item["answer"]).strip():
            raise DataError(f"{path}, row {number}: input or target is empty: fill it, or remove the row")
        if (before := first.setdefault(str(item["id"]), number)) != number:
            raise DataError(f"{path}, row {number}: the same as row {before}: remove one of them")
    return items


def _refuse_shared(who: str, folder: str, found: FileItems, seed: int) -> None:
    """Raises DataError where a search item is a final item, too: what the search has seen tells nothing new."""
    final = {_folded(item) for item in pool(who, folder, found, seed)}
    for number, item in enumerate(_read(who, folder, found.search.file, seed), start=1):
        if _folded(item) in final:
            raise DataError(
                f"{Path(folder) / found.search.file}, row {number}: is a final item, too: remove one of them"
            )


def _folded(item: Item) -> str:
    text = fold(str(item["question"]))
    return " ".join(words(text)) or text
