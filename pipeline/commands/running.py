"""What the verbs that make or go on with runs share: the run as asked for, one or several of them, their report."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pipeline import console
from pipeline.commands import options
from pipeline.commands.watching import Watcher
from pipeline.errors import InputError

if TYPE_CHECKING:
    from pipeline.asking import Asked

FLAGGED = 3  # exit code of a run that a guard flagged
SEEDS = options.LARGEST_SEED


def asked(model: str, benchmark: str, budget: str, trials: int | None = None, **given: Any) -> Asked:
    """The run as asked for, its budget read."""
    from pipeline.asking import Asked
    from pipeline.types import Budget

    limits = Budget(seconds=options.seconds(budget), trials=trials)
    return Asked(model=model, benchmark=benchmark, budget=limits, **given)


def run_all(cells: list[Asked], out: Path | None, as_json: bool) -> None:
    """One run, or a matrix of several; checked whole before anything is built."""
    from pipeline import asking
    from pipeline import reproduce as runs

    for asked in cells:
        asking.check(asked)
    name = runs.cell_name(cells[0]) if len(cells) == 1 else "matrix"
    folder = options.new_folder(out, f"{name}-{cells[0].agent}-seed{cells[0].seed}")
    watcher = Watcher()
    watcher.progress.say(f"run folder: {folder}")
    with interruptible(folder), console.stdout_kept_clean():
        if len(cells) == 1:
            runs.run(cells[0], folder, watcher, watcher.resolve)
        else:
            runs.run_matrix(cells, folder, watcher.cell, watcher.resolve)
    show(folder, as_json)


def compare(cells: list[Asked], controls: list[str], seeds: int, out: Path | None, as_json: bool) -> None:
    """An agent against control arms, all on the same seeds; checked whole before anything is built."""
    from pipeline import comparison
    from pipeline import reproduce as runs

    first, *others = cells
    if others:
        names = ", ".join(asked.benchmark for asked in cells)
        raise InputError(f"--benchmark {names}: --control and --seeds compare on one; search each on its own")
    last = first.seed + seeds - 1
    if last > SEEDS:
        raise InputError(f"--seeds {seeds}: the last would be {last}, at most {SEEDS} is possible; lower --seed")
    compared = comparison.Comparison(
        asked=first, controls=tuple(options.agents(controls, "--control")), seeds=tuple(range(first.seed, last + 1))
    )
    comparison.check(compared)
    folder = options.new_folder(out, f"{runs.cell_name(first)}-{first.agent}-compared-seed{first.seed}")
    watcher = Watcher()
    watcher.progress.say(f"run folder: {folder}, {len(compared.arms(folder))} runs one after the other")
    with interruptible(folder), console.stdout_kept_clean():
        comparison.run(compared, folder, watcher.cell, watcher.resolve)
    show(folder, as_json)


def resume(folder: Path, budget: str | None, given: dict[str, Any], as_json: bool) -> None:
    """Go on with a run or a matrix; its request lies in the folder, so nothing of it can be given again."""
    from pipeline import comparison
    from pipeline import reproduce as runs

    extra = options.added_seconds(budget) if budget else None
    for name, value in given.items():
        if value:
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option} with --resume: the run keeps what it was started with; omit {option}")
    watcher = Watcher()
    with interruptible(folder), console.stdout_kept_clean():
        if (folder / runs.MATRIX_FILE).is_file():
            if extra is not None:
                raise InputError(f"{folder}: a matrix is extended cell by cell; name one, such as {folder}/CELL")
            runs.resume_matrix(folder, watcher.cell, watcher.resolve)
        elif comparison.is_comparison(folder):
            if extra is not None:
                raise InputError(f"{folder}: its arms have the same budget and keep it; compare anew with a longer one")
            comparison.resume(folder, watcher.cell, watcher.resolve)
        else:
            runs.resume(options.run_folder(folder), watcher, extra)
    show(folder, as_json)


def show(folder: Path, as_json: bool) -> None:
    """Print the report of a run or matrix that is done; exit code 3 if a guard flagged it."""
    from pipeline import report

    document = report.document(folder)
    if as_json:
        console.document(document)
    else:
        print(report.to_text(folder).rstrip("\n"))
    if document.get("flagged") or any(cell["flagged"] for cell in document.get("cells", [])):
        raise typer.Exit(FLAGGED)


@contextlib.contextmanager
def interruptible(folder: Path) -> Iterator[None]:
    """An interruption tells the command that goes on."""
    try:
        yield
    except KeyboardInterrupt:
        raise console.Interrupted(_way_on(folder)) from None


def _way_on(folder: Path) -> str:
    """The command that goes on with what was interrupted."""
    from pipeline.request import read_run

    place = shlex.quote(str(folder))
    if (folder / "run.json").is_file() and read_run(folder)[0].agent is None:
        return f"go on with: posttrain step {place} --changes '...' or posttrain finish {place}"
    if any((folder / name).is_file() for name in ("run.json", *options.SEVERAL)):
        return f"go on with: posttrain search --resume {place}"
    return "no run was begun yet: start the same command again"
