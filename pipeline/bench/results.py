"""A measurement's folder, bench.json and bench.md in it, and what every measurement says of the ground it stands on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline import lab, machine, plugins
from pipeline.errors import InputError
from pipeline.lab.scale import labs
from pipeline.lock import refuse_owned
from pipeline.paths import read_json, write_atomic, write_json
from pipeline.reporting.blocks import Page, listed
from pipeline.reporting.plain import to_markdown
from pipeline.request import RunRequest, versions

BENCH_FILE, PAGE_FILE = "bench.json", "bench.md"
SCHEMA = 1
ASIDE = ".interrupted"
Document = dict[str, Any]


def claim(out: Path, kind: str) -> None:
    """Take `out` for measurements of one kind. Raises InputError if anything else lies there."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file: name a folder")
    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / BENCH_FILE).is_file():
        raise InputError(f"--out {out}: already in use, and not by `posttrain bench {kind}`: name a new folder")
    found = read_json(out / BENCH_FILE).get("kind")
    if found != kind:
        raise InputError(f"--out {out}: holds `posttrain bench {found}`: name a new folder for `bench {kind}`")


def refuse_other_lab(folder: Path, request: RunRequest) -> None:
    """Raise InputError if a run's lab is not what this version builds: its models, items and data are others."""
    if not request.model.startswith("lab/"):
        return
    name = request.model.partition("@")[0].removeprefix("lab/").removesuffix("-base")
    family = plugins.load("families", name).FAMILY
    known = tuple(lab.fingerprint(family, each, request.lab_seed) for each in labs().values())
    if not Path(request.model_path).parent.name.endswith(known):
        raise InputError(f"{folder}: was made on a lab that is built differently now: name a new folder for --out")


def set_aside(folder: Path) -> Path:
    """Rename a run's folder, so that the run can be done again. Raises OwnedError if somebody is at it right now."""
    refuse_owned(folder)
    target, number = folder.with_name(folder.name + ASIDE), 1
    while target.exists():
        number += 1
        target = folder.with_name(f"{folder.name}{ASIDE}-{number}")
    folder.rename(target)
    return target


def write(out: Path, document: Document, page: Callable[[Document], Page]) -> Document:
    """Write bench.json and bench.md; returns the document."""
    write_json(out / BENCH_FILE, document)
    write_atomic(out / PAGE_FILE, to_markdown(page(document)))
    return document


def ground() -> Document:
    """Versions and this machine, as far as it was measured before."""
    found = machine.known()
    kept = ("cores", "memory_bytes", "device", "device_name", "dtype", "threads", "quiet")
    return {
        "schema": SCHEMA,
        "machine": {name: getattr(found, name) for name in kept} if found else None,
        "versions": versions(),
    }


def ground_text(document: Document) -> str:
    """The ground in a line."""
    found, libraries = document["machine"], document["versions"]
    here = (
        f"{found['device_name']}, {found['cores']} cores, {found['threads']} threads, {found['dtype']}" if found else ""
    )
    return listed([here, *(f"{name} {libraries[name]}" for name in ("posttrain", "torch", "transformers", "trl"))])
