"""Two ways of doing the same thing, each time in a process of its own, in turns (A B A B ...), compared in pairs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from pipeline.contracts import Executor
from pipeline.errors import PosttrainError
from pipeline.executors import spawn
from pipeline.flight import last_line
from pipeline.jobs import JOB, OUTCOME
from pipeline.paths import read_json, write_json
from pipeline.reporting.blocks import Table
from pipeline.types import Job

Rows = Sequence[tuple[str, ...]]
Round = dict[str, dict[str, Any]]  # by side: what its job wrote, and `process_seconds`


def interleaved(
    sides: Mapping[str, str], work: Mapping[str, Any], place: Path, runs: int, threads: int, told: Callable[..., None]
) -> list[Round]:
    """`runs` rounds of all sides; `sides` name the dotted functions that do `work` (job.json) and write outcome.json.

    `process_seconds` is from the start of the process to its end, imports included. Raises PosttrainError if one fails.
    """
    executor = spawn.create(1, threads)
    rounds: list[Round] = []
    try:
        for number in range(runs):
            rounds.append({})
            for side, call in sides.items():
                told(f"round {number + 1} of {runs}: {side}", (number + len(rounds[-1]) / len(sides)) / runs)
                rounds[-1][side] = measured(executor, place / f"{side}-{number + 1}", call, work, threads)
    finally:
        executor.close()
    return rounds


def measured(executor: Executor, folder: Path, call: str, work: Mapping[str, Any], threads: int) -> dict[str, Any]:
    """Have `call` do `work` in `folder` in a fresh process; what it wrote, and `process_seconds`."""
    write_json(folder / JOB, dict(work))
    begun = time.perf_counter()
    executor.start(Job(id=folder.name, call=call, folder=str(folder.absolute()), threads=threads))
    ended = executor.wait()
    seconds = time.perf_counter() - begun
    if ended is None or ended.exit_code:
        why = last_line(folder / "log.txt") or (ended.reason if ended else "it was lost")
        raise PosttrainError(f"{folder.name} cannot be measured: {why[:300]}")
    return {**read_json(folder / OUTCOME), "process_seconds": seconds}


def compared(
    rounds: Sequence[Round], value: Callable[[dict[str, Any]], float], ours: str, theirs: str
) -> dict[str, Any]:
    """Medians of both sides' values, and the ratio ours / theirs within each round."""
    pairs = [(value(each[ours]), value(each[theirs])) for each in rounds]
    ratios = [a / b for a, b in pairs]
    return {
        ours: median(a for a, _ in pairs),
        theirs: median(b for _, b in pairs),
        "ratio": {"median": median(ratios), "lowest": min(ratios), "highest": max(ratios), "each": ratios},
    }


def paired_table(names: tuple[str, str], runs: int, measured: Rows, further: Rows, note: str) -> Table:
    """The two sides in columns; `measured` rows end in the ratio of each round, `further` ones have none."""
    return Table(
        title=f"In fresh processes, in turns, medians of {runs} rounds",
        header=("", *names, "ratio in each round"),
        rows=(*measured, *((*row, "") for row in further)),
        note=note,
    )


def ratio_text(found: Mapping[str, float]) -> str:
    """`2.31 (2.20 to 2.44)`."""
    return f"{found['median']:.2f} ({found['lowest']:.2f} to {found['highest']:.2f})"
