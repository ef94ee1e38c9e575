"""`posttrain lab`: the cached tiny models, built, listed, cleared."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline import console
from pipeline.commands import options

app = typer.Typer(
    help="Build, list or clear the tiny models that this machine makes.",
    rich_markup_mode=None,
)


@app.command()
def build(
    family: Annotated[list[str] | None, typer.Option(metavar="F", help="Commas, repeats, `all` (default).")] = None,
    lab_seed: options.LabSeed = 0,
    as_json: options.Json = False,
) -> None:
    """Build the lab's models, as far as they are not in the cache.

    \b
    Example:
      posttrain lab build --family qwen3
    """
    from pipeline import lab, plugins
    from pipeline.lab.scale import labs

    families = options.split(family or ["all"], "family", "--family", plugins.names("families"))
    progress = console.Progress()
    with console.stdout_kept_clean():
        built = [(name, each, lab.build(name, lab_seed, each, progress)) for name in families for each in labs()]
    progress.close()
    if as_json:
        console.document([{"family": name, "lab": each, "folder": folder} for name, each, folder in built])
    else:
        for name, each, folder in built:
            print(f"{name}, {each} worlds: {folder}")


@app.command("list")
def list_labs(as_json: options.Json = False) -> None:
    """List the labs in the cache.

    \b
    Example:
      posttrain lab list
    """
    from pipeline import lab
    from pipeline.commands.doctor import lab_text

    labs = list(lab.listing())
    if as_json:
        console.document(labs)
    else:
        print(lab_text(labs))


@app.command()
def clear(as_json: options.Json = False) -> None:
    """Remove all labs from the cache; the next use builds them again.

    \b
    Example:
      posttrain lab clear
    """
    from pipeline import lab

    removed = lab.clear()
    if as_json:
        console.document(removed)
    else:
        print("\n".join(f"removed {name}" for name in removed) or "there was no lab in the cache")
