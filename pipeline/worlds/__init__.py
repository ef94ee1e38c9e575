"""The lab's text worlds: items, data sources and raw text, generated from a seed. Pure Python, no torch.

A world is a module with a `WORLD`; adding one is adding a file.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from pipeline.errors import unknown
from pipeline.worlds.common import World


def names() -> list[str]:
    """The worlds that exist."""
    return sorted(module.name for module in iter_modules(__path__) if module.name != "common")


def get(name: str) -> World:
    """A world by name; the error lists what exists."""
    if name not in names():
        raise unknown("world", name, names())
    return import_module(f"{__name__}.{name}").WORLD
