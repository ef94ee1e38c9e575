"""Recipes by a model's size: `NAME_small.yaml` beside `NAME.yaml` takes its place for models below half a billion.

What suits billions of parameters on a GPU does not suit a small model on a CPU: there a budget of minutes pays for a
hundred thousand tokens, in which a slow rate, large batches and a long warm-up get nowhere.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.recipe import recipe_names

SMALL_PARAMETERS = 500_000_000
SUFFIX = "_small"


def is_small(parameters: int | None) -> bool:
    """Whether a model with so many parameters (None: not known) is a small one."""
    return parameters is not None and parameters < SMALL_PARAMETERS


def recipe_for(address: str, parameters: int | None) -> str:
    """The recipe for a model of that size: `address` (a shipped recipe's name, or a file), or its small variant."""
    if not is_small(parameters):
        return address
    path = Path(address)
    if path.suffix in (".yaml", ".yml"):
        beside = path.with_name(f"{path.stem}{SUFFIX}{path.suffix}")
        return str(beside) if beside.is_file() else address
    return f"{address}{SUFFIX}" if f"{address}{SUFFIX}" in recipe_names() else address
