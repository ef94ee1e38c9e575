"""How a run folder comes to be: its lock, its sealed salt, the fingerprints of the start, run.json."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from pipeline import benchmarks, catalogue, programs, published
from pipeline.admission import load_guards
from pipeline.errors import InputError
from pipeline.lock import Lock, refuse_owned
from pipeline.paths import read_json, write_atomic, write_json
from pipeline.recipe import search_space
from pipeline.request import RUN_FILE, RunRequest, describe_run
from pipeline.types import Benchmark, ItemsKey

SEALED, SALT = "sealed", "salt"
AGENT = "agent"  # the folder of what an agent has to remember
WORK = "work"  # in it: the working folder of an agent that steps by itself
MODEL_FACTS = ("model_type", "hidden_size", "num_hidden_layers", "vocab_size", "max_position_embeddings")


def make_folder(folder: Path, request: RunRequest) -> Lock:
    """Make a run's folder and own it. Raises InputError, before anything is written, if the request cannot be run."""
    benchmark = programs.benchmark(request.benchmark, request.protocol, request.program)
    guards = load_guards(request.guards)
    search_space(request.recipe, sources(request, benchmark))
    _refuse_used(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = Lock(folder)
    try:
        # For the owner only, from its first moment on. Workers of trials get keys without the salt.
        (folder / SEALED).mkdir(mode=0o700)
        write_atomic(folder / SEALED / SALT, _salt(folder, request), mode=0o600)
        models = {"base": request.model_path, "instruct": request.instruct_path}
        folders = {role: Path(path) for role, path in models.items() if path}
        if benchmark.program is None and (own := benchmarks.own_folder(request.benchmark)):
            folders["benchmark"] = Path(own)  # a program may well write beside itself
        read = [path for path in _read_from(request, benchmark) if not any(map(path.is_relative_to, folders.values()))]
        folders |= {f"file {path}": path for path in read}
        seals = {name: guard.seal(folder, folders) for name, guard in guards.items() if hasattr(guard, "seal")}
        write_json(folder / RUN_FILE, describe_run(request, benchmark, seals))
    except BaseException:
        lock.release()
        raise
    return lock


def sources(request: RunRequest, benchmark: Benchmark) -> list[str]:
    """The names of the sources that may be mixed: as asked for, else the recipe's and those of the benchmark's kind.

    Of the kind's only those that are at hand: what nobody asked for by name must not end a search without network.
    Of sources in the benchmark's own folder those count that the recipe names.
    """
    if request.sources is not None:
        return list(request.sources)
    used = [reference.name for stage in request.recipe.stages for reference in stage.data]
    of_kind = [name for name in catalogue.names(benchmark.kind) if catalogue.at_hand(name)]
    return list(dict.fromkeys([*of_kind, *used]))


def _read_from(request: RunRequest, benchmark: Benchmark) -> list[Path]:
    """The files elsewhere that items and rows come from: local copies of data sets, and a source's own file."""
    beside = request.key.folder
    known = catalogue.all_sources(beside)
    found = [catalogue.file_of(name, beside) for name in sources(request, benchmark) if name in known]
    return sorted({path for path in (*benchmarks.files(benchmark), *found) if path is not None and path.is_file()})


def facts(request: RunRequest, benchmark: Benchmark) -> dict[str, Any]:
    """What is known of the benchmark and the base model beforehand, as plain data: for agents that can read it."""
    task = {name: getattr(benchmark, name) for name in ("summary", "metric", "kind", "max_tokens", "few_shot")}
    scores = published.scores(benchmark, request.model)
    try:
        config = read_json(Path(request.model_path) / "config.json")
    except (OSError, InputError):
        config = {}
    known = config if isinstance(config, dict) else {}
    return {
        "task": {"benchmark": benchmark.name, **task},
        "base_model": {name: known[name] for name in MODEL_FACTS if isinstance(known.get(name), int | str)},
        "published_anchors": {role: score.value for role, score in scores.items()},
    }


def sealed_key(folder: Path, request: RunRequest) -> ItemsKey:
    """The key that selects this run's final items. Never for a trial's worker."""
    return request.key.model_copy(update={"salt": (folder / SEALED / SALT).read_text()})


def seal(folder: Path) -> None:
    """Make a sealed folder for several runs: the salt that selects the final items of all of them."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / SALT).is_file():
        write_atomic(folder / SALT, secrets.token_hex(8), mode=0o600)


def shared_seal(folder: Path, request: RunRequest) -> Path | None:
    """The sealed folder that a run shares with others; None if its final items are its own."""
    return Path(os.path.normpath(folder.absolute() / request.sealed_with)) if request.sealed_with else None


def _salt(folder: Path, request: RunRequest) -> str:
    shared = shared_seal(folder, request)
    return (shared / SALT).read_text() if shared else secrets.token_hex(8)


def _refuse_used(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file: name a new folder")
    if not folder.exists() or not any(folder.iterdir()):
        return
    refuse_owned(folder)  # if somebody lives there, that is the better reason
    what = "holds a run: go on with --resume, or" if (folder / RUN_FILE).exists() else "is not empty:"
    raise InputError(f"{folder}: {what} name a new folder")
