"""A plugin's name is an address: a module of `pipeline/KIND/`, or `package.module`, or `package.module:attribute`.

A shipped plugin may carry an argument, `NAME:ARGUMENT` (`team:asha,tpe`). One that takes it defines
`check_argument(argument)`, which raises InputError for a wrong or a missing ("") one, and has it handed to its entry as
`argument`; its `EXAMPLE` is an argument to try it with.

Plugins are imported on use only; listing and summarising them reads their source. Dotted addresses run code of the
user's choice, so they are accepted from the user's command line and from nowhere else: a proposal never holds one.
"""

from __future__ import annotations

import ast
import functools
import importlib
import os
import sys
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, unknown

PACKAGE = Path(__file__).resolve().parent

# kind -> what a module of that folder must define at least one of to be a plugin; a single name is its entry
ENTRIES: dict[str, tuple[str, ...]] = {
    "agents": ("create",),
    "trainers": ("train",),
    "engines": ("open_engine",),
    "scorers": ("score",),
    "guards": ("on_proposal", "on_source", "on_submission", "on_finish"),
    "executors": ("create",),
    "families": ("FAMILY",),
}


def load(kind: str, name: str) -> Any:
    """The plugin's module, or the attribute that a `package.module:attribute` address names.

    Raises InputError if there is no such plugin (listing what exists) or a package that it needs is not installed.
    """
    shipped, argument = parts(kind, name)
    if argument is None and ("." in name or ":" in name):
        return _load_dotted(kind, name)
    if shipped not in names(kind):
        raise unknown(_singular(kind), name, names(kind))
    return _import(kind, shipped, f"pipeline.{kind}.{shipped}")


def parts(kind: str, name: str) -> tuple[str, str | None]:
    """A shipped plugin's name and its argument; any other name as it is, without one."""
    first, colon, rest = name.partition(":")
    return (first, rest.strip()) if colon and first in names(kind) else (name, None)


def entry(kind: str, name: str) -> Any:
    """What a caller calls: what the kind's convention names (`create`, `train`, ...), or a dotted address's attribute.

    Guards, which have several doors, are returned whole. An argument is checked, and handed on by what is returned.
    """
    plugin, expected = load(kind, name), ENTRIES[kind]
    shipped, argument = parts(kind, name)
    if (":" in name and argument is None) or len(expected) > 1:
        return plugin
    if not hasattr(plugin, expected[0]):
        raise InputError(f"{_singular(kind)} '{name}': the module does not define {expected[0]}: add it")
    found = getattr(plugin, expected[0])
    if hasattr(plugin, "check_argument"):
        plugin.check_argument(argument or "")
        return functools.partial(found, argument=argument or "")
    if argument is not None:
        raise InputError(f"{_singular(kind)} '{name}': {shipped} takes no argument: write {shipped}")
    return found


def names(kind: str) -> list[str]:
    """The shipped plugins of a kind, sorted: modules of its folder that define what the kind asks for."""
    return sorted(path.stem for path in _modules(kind) if _is_plugin(kind, path))


def summary(kind: str, name: str) -> str:
    """The first line of a shipped plugin's docstring, read without importing it."""
    for path in _modules(kind):
        if path.stem == name:
            lines = (ast.get_docstring(_tree(path)) or "").splitlines()
            return lines[0] if lines else ""
    raise unknown(_singular(kind), name, names(kind))


def example(kind: str, name: str) -> str:
    """A shipped plugin's name with an argument to try it with, if it takes one; read without importing it."""
    for path in _modules(kind):
        for node in _tree(path).body if path.stem == name else ():
            if isinstance(node, ast.Assign) and "EXAMPLE" in _defined(node):
                return f"{name}:{ast.literal_eval(node.value)}"
    return name


def _modules(kind: str) -> list[Path]:
    if kind not in ENTRIES:
        raise unknown("kind of plugin", kind, list(ENTRIES))
    return [path for path in (PACKAGE / kind).glob("*.py") if not path.stem.startswith("_")]


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), filename=str(path))


def _is_plugin(kind: str, path: Path) -> bool:
    # helpers may lie beside plugins (a fork server beside the executors): only what has the kind's entry counts
    return any(name in ENTRIES[kind] for node in _tree(path).body for name in _defined(node))


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    if isinstance(node, ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    return []


def _load_dotted(kind: str, address: str) -> Any:
    if kind not in ENTRIES:
        raise unknown("kind of plugin", kind, list(ENTRIES))
    module_name, _, attribute = address.partition(":")
    parts = [*module_name.split("."), *(attribute.split(".") if ":" in address else ())]
    if not all(part.isidentifier() for part in parts):
        raise InputError(f"{_singular(kind)} '{address}': not an address: write package.module or package.module:name")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())  # a user's module in the folder the command runs in; last, so it shadows nothing
    found = _import(kind, address, module_name)
    for part in attribute.split(".") if attribute else ():
        if not hasattr(found, part):
            raise InputError(f"{_singular(kind)} '{address}': {module_name} has no {attribute}")
        found = getattr(found, part)
    return found


def _import(kind: str, name: str, module_name: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or str(error)
        if missing.split(".")[0] == "pipeline":
            raise  # a fault of this package, not of the user's
        if module_name == missing or module_name.startswith(missing + "."):
            raise InputError(
                f"{_singular(kind)} '{name}': there is no module {missing}: "
                f"correct the address, or use one of {', '.join(names(kind)) or 'none'}"
            ) from None
        raise InputError(f"{_singular(kind)} '{name}' needs the package {missing}: pip install {missing}") from None


def _singular(kind: str) -> str:
    return "family" if kind == "families" else kind.removesuffix("s")
