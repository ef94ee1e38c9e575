"""The command `posttrain`: its verbs, and what a user sees when something is wrong.

Exit codes: 0 done, 2 the input is wrong, 3 done but flagged by a guard, 130 interrupted and resumable; 1 is a bug.
`POSTTRAIN_DEBUG=1` shows the traceback behind an error's line.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence

import typer

from pipeline import console, libraries
from pipeline.commands import bench, doors, lab, models, run, task
from pipeline.commands.anchors import anchors
from pipeline.commands.compare import compare
from pipeline.commands.doctor import doctor
from pipeline.commands.enter import enter
from pipeline.commands.evaluate import evaluate
from pipeline.commands.listing import list_kind
from pipeline.commands.reading import report, rerun
from pipeline.commands.trying import try_model
from pipeline.errors import DataError, InputError, JudgeError, PosttrainError, ProgramError

INPUT_IS_WRONG, BUG, INTERRUPTED = 2, 1, 130

app = typer.Typer(
    name="posttrain",
    help="Agents search post-training recipes for a small open-weight model; the report says how much of the human gain"
    " was regained. Start with: posttrain reproduce",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
VERBS: dict[str, Callable[..., None]] = {
    "reproduce": run.reproduce,
    "search": run.search,
    "open": run.open_run,
    "step": run.step,
    "submit": doors.submit,
    "remaining": doors.remaining,
    "mcp": doors.mcp,
    "finish": run.finish,
    "evaluate": evaluate,
    "try": try_model,
    "compare": compare,
    "anchors": anchors,
    "enter": enter,
    "report": report,
    "rerun": rerun,
    "list": list_kind,
    "doctor": doctor,
}
for verb, function in VERBS.items():
    app.command(verb)(function)
app.add_typer(lab.app, name="lab")
app.add_typer(models.app, name="models")
app.add_typer(bench.app, name="bench")
app.add_typer(task.app, name="task")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code. Every error is one line on stderr."""
    libraries.settle()
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _exit_code(list(sys.argv[1:] if arguments is None else arguments))
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit_code(arguments: list[str]) -> int:
    try:
        code = app(arguments or ["--help"], prog_name="posttrain", standalone_mode=False)
        sys.stdout.flush()
        if code == INTERRUPTED:
            print("\ninterrupted; start the same command again", file=sys.stderr)
        return int(code or 0)
    except console.Interrupted as interruption:
        print(f"\ninterrupted; {interruption}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `posttrain report DIR | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("POSTTRAIN_DEBUG"):
            import traceback

            traceback.print_exc()
        message, code = explain(error)
        print(f"error: {message}", file=sys.stderr)
        return code


def _interrupt(*_: object) -> None:
    """A request to terminate is an interruption: what runs is ended and recorded, the way on is printed."""
    raise KeyboardInterrupt


def explain(error: Exception) -> tuple[str, int]:
    """An error as one line, and the exit code that goes with it."""
    if isinstance(error, typer.TyperException):
        return usage(error), INPUT_IS_WRONG
    text = " ".join(str(error).split())
    # data, programs and a judge that answers and is paid for are the user's to bring
    if isinstance(error, InputError | DataError | ProgramError | JudgeError):
        return text, INPUT_IS_WRONG
    if isinstance(error, PosttrainError):
        return text, BUG
    if isinstance(error, PermissionError | IsADirectoryError | NotADirectoryError) and error.filename:
        return f"{error.filename}: {error.strerror}; choose a path that you can read and write", INPUT_IS_WRONG
    if isinstance(error, OSError) and error.errno == 28:  # ENOSPC
        return "the disk is full; make room (`posttrain lab clear` frees the cache) and start again", BUG
    return f"unexpected {type(error).__name__}: {text}; POSTTRAIN_DEBUG=1 shows where", BUG


def usage(error: typer.TyperException) -> str:
    """A wrong option or argument in one line that points to the help."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "posttrain"
    message = " ".join(error.format_message().split()).rstrip(".")
    return f"{message}; see `{path} --help`"


if __name__ == "__main__":
    sys.exit(main())
