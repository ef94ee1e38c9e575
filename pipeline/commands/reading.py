"""`posttrain report` and `rerun`: what a run came to, and one of its trials once more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pipeline import console
from pipeline.commands import options

Format = Literal["text", "json", "md", "html"]


def report(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Run folders, or a matrix's folder.")],
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = "text",
    as_json: options.Json = False,
) -> None:
    """Print a run's report; several are set side by side.

    \b
    Example:
      posttrain report runs/qwen3-tiny_gsm8k-asha-seed0
    """
    from pipeline import report as reports
    from pipeline.errors import InputError

    for folder in folders:
        if not folder.exists():
            raise InputError(f"{folder}: no such folder; name one that `posttrain search`, `open` or `reproduce` wrote")
    print(reports.render(folders, "json" if as_json else form).rstrip("\n"))


def rerun(
    folder: options.RunFolder,
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="The trial's id, as the report names it.")],
    as_json: options.Json = False,
) -> None:
    """Train and score a trial again and compare.

    \b
    Example:
      posttrain rerun runs/qwen3-tiny_gsm8k-asha-seed0 t003
    """
    from pipeline import rerun as reruns

    options.run_folder(folder)
    chosen = reruns.find(folder, trial)
    progress = console.Progress()
    progress(f"running {trial} again")
    with console.stdout_kept_clean():
        found = reruns.rerun(folder, chosen)
    progress.close()
    if as_json:
        console.document(found)
    else:
        print(comparison(found))


def comparison(found: dict[str, Any]) -> str:
    """Both scores in one line."""
    before, again = found["before"], found["again"]
    verdict = "the same" if found["same"] else "NOT the same: another machine, library version or thread count?"
    return f"{found['trial']} scored {before.value:.4f} then and {again.value:.4f} now: {verdict} ({found['folder']})"
