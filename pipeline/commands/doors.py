"""The verbs beside `step` that speak to a run whoever owns it: submit, remaining, mcp."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline import console
from pipeline.commands import options
from pipeline.commands.running import interruptible
from pipeline.commands.watching import Watcher
from pipeline.errors import InputError


def submit(
    folder: options.RunFolder,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder: a whole model, or an adapter on the base.")],
    rationale: Annotated[str, typer.Option(metavar="TEXT", help="How it was made; it is kept with the trial.")] = "",
    as_json: options.Json = False,
) -> None:
    """Score a checkpoint that was made outside, as a trial of a run.

    It is copied into the run, scored on the search split like any trial, and may be chosen at the end: `unverified`,
    as nobody knows what it was trained on.

    \b
    Example:
      posttrain submit runs/mine out/checkpoint-200
    """
    from pipeline.flight import summary
    from pipeline.owner.entrance import enter

    options.run_folder(folder)
    watcher = Watcher()
    with interruptible(folder), console.stdout_kept_clean(), enter(folder, watcher) as entered:
        trial = entered.submit(path, rationale, "user")
        left = entered.remaining()
    watcher.progress.close()
    if trial.score is None:
        reason = trial.outcome.error if trial.outcome else "its owner ended; start the command again"
        raise InputError(f"{trial.id} was {'rejected' if trial.state == 'rejected' else 'not scored'}: {reason}")
    if as_json:
        console.document({"trial": trial, "remaining": left})
    else:
        print(summary(trial))


def mcp(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder, or a new one for the tool `open`.")],
    http: Annotated[bool, typer.Option("--http", help="Serve on 127.0.0.1 instead of stdin and stdout.")] = False,
    port: Annotated[int, typer.Option(metavar="N", min=1, max=65535, help="With --http.")] = 8765,
    executor: Annotated[
        str, typer.Option(metavar="E", help="Where trials run, for a run that `open` makes.")
    ] = "local",
    as_json: Annotated[bool, typer.Option("--json", help="Only print a client's configuration, as JSON.")] = False,
) -> None:
    """Serve a run's doors as MCP tools, for Claude Code, Codex CLI, Gemini CLI and other clients.

    \b
    Examples:
      posttrain mcp runs/mine
      posttrain mcp runs/mine --http --port 8765
      posttrain mcp runs/mine --json
    """
    from pipeline.mcp import serving as server

    server.require()
    if folder.exists() and not (folder / "run.json").is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: neither a run folder nor an empty one; name one of these, or a new one")
    options.plugin("executors", executor, "--executor")
    if as_json:
        console.document(server.configuration(folder, port if http else None))
        return
    say = console.Progress().say
    if not http:
        none = "" if (folder / "run.json").is_file() else " (no run yet: the tool `open` makes one)"
        say(f"posttrain mcp: serving {folder} on stdin and stdout{none}")
        server.serve_stdio(folder, executor)
        return
    with console.stdout_kept_clean():
        server.serve_http(folder, port, say, executor)


def remaining(folder: options.RunFolder, as_json: options.Json = False) -> None:
    """Tell what is left of a run's budget: time, trials, dollars.

    \b
    Example:
      posttrain remaining runs/mine --json
    """
    from pipeline.owner.entrance import look

    run = look(options.run_folder(folder))
    left, budget = run.remaining(), run.budget()
    running = [trial.id for trial in run.history() if trial.state == "pending" and trial.kind != "anchor"]
    if as_json:
        console.document({**left.model_dump(), "budget": budget, "running": running})
        return
    parts = []
    if left.seconds is not None and budget.seconds is not None:
        parts.append(f"{console.duration(left.seconds)} of {console.duration(budget.seconds)}")
    if left.trials is not None:
        parts.append(f"{left.trials} of {budget.trials} trials")
    if left.dollars is not None:
        parts.append(f"{left.dollars:.2f} dollars")
    print(f"left: {', '.join(parts) or 'no limit'}" + (f"; running: {', '.join(running)}" if running else ""))
