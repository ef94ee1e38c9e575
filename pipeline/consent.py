"""Leave to fetch something large: asked for on a terminal, or given beforehand with --yes."""

from __future__ import annotations

import sys

from pipeline.errors import InputError

_given: set[str] = set()  # what was agreed to in this process; "" stands for everything


def give(value: bool) -> bool:
    """The callback of --yes: without it, what an earlier command of this process was given is forgotten."""
    _given.clear()
    if value:
        _given.add("")
    return value


def is_given(what: str) -> bool:
    """Whether `what` was agreed to, without asking."""
    return bool(_given & {"", what})


def ask(what: str, question: str, instead: str) -> None:
    """Ask once whether `what` may be fetched. Raises InputError, saying `instead`, if not or if nobody can answer."""
    if is_given(what):
        return
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError(instead)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InputError(instead)
    _given.add(what)
