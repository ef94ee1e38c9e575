"""A model folder with something told beside its files: a family of the user's choice, where an adapter's base lies.

Workers are given folders and nothing else, so what the command line says of a model becomes a folder in the cache:
links to the model's own files, and the told one among them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import derived, plugins
from pipeline.chat import (
    ADAPTER,
    FAMILY_FILE,
    base_of,
    brings_template,
    family_of,
    missing_tokens,
    shipped,
    tokenizer_folder,
)
from pipeline.errors import InputError, unknown
from pipeline.family import Family
from pipeline.paths import digest, home, read_json, write_atomic, write_json

AUTO = derived.NAME
TEMPLATE_FILE = "chat_template.jinja"  # counts before what the tokenizer's configuration holds


def with_family(folders: Mapping[str, Path], name: str) -> dict[str, Path]:
    """The folders of models by role (`model`, `base`, `instruct`), such that each one's family is the one asked for.

    `auto` is what a model's own files tell; where they hold no chat template, its instruct-tuned sibling's serves.
    Raises InputError if the family does not fit a model, or if none can be derived.
    """
    if name == AUTO:
        return {role: _with_template(folder, folders.get("instruct")) for role, folder in folders.items()}
    family = named(name)
    return {role: _with_named(folder, family) for role, folder in folders.items()}


def named(name: str) -> Family:
    """The family of that name, or at a dotted path. Raises InputError if there is none."""
    known = plugins.names("families")
    if name not in known and not {".", ":"} & set(name):
        raise unknown("family", name, [AUTO, *known])
    found = plugins.load("families", name)
    family = getattr(found, "FAMILY", found)
    if not isinstance(family, Family):
        raise InputError(f"--family {name}: defines no FAMILY: add one, a pipeline.family.Family")
    return family


def _with_template(folder: Path, instruct: Path | None) -> Path:
    try:
        family_of(folder)
        return folder
    except derived.NoTemplate:
        if instruct is None or instruct == folder:
            raise
        whole, own, donor = base_of(folder) or folder, tokenizer_folder(folder), tokenizer_folder(instruct)
        return dressed(folder, {FAMILY_FILE: derived.derive(whole, tokenizer_of=own, template_of=donor)})


def _with_named(folder: Path, family: Family) -> Path:
    missing = missing_tokens(tokenizer_folder(folder), family)
    if missing:
        raise InputError(f"{folder}: the tokenizer has no {', '.join(missing)}, which the family {family.name} needs")
    try:
        own = family_of(folder)
    except InputError:
        own = family  # its own files tell no family: the named one does
    else:
        if own == family:
            return folder
    if own.end_of_turn != family.end_of_turn and brings_template(folder):
        raise InputError(
            f"{folder}: its chat template ends a turn with {own.end_of_turn}, the family {family.name} with "
            f"{family.end_of_turn}: use --family auto"
        )
    return dressed(folder, {FAMILY_FILE: family})


def dressed(folder: Path, told: Mapping[str, Any]) -> Path:
    """A folder in the cache with links to the files in `folder`, but for those in `told`: texts, or plain data as JSON.

    The same every time. Folders inside are left out: what a model is loaded from lies beside its config.json.
    """
    folder = folder.resolve()
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name not in told)
    stamps = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    contents = {
        name: value.model_dump(mode="json") if isinstance(value, Family) else value for name, value in told.items()
    }
    target = home() / "models" / f"{folder.name}-{digest([str(folder), stamps, contents])}"
    if target.is_dir():
        return target
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        for path in files:
            _link(path, temporary / path.name)
        for name, content in contents.items():
            if isinstance(content, str):
                write_atomic(temporary / name, content)
            else:
                write_json(temporary / name, content)
        if not target.is_dir():
            os.rename(temporary, target)
    except OSError as error:
        if not target.is_dir():  # else another process was first
            raise InputError(f"{target.parent}: cannot be written ({error.strerror}): set POSTTRAIN_HOME") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def with_template(folder: Path, template: str) -> Path:
    """The whole model in `folder` with a chat template that others render its prompts with, without any settings.

    A model that brings none of its own stays known as such: its turn tokens are unseen.
    Raises InputError if the template does not end its turns, or cannot be trained where it asks for an answer.
    """
    own = derived.STILL + template if "strftime_now" in template else template
    plain = dressed(folder, {TEMPLATE_FILE: own})
    tokenizer = derived.load(str(plain))
    tokenizer.chat_template = own
    family = shipped(folder) or derived.derive(plain)
    end = derived.end_of_turn(tokenizer, str(plain), {})
    changes: dict[str, Any] = {"chat_template": own, "tools_template": None, "template_kwargs": {}, "end_of_turn": end}
    family = family.model_copy(update=changes)
    if not derived.trains_as_it_generates(tokenizer, family):
        raise InputError(f"{folder}: the template asks for an answer in other words than it renders one after")
    told: dict[str, Any] = {TEMPLATE_FILE: own} if brings_template(folder) else {}
    return dressed(folder, told | {FAMILY_FILE: family})


def on_base(adapter: Path, base: Path) -> Path:
    """The adapter's folder, its configuration naming `base`, which lies here."""
    return dressed(adapter, {ADAPTER: {**read_json(adapter / ADAPTER), "base_model_name_or_path": str(base)}})


def _link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source)
    except OSError:  # a platform or file system without links
        shutil.copy2(source, target)
