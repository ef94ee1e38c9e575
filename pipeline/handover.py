"""A model folder that others wait for: replaced as a whole, never half-written, never missing in between."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from pathlib import Path

from pipeline.paths import sync_folder

_RENAME_EXCHANGE, _AT_FDCWD = 2, -100  # linux/fs.h, fcntl.h


def fresh(target: Path) -> Path:
    """Where the next content of `target` is written: beside it, on the same disk. What lies there is removed."""
    place = target.with_name(f".{target.name}.new")
    shutil.rmtree(place, ignore_errors=True)
    return place


def copy(model: Path, target: Path) -> None:
    """Put a copy of the files in a model's folder in place of `target`, links followed, folders inside left out."""
    place = fresh(target)
    place.mkdir(parents=True)
    for path in sorted(model.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            shutil.copyfile(path, place / path.name)
    put(place, target)


def put(place: Path, target: Path) -> None:
    """Rename the finished folder `place` to `target`; what was there is removed afterwards."""
    _sync(place)
    if not os.path.lexists(target):
        os.rename(place, target)
    elif _exchanged(place, target):
        _remove(place)
    else:  # no such call here: for an instant there is none of the two
        old = target.with_name(f".{target.name}.old")
        _remove(old)
        os.rename(target, old)
        os.rename(place, target)
        _remove(old)
    sync_folder(target.parent)


def _exchanged(one: Path, other: Path) -> bool:
    """Whether two names of one folder could be exchanged in a single step."""
    if sys.platform != "linux":
        return False
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    return bool(call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Have the files' content on the disk before their folder gets its name."""
    for path in folder.iterdir():
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    sync_folder(folder)
