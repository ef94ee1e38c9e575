"""How a run folder comes to be: its lock, its sealed salt, the fingerprints of the start, run.json."""

from __future__ import annotations

import secrets
from pathlib import Path

from pipeline import catalogue, protocols
from pipeline.admission import load_guards
from pipeline.errors import InputError
from pipeline.lock import Lock, refuse_owned
from pipeline.paths import write_atomic, write_json
from pipeline.recipe import search_space
from pipeline.request import RUN_FILE, RunRequest, describe_run
from pipeline.types import Benchmark, ItemsKey

SEALED, SALT = "sealed", "salt"


def make_folder(folder: Path, request: RunRequest) -> Lock:
    """Make a run's folder and own it. Raises InputError, before anything is written, if the request cannot be run."""
    benchmark, guards = protocols.benchmark(request.benchmark, request.protocol), load_guards(request.guards)
    search_space(request.recipe, sources(request, benchmark))
    _refuse_used(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = Lock(folder)
    try:
        # For the owner only, from its first moment on. Workers of trials get keys without the salt.
        (folder / SEALED).mkdir(mode=0o700)
        write_atomic(folder / SEALED / SALT, secrets.token_hex(8), mode=0o600)
        models = {"base": request.model_path, "instruct": request.instruct_path}
        folders = {role: Path(path) for role, path in models.items() if path}
        seals = {name: guard.seal(folder, folders) for name, guard in guards.items() if hasattr(guard, "seal")}
        write_json(folder / RUN_FILE, describe_run(request, benchmark, seals))
    except BaseException:
        lock.release()
        raise
    return lock


def sources(request: RunRequest, benchmark: Benchmark) -> list[str]:
    """The names of the sources that may be mixed: as asked for, else the recipe's and those of the benchmark's kind.

    Of the kind's only those that are at hand: what nobody asked for by name must not end a search without network.
    """
    if request.sources is not None:
        return list(request.sources)
    used = [reference.name for stage in request.recipe.stages for reference in stage.data]
    of_kind = [name for name in catalogue.names(benchmark.kind) if catalogue.at_hand(name)]
    return list(dict.fromkeys([*of_kind, *used]))


def sealed_key(folder: Path, request: RunRequest) -> ItemsKey:
    """The key that selects this run's final items. Never for a trial's worker."""
    return ItemsKey(lab_seed=request.lab_seed, salt=(folder / SEALED / SALT).read_text())


def _refuse_used(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file: name a new folder")
    if not folder.exists() or not any(folder.iterdir()):
        return
    refuse_owned(folder)  # if somebody lives there, that is the better reason
    what = "holds a run: go on with --resume, or" if (folder / RUN_FILE).exists() else "is not empty:"
    raise InputError(f"{folder}: {what} name a new folder")
