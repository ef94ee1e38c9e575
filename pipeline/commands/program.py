"""Options of a user's scoring program, and of the data that a search may mix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.commands import options
from pipeline.errors import InputError

if TYPE_CHECKING:
    from pipeline.types import Benchmark

Scorer = Annotated[
    str | None,
    typer.Option(
        "--scorer",
        metavar="CMD",
        help="Your own metric: a program, as 'python my.py {model} {json}', that writes JSON.",
    ),
]
Metric = Annotated[
    str | None,
    typer.Option("--metric", metavar="KEY", help="With --scorer: its key in the JSON; -KEY: lower is better."),
]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", min=-1, help="With --scorer: its {limit}.")]
ScorerTime = Annotated[
    str | None, typer.Option("--scorer-time", metavar="TIME", help="With --scorer: how long it may take. Default: 1h.")
]
Data = Annotated[
    list[str] | None, typer.Option("--data", metavar="D", help="Sources to mix: see `posttrain list data`.")
]

DEFAULT_SECONDS = 3600.0
MOST_OF_BUDGET = 0.25  # that one call of the program may take unless told otherwise: one that hangs must not take all


def scored(
    model: str, benchmark: list[str] | None, protocol: str, scorer: str, metric: str | None, limit: int | None,
    time_text: str | None, budget: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Benchmark and program of a run that a program scores. Raises InputError if it cannot be run as it is.

    Without a benchmark the program makes one of its own, called after its script.
    """
    from pipeline import programs
    from pipeline.types import Program

    most = min(DEFAULT_SECONDS, MOST_OF_BUDGET * options.seconds(budget)) if budget else DEFAULT_SECONDS
    program = Program(
        command=scorer,
        folder=str(Path.cwd()),
        metric=metric or "",
        limit=limit,
        time_limit=options.seconds(time_text, "--scorer-time") if time_text else most,
        alone=benchmark is None,
    )
    programs.check(program)
    name = programs.name_of(scorer) if benchmark is None else single(benchmark, model, protocol)
    return {"benchmark": name, "program": program}


def shelf(
    model: str, benchmark: list[str] | None, protocol: str, scorer: str | None, metric: str | None, limit: int | None,
    time_text: str | None, drawn: tuple[float | int | None, ...],
) -> list[Benchmark]:  # fmt: skip
    """The benchmarks to evaluate on; `drawn` are temperature, top-p and repeats. Raises InputError: there is none."""
    from pipeline import programs

    if scorer is None:
        refuse_alone(metric, None, time_text)
        if not benchmark:
            raise InputError("--benchmark is missing; see `posttrain evaluate --help`")
        found = options.decoded(options.benchmarks(benchmark, model, protocol), protocol, *drawn)  # type: ignore[arg-type]
        for each in found:
            if each.program is not None:
                programs.check(each.program, f"benchmark '{each.name}', command")
        return found
    if any(value is not None for value in drawn):
        raise InputError("--temperature, --top-p, --repeats: a program draws answers as it likes: omit them")
    wanted = scored(model, benchmark, protocol, scorer, metric, limit, time_text)
    return [programs.benchmark(wanted["benchmark"], protocol, wanted["program"])]


def single(values: list[str], model: str, protocol: str) -> str:
    """The one benchmark that is named. Raises InputError if there are several."""
    names = options.benchmarks(values, model, protocol)
    if len(names) != 1:
        raise InputError(f"--benchmark {','.join(values)}: a run has one benchmark; start one run for each")
    return names[0]


def refuse_alone(metric: str | None, limit: int | None, time_text: str | None) -> None:
    """Raises InputError for an option that belongs to a program where there is none."""
    for option, value in (("--metric", metric), ("--limit", limit), ("--scorer-time", time_text)):
        if value is not None:
            raise InputError(f"{option} {value}: there is no program that it belongs to: name one with --scorer")


def mixed(values: list[str] | None, benchmark: list[str] | None = None) -> dict[str, Any]:
    """The sources in `--data a,b --data c`, each once; empty where the option is not given.

    Known are the catalogue's and those of the benchmarks that are folders of the user's own.
    """
    if values is None:
        return {}
    from pipeline import benchmarks, catalogue

    named = [name.strip() for value in benchmark or () for name in value.split(",")]
    known = [name for folder in ("", *map(benchmarks.own_folder, named)) for name in catalogue.names(beside=folder)]
    return {"data": tuple(options.split(values, "data source", "--data", list(dict.fromkeys(known))))}
