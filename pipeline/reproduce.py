"""Lab, search and report in one call, for one run or a matrix of models and benchmarks. All of it can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline import asking, plugins, report, search
from pipeline.asking import Asked, Resolve
from pipeline.errors import InputError
from pipeline.owner.client import Client
from pipeline.owner.entrance import enter
from pipeline.paths import read_json, write_json
from pipeline.request import News, RunRequest, read_run
from pipeline.session import Session
from pipeline.view import is_finished

MATRIX_FILE = "matrix.json"
Watch = Callable[[News], None]
Watching = Callable[[str], Watch]  # the watcher of a matrix's cell, by the cell's name


def cell_name(asked: Asked) -> str:
    """A cell's folder in a matrix: model and benchmark without their paths."""
    return f"{short(asked.model)}-{short(asked.benchmark)}"


def short(name: str) -> str:
    """The last part of a model's or benchmark's name; a lab base by its family."""
    last = name.rstrip("/").rsplit("/", 1)[-1]
    return last.removesuffix("-base") if name.startswith("lab/") else last


# ---------------------------------------------------------------- one run


def run(asked: Asked, folder: Path, watch: Watch, resolve: Resolve) -> dict[str, Any]:
    """Search in a new folder from the beginning to the report, which is returned."""
    request = asking.to_request(asked, resolve, lambda text: watch(News(what="warning", text=text)))
    with Session.open(folder, request) as session:
        return search.search(session, agent_of(request, session), watch)


def resume(folder: Path, watch: Watch, extra_seconds: float | None = None) -> dict[str, Any]:
    """Go on with an interrupted search, or extend a finished one. One that needs neither is only read.

    Raises InputError if the folder is no run, or one without an agent.
    """
    request, _ = read_run(folder)
    if request.agent is None:
        hint = f"go on with `posttrain step {folder} --changes ...`, or end it with `posttrain finish {folder}`"
        raise InputError(f"{folder}: this run has no agent; {hint}")
    if extra_seconds is None and is_finished(folder):
        return report.build_report(folder)
    with Session.resume(folder, extra_seconds) as session:
        return search.search(session, agent_of(request, session), watch)


def finish(folder: Path, watch: Watch) -> dict[str, Any]:
    """End a run now, by its owner if one lives: choose, score on the final split, report.

    One that has ended already is only read.
    """
    read_run(folder)
    if is_finished(folder):
        return report.build_report(folder)
    with enter(folder, watch) as run:
        if isinstance(run, Client):
            return run.finish()
        run.end("its user finished it")
        return run.finish()


def agent_of(request: RunRequest, session: Session) -> Any:
    """The run's agent, briefed."""
    return plugins.entry("agents", str(request.agent))(session.brief(), request.seed)


# ---------------------------------------------------------------- a matrix


def run_matrix(cells: Sequence[Asked], folder: Path, watching: Watching, resolve: Resolve) -> dict[str, Any]:
    """Search every cell, one after the other, each in a folder of its own; returns the matrix's report."""
    for asked in cells:
        asking.check(asked)
    folder.mkdir(parents=True, exist_ok=True)
    planned = [{"folder": cell_name(asked), "asked": asked} for asked in cells]
    write_json(folder / MATRIX_FILE, {"schema": 1, "cells": planned})
    return resume_matrix(folder, watching, resolve)


def resume_matrix(folder: Path, watching: Watching, resolve: Resolve) -> dict[str, Any]:
    """Do what is left of a matrix: finished cells are kept, begun ones go on, the others start."""
    for cell in read_json(folder / MATRIX_FILE)["cells"]:
        here, watch = folder / cell["folder"], watching(cell["folder"])
        if (here / "run.json").is_file():
            resume(here, watch)
        else:
            run(Asked.model_validate(cell["asked"]), here, watch, resolve)
    return report.write_report(folder)
