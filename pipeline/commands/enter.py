"""`posttrain enter`: be the agent in a PostTrainBench task folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline import console
from pipeline.commands import options
from pipeline.commands import program as own
from pipeline.commands.running import FLAGGED
from pipeline.commands.watching import Watcher


def enter(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="The task folder; default: this one.")] = Path("."),
    model: Annotated[str | None, typer.Option(metavar="M", help="Default: what the prompt says.")] = None,
    benchmark: Annotated[str | None, typer.Option(metavar="B", help="Default: what the prompt says.")] = None,
    agent: options.Agent = "asha",
    budget: Annotated[str | None, typer.Option(metavar="TIME", help="At most; default: what timer.sh says.")] = None,
    margin: Annotated[
        str | None, typer.Option(metavar="TIME", help="Kept free for saving. Default: 2%, 1m at least.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=-1, help="Items of evaluate.py; default: its own.")
    ] = None,
    metric: Annotated[str, typer.Option(metavar="KEY", help="In evaluate.py's JSON. Default: the first number.")] = "",
    recipe: options.RecipeFile = None,
    data: own.Data = None,
    seed: options.Seed = 0,
    executor: Annotated[str, typer.Option(metavar="E", help="Where trials run.")] = "local",
    as_json: options.Json = False,
) -> None:
    """Be the agent in a PostTrainBench task folder.

    Reads the time left, searches recipes with the folder's evaluate.py as the score, leaves final_model/ there. From
    the first minute on a loadable model lies there; the same command goes on after an interruption.

    \b
    Example:
      posttrain enter . --agent asha
    """
    from pipeline import enter as story
    from pipeline import paths, taskfolder

    where = taskfolder.read(folder).folder
    paths.check_writable(Path(where), "the task folder")
    os.environ.setdefault("POSTTRAIN_HOME", str(Path(where) / story.PLACE / "cache"))  # nothing outside the folder
    given: dict[str, Any] = own.mixed(data)
    wanted = story.Wanted(
        folder=where, model=model, benchmark=benchmark, agent=agent, seed=seed, limit=limit, metric=metric,
        recipe=recipe, executor=executor, **given,
        budget_seconds=options.seconds(budget) if budget else None,
        margin_seconds=options.seconds(margin, "--margin") if margin else None,
    )  # fmt: skip
    watcher = Watcher()
    try:
        with console.stdout_kept_clean():
            found = story.enter(wanted, watcher, watcher.resolve)
    except KeyboardInterrupt:
        raise console.Interrupted("go on with: posttrain enter; final_model/ holds the best so far") from None
    finally:
        watcher.progress.close()
    console.document(found) if as_json else print(_told(found))
    if found.flagged:
        raise typer.Exit(FLAGGED)


def _told(found: Any) -> str:
    """What came of it, in two lines."""
    score = f", {found.score:.3f} (base {found.base:.3f})" if None not in (found.score, found.base) else ""
    return f"{found.final_model}: {found.trial or 'the base'}{score}\n{found.why}"
