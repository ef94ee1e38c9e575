"""The laptop lab: tiny bases and their instruct siblings, really pre-trained and really tuned, built on first use.

A lab is a folder in the cache, named by a fingerprint of everything that decides it: `base/`, `instruct/`, `lab.json`.
"""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline import paths, plugins
from pipeline.errors import InputError, unknown
from pipeline.family import Family
from pipeline.lab.scale import THREE, Scale, scale, teaching
from pipeline.types import Benchmark

LAB = "lab.json"
LIBRARIES = ("torch", "transformers", "tokenizers", "trl", "accelerate")
# the code that decides weights, beside the scale's worlds: what they share, this folder's modules, the trainer
CODE = (
    "worlds/__init__.py",
    "worlds/common.py",
    "lab/[!_]*.py",
    "trainers/*.py",
    "training_plan.py",
    "training_rows.py",
)
# of a family, what no lesson shows: it decides no weights
UNSEEN = {"tools_template", "pairs"}

Told = Callable[..., None]  # (what, share done, seconds left)


def names() -> list[str]:
    """All lab models: a base and an instruct sibling per family."""
    return [f"lab/{family}{suffix}" for family in plugins.names("families") for suffix in ("-base", "")]


def address(model: str, benchmark: Benchmark) -> str:
    """A lab model's name with the lab that is taught a benchmark's world, `lab/FAMILY@LAB`; other names as they are."""
    if not model.startswith("lab/") or "@" in model:
        return model
    return f"{model}@{teaching(benchmark.items.get('world'))}"


def resolve(name: str, lab_seed: int = 0, progress: Told | None = None) -> Path:
    """The folder of `lab/FAMILY-base` or `lab/FAMILY`, perhaps with `@LAB`, built if it is not in the cache."""
    model, _, lab = name.partition("@")
    if model not in names():
        raise unknown("lab model", model, names())
    family = model.removeprefix("lab/").removesuffix("-base")
    folder = build(family, lab_seed, lab or THREE.name, progress)
    return folder / ("base" if model.endswith("-base") else "instruct")


def build(family: str, lab_seed: int = 0, lab: str = THREE.name, progress: Told | None = None) -> Path:
    """The folder of a family's lab. Two processes that want it at once build it once; a killed build leaves nothing."""
    if family not in plugins.names("families"):
        raise unknown("family", family, plugins.names("families"))
    sized = scale(lab)
    known: Family = plugins.load("families", family).FAMILY
    folder = _root() / f"{family}-{lab_seed}-{fingerprint(known, sized, lab_seed)}"
    if (folder / LAB).is_file():
        return folder
    _root().mkdir(parents=True, exist_ok=True)
    told = progress or (lambda *_: None)
    lock = Path(f"{folder}.lock")
    if _held(lock):
        told(f"lab {family}, {lab} worlds: another process builds it, waiting for that")
    with FileLock(lock):
        if not (folder / LAB).is_file():
            told(f"lab {family}, {lab} worlds: building")
            _build(folder, known, sized, lab_seed, told)
    return folder


def fingerprint(family: Family, sized: Scale, lab_seed: int) -> str:
    """Stands for everything that decides the lab's weights: sizes, seed, family, code and library versions."""
    patterns = (*CODE, *(f"worlds/{name}.py" for name in sized.passages))
    found = [path for pattern in patterns for path in sorted(paths.PACKAGE.glob(pattern))]
    sources = [path for path in found if path.name != "scale.py"]  # its numbers are in `sized`
    code = {str(path.relative_to(paths.PACKAGE)): _meaning(path) for path in sources}
    libraries = {name: version(name) for name in LIBRARIES}
    return paths.digest([sized.model_dump(), lab_seed, family.model_dump(exclude=UNSEEN), code, libraries])


def _meaning(path: Path) -> str:
    """A module's syntax tree without docstrings: comments and layout do not make another lab."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _build(folder: Path, family: Family, sized: Scale, lab_seed: int, told: Told) -> None:
    """Write the lab beside its place and move it there whole."""
    from pipeline.lab.making import make_base, make_instruct

    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        begun = time.monotonic()
        loss = make_base(temporary / "base", family, sized, lab_seed, told)
        between = time.monotonic()
        make_instruct(temporary / "base", temporary / "instruct", family, sized, lab_seed, told)
        facts = {
            "family": family.name, "lab_seed": lab_seed, "scale": sized.name, "pretraining_loss": loss,
            "pretraining_seconds": between - begun, "tuning_seconds": time.monotonic() - between,
        }  # fmt: skip
        paths.write_json(temporary / LAB, facts)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def listing() -> list[dict[str, Any]]:
    """The labs in the cache: family, lab_seed, scale, seconds and bytes."""
    found = []
    for path in sorted(_root().glob(f"*/{LAB}")):
        size = sum(file.stat().st_size for file in path.parent.rglob("*") if file.is_file())
        found.append({**paths.read_json(path), "bytes": size, "folder": path.parent.name})
    return found


def clear() -> list[str]:
    """Remove all labs of this cache, and what was derived from their data; returns their names.

    Raises InputError if one is being built right now.
    """
    removed = []
    for lock in _root().glob("*.lock"):
        if _held(lock):
            raise InputError(f"{lock.stem} is being built right now: wait for it, then clear")
    for folder in sorted(_root().glob("*-*-*")):
        if folder.is_dir():
            shutil.rmtree(folder)
            removed.append(folder.name)
    for derived in ("rows", "verdicts"):
        shutil.rmtree(paths.home() / derived, ignore_errors=True)
    return removed


def _held(lock: Path) -> bool:
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


def _root() -> Path:
    return paths.home() / "lab"
