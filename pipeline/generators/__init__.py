"""Data sources that are written by a program, from a seed: real tasks' forms, none of their items. No torch.

A generator is a module with `rows(seed, rows, **options)`; a catalogue entry with `loader: generated` names it.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from pipeline.errors import unknown


def names() -> list[str]:
    """The generators that exist."""
    return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


def rows(name: str, seed: int, count: int, options: dict[str, Any]) -> list[dict[str, Any]]:
    """`count` rows of a generator, the same for the same seed; the error lists what exists."""
    if name not in names():
        raise unknown("generator", name, names())
    found: list[dict[str, Any]] = import_module(f"{__name__}.{name}").rows(seed, count, **options)
    return found
