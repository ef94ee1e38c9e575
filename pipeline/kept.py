"""Results kept in the cache folder, each under a digest of everything that decides it: data, items and code."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.paths import PACKAGE, digest, home, read_json, write_json

# the code that decides which rows and items there are, and what is found in them
CODE = (
    "benchmarks.py",
    "catalogue.py",
    "data.py",
    "file_items.py",
    "formats.py",
    "hub.py",
    "leaves.py",
    "overlap.py",
    "phrasing.py",
    "rowfiles.py",
    "set_items.py",
    "task_items.py",
    "wording.py",
    "worlds/*.py",
)


def kept(kind: str, name: str, decides: list[Any], make: Callable[[], Any]) -> Any:
    """The JSON value that `make` gives, read back if it has been made before from the same `decides` (plain data)."""
    path = home() / kind / f"{name}-{digest([decides, code_digest()])}.json"
    try:
        return read_json(path)
    except (OSError, InputError):  # not there yet, or damaged: made anew
        value = make()
    with contextlib.suppress(OSError):  # a full or read-only cache costs time, not the result
        write_json(path, value)
    return value


@lru_cache(maxsize=4)
def code_digest(code: tuple[str, ...] = CODE) -> str:
    """Stands for the package's files that `code` names: a new version of them keeps nothing of the old one's."""
    found = [path for pattern in code for path in sorted(PACKAGE.glob(pattern)) if path.is_file()]  # no __pycache__
    return digest([file_digest(path) for path in found])


def file_digest(path: Path) -> str:
    """A file's whole SHA-256 in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
