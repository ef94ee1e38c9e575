"""The verbs that make or go on with runs: reproduce, search, open, step, finish."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pipeline import console
from pipeline.commands import options
from pipeline.commands.watching import Watcher
from pipeline.errors import InputError

if TYPE_CHECKING:
    from pipeline.asking import Asked

FLAGGED = 3
DEFAULT_AGENT = "asha"
QWEN3, TINY_GSM8K = ["qwen3"], ["tiny_gsm8k"]
SEEDS = options.LARGEST_SEED


def reproduce(
    family: Annotated[list[str], typer.Option(metavar="F", help="Commas, repeats and `all` are taken.")] = QWEN3,
    benchmark: options.Benchmarks = TINY_GSM8K,
    agent: options.Agent = DEFAULT_AGENT,
    budget: options.BudgetText = "120s",
    seed: options.Seed = 0,
    lab_seed: options.LabSeed = 0,
    slots: options.Slots = 1,
    out: options.Out = None,
    as_json: options.Json = False,
) -> None:
    """Lab, search and report in one call, in minutes.

    Builds tiny base and instruct models (once), searches recipes, and reports the fraction of the human gain.
    Several families or benchmarks make a matrix; the budget is for each of its cells.

    \b
    Example:
      posttrain reproduce --family qwen3 --benchmark tiny_gsm8k --budget 120s
    """
    from pipeline import plugins

    families = options.split(family, "family", "--family", plugins.names("families"))
    cells = [
        _asked(f"lab/{name}-base", each, budget, agent=agent, seed=seed, lab_seed=lab_seed, slots=slots)
        for name in families
        for each in options.benchmarks(benchmark)
    ]
    _run_all(cells, out, as_json)


def search(
    model: Annotated[str | None, typer.Option(metavar="M", help="Base: a Hub id, a folder, a lab model.")] = None,
    benchmark: Annotated[list[str] | None, typer.Option(metavar="B", help="Commas, repeats and `all`.")] = None,
    instruct: options.Instruct = None,
    family: Annotated[str | None, typer.Option(metavar="F", help="How turns are written. Default: auto.")] = None,
    agent: Annotated[str | None, typer.Option(metavar="A", help=f"Who proposes. Default: {DEFAULT_AGENT}.")] = None,
    budget: Annotated[str | None, typer.Option(metavar="TIME", help="Wall clock: 10h; with --resume: +2h.")] = None,
    trials: options.Trials = None,
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, max=SEEDS, help="Seed of the search.")] = None,
    lab_seed: Annotated[int | None, typer.Option(metavar="N", min=0, max=SEEDS, help="Seed of the lab.")] = None,
    recipe: options.RecipeFile = None,
    executor: Annotated[str | None, typer.Option(metavar="E", help="Where trials run. Default: local.")] = None,
    slots: Annotated[int | None, typer.Option(metavar="N", min=1, max=1024, help="Trials at once.")] = None,
    protocol: Annotated[str | None, typer.Option(metavar="P", help="See `posttrain list protocols`.")] = None,
    anchors: Annotated[
        Literal["measured", "published"] | None, typer.Option("--anchors", help="Of the fraction. Default: measured.")
    ] = None,
    judge: options.JudgeName = None,
    judge_budget: options.JudgeBudget = None,
    out: options.Out = None,
    resume: Annotated[Path | None, typer.Option(metavar="DIR", help="Go on with this run instead.")] = None,
    as_json: options.Json = False,
) -> None:
    """Search recipes for your model, or go on with a search.

    \b
    Examples:
      posttrain search --model lab/qwen3-base --benchmark tiny_gsm8k --budget 10m
      posttrain search --resume runs/qwen3-tiny_gsm8k-asha-seed0 --budget +2h
    """
    given: dict[str, Any] = {
        "instruct": instruct, "family": family, "agent": agent, "trials": trials, "seed": seed, "lab_seed": lab_seed,
        "recipe": recipe, "executor": executor, "slots": slots, "protocol": protocol, "anchors": anchors,
        "judge": options.judge(judge, judge_budget),
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    if resume is not None:
        _resume(resume, budget, {"model": model, "benchmark": benchmark, "out": out, **given}, as_json)
        return
    for option, value in (("--model", model), ("--benchmark", benchmark), ("--budget", budget)):
        if not value:
            raise InputError(f"{option} is missing; see `posttrain search --help`, or go on with --resume DIR")
    assert model is not None and benchmark is not None and budget is not None
    names, paid = options.benchmarks(benchmark, model, protocol or "own"), given.pop("judge", None)
    judges = options.judges(names, paid)
    _run_all([_asked(model, each, budget, judge=judges[each], **given) for each in names], out, as_json)


def open_run(
    model: options.Model,
    benchmark: Annotated[str, typer.Option(metavar="B", help="See `posttrain list benchmarks`.")],
    budget: options.BudgetText,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="New or empty.")],
    instruct: options.Instruct = None,
    family: options.Family = "auto",
    trials: options.Trials = None,
    recipe: options.RecipeFile = None,
    executor: Annotated[str, typer.Option(metavar="E", help="Where trials run.")] = "local",
    protocol: options.Protocol = "own",
    judge: options.JudgeName = None,
    judge_budget: options.JudgeBudget = None,
    seed: options.Seed = 0,
    lab_seed: options.LabSeed = 0,
    anchors: options.Anchors = "measured",
    as_json: options.Json = False,
) -> None:
    """Open a run without an agent, for `step` and `finish`. Its clock runs from here to its finish.

    \b
    Example:
      posttrain open --model lab/qwen3-base --benchmark tiny_gsm8k --budget 1h --out runs/mine
    """
    from pipeline import asking
    from pipeline.session import Session

    names = options.benchmarks([benchmark], model, protocol)
    if len(names) != 1:
        raise InputError(f"--benchmark {benchmark}: a run has one benchmark; open one run for each")
    asked = _asked(
        model, names[0], budget, trials=trials, agent=None, instruct=instruct, family=family, recipe=recipe,
        executor=executor, protocol=protocol, judge=options.judge(judge, judge_budget), seed=seed, lab_seed=lab_seed,
        anchors=anchors,
    )  # fmt: skip
    asking.check(asked)
    folder, watcher = options.new_folder(out, ""), Watcher()
    with interruptible(folder), console.stdout_kept_clean():
        request = asking.to_request(asked, watcher.resolve, watcher.progress.say)
        with Session.open(folder, request) as session:
            session.on_event = watcher
            session.begin()
            brief = session.brief()
            document = {"folder": folder, "remaining": session.remaining(), "space": brief.space, "data": brief.cards}
    if as_json:
        console.document(document)
    else:
        print(f"opened {folder}; go on with `posttrain step {shlex.quote(str(folder))} --changes '{{...}}'`")


def step(
    folder: options.RunFolder,
    changes: Annotated[str, typer.Option(metavar="JSON", help="An object of dotted paths and values.")],
    fidelity: Annotated[float, typer.Option(metavar="X", min=0.001, max=1.0, help="Share of the full length.")] = 1.0,
    continues: Annotated[str | None, typer.Option(metavar="TRIAL", help="Train on from its checkpoint.")] = None,
    rationale: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept with the trial.")] = "",
    as_json: options.Json = False,
) -> None:
    """Try one recipe in an open run.

    It is trained, scored on the search split and recorded, by the process that owns the run if one does; there it
    waits for a free slot.

    \b
    Example:
      posttrain step runs/mine --changes '{"stages.0.params.learning_rate": 2e-4}' --fidelity 0.25
    """
    from pipeline.flight import summary
    from pipeline.owner.entrance import enter
    from pipeline.types import Proposal

    options.run_folder(folder)
    wanted = Proposal(
        changes=options.changes(changes), fidelity=fidelity, continues=continues, rationale=rationale, author="user"
    )
    watcher = Watcher()
    with interruptible(folder), console.stdout_kept_clean(), enter(folder, watcher) as entered:
        trial = entered.step(wanted)
        left = entered.remaining()
    watcher.progress.close()
    if trial.state == "rejected":
        reason = next((verdict.reason for verdict in trial.verdicts if not verdict.ok), "a guard refused it")
        raise InputError(f"{trial.id} was rejected: {reason}")
    if as_json:
        console.document({"trial": trial, "remaining": left})
    else:
        print(summary(trial))


def finish(folder: options.RunFolder, as_json: options.Json = False) -> None:
    """End a run: choose, final split, final model, report.

    \b
    Example:
      posttrain finish runs/mine
    """
    from pipeline import reproduce as runs

    options.run_folder(folder)
    with interruptible(folder), console.stdout_kept_clean():
        runs.finish(folder, Watcher())
    _show(folder, as_json)


# ---------------------------------------------------------------- inside


def _asked(model: str, benchmark: str, budget: str, trials: int | None = None, **given: Any) -> Asked:
    """The run as asked for, its budget read."""
    from pipeline.asking import Asked
    from pipeline.types import Budget

    limits = Budget(seconds=options.seconds(budget), trials=trials)
    return Asked(model=model, benchmark=benchmark, budget=limits, **given)


def _run_all(cells: list[Asked], out: Path | None, as_json: bool) -> None:
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
    _show(folder, as_json)


def _resume(folder: Path, budget: str | None, given: dict[str, Any], as_json: bool) -> None:
    """Go on with a run or a matrix; its request lies in the folder, so nothing of it can be given again."""
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
        else:
            runs.resume(options.run_folder(folder), watcher, extra)
    _show(folder, as_json)


def _show(folder: Path, as_json: bool) -> None:
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
    if any((folder / name).is_file() for name in ("run.json", "matrix.json")):
        return f"go on with: posttrain search --resume {place}"
    return "no run was begun yet: start the same command again"
