"""Answers made elsewhere, from JSON Lines: `{"index": 0, "response": "..."}` or `{"id": ..., "response": "..."}`.

An index counts the items of the split in their own order; an id is the data set's, and counts where both are given. A
line may name its `benchmark` and say whether the answer `stopped` by itself. The same index or id again is another
sample of the same item. An index beside a benchmark's name counts in the whole of it, also where one part is
asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, InputError
from pipeline.rowfiles import read_rows
from pipeline.types import Completion, Request

SHOWN = 5  # of the items without an answer
Key = tuple[str, str | int]  # benchmark ("" for any), and an id (text) or an index (number)


def open_engine(
    model_path: str, file: str = "", all_samples: bool = False, places: Mapping[str, int] | None = None, **options: Any
) -> Recorded:
    """An engine on a file of answers; the model is only a label. `all_samples`: whatever number of them is asked for.

    `places` are the indices that the items of a part have in the whole's split, by id. Raises DataError: missing,
    broken (with the line).
    """
    if not file:
        raise InputError("--engine recorded: name the file of answers, as in recorded:answers.jsonl")
    return Recorded(Path(file).expanduser(), all_samples, places or {})


class Recorded:
    """Looks answers up. `unused` are the rows of the file that no request asked for."""

    def __init__(self, path: Path, all_samples: bool = False, places: Mapping[str, int] | None = None) -> None:
        self.path, self.all_samples, self.places = path, all_samples, places or {}
        self.samples: dict[Key, list[tuple[int, Completion]]] = {}  # with the number of their row
        rows = read_rows(path)
        for number, row in enumerate(rows, start=1):
            for key in _places(*_key(path, number, row)):
                self.samples.setdefault(key, []).append((number, _answer(path, number, row)))
        self.unused = frozenset(range(1, len(rows) + 1))

    def generate(self, requests: Sequence[Request]) -> list[list[Completion]]:
        """The first `n` recorded answers of each item, or the one with the copy number that is asked for.

        Raises as `check`.
        """
        self.check(requests)
        found = [self._answers(request) for request in requests]
        self.unused -= {number for rows in found for number, _ in rows}
        kept = [self._asked(request, rows) for request, rows in zip(requests, found, strict=True)]
        return [[answer for _, answer in rows] for rows in kept]

    def check(self, requests: Sequence[Request]) -> None:
        """Raises DataError that lists items with too few. With `all_samples` only an item without any has too few."""
        wanted = [1 if self.all_samples else (request.copy_number or 0) + request.n for request in requests]
        missing = [each.item for each, n in zip(requests, wanted, strict=True) if len(self._answers(each)) < n]
        if missing:
            shown = ", ".join(missing[:SHOWN]) + (f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else "")
            lack = f"fewer than {max(wanted)} answers" if max(wanted) > 1 else "no answer"
            raise DataError(
                f"{self.path}: {len(missing)} of {len(requests)} items have {lack}: {shown}; "
                "add what is missing, or score fewer items with --limit"
            )

    def _asked(self, request: Request, rows: list[tuple[int, Completion]]) -> list[tuple[int, Completion]]:
        if request.copy_number is not None:
            return rows[request.copy_number : request.copy_number + 1]
        return rows if self.all_samples else rows[: request.n]

    def _answers(self, request: Request) -> list[tuple[int, Completion]]:
        return next((self.samples[key] for key in self._keys(request) if key in self.samples), [])

    def _keys(self, request: Request) -> Iterator[Key]:
        """Under which an item's answers may stand; a part's answers also under the whole's name."""
        whole, _, part = request.benchmark.partition(":")
        for benchmark in (request.benchmark, *([whole] if part else []), "", _some_part_of(request.benchmark)):
            yield benchmark, request.item
            if not part or benchmark != whole:
                yield benchmark, request.index
            elif request.item in self.places:
                yield whole, self.places[request.item]


def _places(benchmark: str, name: str | int) -> Iterator[Key]:
    """Where an answer stands: of a part's answer the id counts in the whole, too (its index is another one there)."""
    yield benchmark, name
    whole, _, part = benchmark.partition(":")
    if part and isinstance(name, str):
        yield _some_part_of(whole), name


def _some_part_of(benchmark: str) -> str:
    return f"{benchmark}:"


def _key(path: Path, number: int, row: dict[str, Any]) -> Key:
    name, benchmark = row.get("id"), row.get("benchmark")
    if name is None:
        name = row.get("index")
        if not isinstance(name, int) or isinstance(name, bool) or name < 0:
            raise DataError(f'{path}, row {number}: needs "index" (a whole number from 0) or "id"')
    elif isinstance(name, str | int) and not isinstance(name, bool):
        name = str(name)
    else:
        raise DataError(f'{path}, row {number}: "id" must be a text or a whole number')
    if not isinstance(benchmark, str | None):
        raise DataError(f'{path}, row {number}: "benchmark" must be a text')
    return benchmark or "", name


def _answer(path: Path, number: int, row: dict[str, Any]) -> Completion:
    if not isinstance(row.get("response"), str):
        found = "it is missing" if "response" not in row else f"found {type(row['response']).__name__}"
        raise DataError(f'{path}, row {number}: "response" must be a text: {found}')
    if not isinstance(row.get("stopped"), bool | None):
        raise DataError(f'{path}, row {number}: "stopped" must be true or false')
    return Completion(text=row["response"], stopped=row.get("stopped"), tokens=0)
