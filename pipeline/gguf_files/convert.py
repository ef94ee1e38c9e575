"""A GGUF file becomes a model's folder in the cache, once: safetensors, config, tokenizer, template, stop tokens.

The folder is named by the file's content, made beside its place and moved there whole; of two processes that want it
one makes it and the other waits.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline.errors import InputError
from pipeline.gguf_files.config import check, config
from pipeline.gguf_files.header import Header, read_header
from pipeline.kept import file_digest, kept
from pipeline.paths import digest, home, read_json, write_json

VERSION = 1  # of what is made from a file: raise it when the same file becomes another folder
FACTS = "posttrain_source.json"  # in the folder: what it was made from
Told = Callable[..., None]  # (what, share done, seconds left), as `console.Progress`


def root() -> Path:
    """Where converted models lie."""
    return home() / "converted"


def check_file(path: Path) -> None:
    """Raises InputError, one line, if the file is no GGUF file that can be converted."""
    check(read_header(path))


def convert(path: Path, told: Told | None = None, facts: dict[str, Any] | None = None) -> Path:
    """The folder of the model in a GGUF file, made if it is not in the cache. `facts` are kept in it beside its origin.

    Raises InputError if the file cannot be converted, or the cache not be written.
    """
    told = told or (lambda *_: None)
    header = read_header(path)
    check(header)
    content = content_digest(path)
    folder = folder_of(content)
    if (found := cached(content)) is not None:
        return found
    lock = FileLock(f"{folder}.lock")
    try:
        root().mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            told(f"{path.name}: another process converts it, waiting for that")
            lock.acquire()
        try:
            if not (folder / FACTS).is_file():
                _convert(header, folder, told, {"sha256": content, **(facts or {})})
        finally:
            lock.release()
    except OSError as error:
        raise InputError(
            f"{root()}: cannot be written ({error.strerror or error}): make room, or set POSTTRAIN_HOME"
        ) from None
    return folder


def folder_of(sha256: str) -> Path:
    """Where the model of a file with that SHA-256 lies, once it is converted."""
    return root() / f"gguf-{digest([sha256, VERSION])}"


def cached(sha256: str) -> Path | None:
    """The folder of the model of a file with that SHA-256, if it is in the cache."""
    folder = folder_of(sha256)
    return folder if (folder / FACTS).is_file() else None


def content_digest(path: Path) -> str:
    """The file's SHA-256, read once as long as its size and time stay."""
    found = path.stat()
    stamp = [str(path.resolve()), found.st_size, found.st_mtime_ns]
    return str(kept("digests", _slug(path.stem), stamp, lambda: file_digest(path)))


def listing() -> list[dict[str, Any]]:
    """The converted models in the cache: their facts, folder and bytes."""
    found = []
    for file in sorted(root().glob(f"[!.]*/{FACTS}")):
        size = sum(path.stat().st_size for path in file.parent.iterdir() if path.is_file())
        found.append({**read_json(file), "folder": file.parent, "bytes": size})
    return found


def remove(folder: Path) -> None:
    """Remove a converted model: first its name, then its files, so that nobody finds half of it."""
    with FileLock(f"{folder}.lock"):
        gone = folder.with_name(f".{folder.name}.removed")
        shutil.rmtree(gone, ignore_errors=True)
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _slug(stem: str) -> str:
    return re.sub(r"[^\w.-]+", "-", stem)[:80].strip(".-") or "model"


def _convert(header: Header, folder: Path, told: Told, facts: dict[str, Any]) -> None:
    from pipeline.gguf_files.tokenizer import place
    from pipeline.gguf_files.weights import plan, write

    what = f"converting {header.path.name} ({header.quantisation}, {header.parameters / 1e6:.3g} M parameters)"
    told(what)
    for left in root().glob(f".{folder.name}.*"):  # of a conversion that was killed: the lock is ours
        shutil.rmtree(left, ignore_errors=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        temporary.mkdir()
        settings, shapes, sources = skeleton(header)
        parts = plan(header, shapes, sources)
        stored = max(parts, key=lambda part: part.source.numbers).dtype
        dtype = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[stored]
        settings.dtype = dtype
        settings.save_pretrained(str(temporary))
        place(header, temporary)
        write(header, parts, temporary / "model.safetensors", lambda share: told(what, share))
        write_json(temporary / FACTS, {
            "file": header.path.name, "architecture": header.architecture, "quantisation": header.quantisation,
            "parameters": header.parameters, "dtype": dtype, **facts,
        })  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def skeleton(header: Header) -> tuple[Any, dict[str, tuple[int, ...]], dict[str, str]]:
    """The model's configuration, the shapes of the model's parameters by name, and what each is called in the file."""
    import torch
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map
    from transformers import AutoConfig, AutoModelForCausalLM

    fields = config(header)
    try:
        made = AutoConfig.for_model(fields.pop("model_type"), **fields)
        with torch.device("meta"):  # shapes without numbers
            model = AutoModelForCausalLM.from_config(made)
    except Exception as error:  # sizes that fit no model: the library says it in many ways
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{header.path}: its sizes make no {header.architecture} model ({what}): fetch it again"
        ) from None
    shapes = {name: tuple(found.shape) for name, found in model.named_parameters()}
    if made.tie_word_embeddings:
        shapes.pop("lm_head.weight", None)
    made.architectures = [type(model).__name__]
    architecture = next(key for key, name in MODEL_ARCH_NAMES.items() if name == header.architecture)
    names = get_tensor_name_map(architecture, header.get("block_count"))
    sources = {}
    for name in shapes:
        stem, _, suffix = name.rpartition(".")
        sources[name] = f"{names.get_name(stem) or stem}.{suffix}"
    return made, shapes, sources
