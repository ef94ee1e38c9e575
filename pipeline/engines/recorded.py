"""Answers made elsewhere, from JSON Lines: `{"index": 0, "response": "..."}` or `{"id": ..., "response": "..."}`.

An index counts the items of the split in their own order; an id is the data set's. A line may name its `benchmark`
and say whether the answer `stopped` by itself. The same index or id again is another sample of the same item.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, InputError
from pipeline.rowfiles import read_rows
from pipeline.types import Completion, Request

SHOWN = 5  # of the items without an answer


def open_engine(model_path: str, file: str = "", all_samples: bool = False, **options: Any) -> Recorded:
    """An engine on a file of answers; the model is only a label. `all_samples`: whatever number of them is asked for.

    Raises DataError: missing, broken (with the line).
    """
    if not file:
        raise InputError("--engine recorded: name the file of answers, as in recorded:answers.jsonl")
    return Recorded(Path(file).expanduser(), all_samples)


class Recorded:
    """Looks answers up. `ignored` counts the lines that no request asked for."""

    def __init__(self, path: Path, all_samples: bool = False) -> None:
        self.path, self.all_samples = path, all_samples
        self.samples: dict[tuple[str, str | int], list[Completion]] = {}
        for number, row in enumerate(read_rows(path), start=1):
            name = row.get("id", row.get("index"))
            if (
                not isinstance(name, str | int)
                or isinstance(name, bool)
                or not isinstance(row.get("response"), str)
                or not isinstance(row.get("stopped"), bool | None)
            ):
                raise DataError(f'{path}, row {number}: needs "response" (a text) and "index" (a number) or "id"')
            answer = Completion(text=row["response"], stopped=row.get("stopped"), tokens=0)
            self.samples.setdefault((str(row.get("benchmark") or ""), name), []).append(answer)
        self.ignored = sum(map(len, self.samples.values()))

    def generate(self, requests: Sequence[Request]) -> list[list[Completion]]:
        """The first `n` recorded answers of each item. Raises DataError that lists items with too few."""
        found = [self._answers(request) for request in requests]
        wanted = [1 if self.all_samples else request.n for request in requests]
        missing = [request.item for request, texts, n in zip(requests, found, wanted, strict=True) if len(texts) < n]
        if missing:
            shown = ", ".join(missing[:SHOWN]) + (f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else "")
            n = max(wanted)
            raise DataError(
                f"{self.path}: {len(missing)} of {len(requests)} items have fewer than {n} answers: {shown}; "
                "add them, or score fewer items with --limit"
            )
        self.ignored = max(0, self.ignored - sum(map(len, found)))
        return found if self.all_samples else [answers[:n] for n, answers in zip(wanted, found, strict=True)]

    def _answers(self, request: Request) -> list[Completion]:
        for benchmark in (request.benchmark, request.benchmark.partition(":")[0], ""):
            for name in (request.item, request.index):
                if (benchmark, name) in self.samples:
                    return self.samples[benchmark, name]
        return []
