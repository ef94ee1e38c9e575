"""What a program needs of the file system to start: itself, its package, and whoever interprets it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.errors import InputError

MODULES = "node_modules"


def find(name: str, who: str) -> Path:
    """The whole path of a program as a shell would find it, links kept. Raises InputError if there is none to run."""
    found = shutil.which(os.path.expanduser(name))
    if found is None:
        there = Path(name).expanduser()
        if os.sep in name and there.is_file():
            raise InputError(f"{who}: {name} is not executable: chmod +x {name}")
        where = "no such file" if os.sep in name else "not on the PATH"
        raise InputError(f"{who}: no program '{name}' ({where}): install it, or correct the name")
    return Path(os.path.abspath(found))


def settled(argv: Sequence[str], who: str) -> list[str]:
    """The command line with its program, and those of its arguments that are files here, as whole paths.

    It is run in another folder. Raises InputError if there is no such program.
    """
    rest = [str(Path(part).absolute()) if _is_file(part) else part for part in argv[1:]]
    return [str(find(argv[0], who)), *rest]


def needed(argv: Sequence[str], forbidden: Sequence[Path]) -> list[Path]:
    """What has to be visible for a settled command line: its program, that one's package, and the files that it names.

    No package that is, or holds, one of `forbidden`. Raises InputError if what is named itself lies in one.
    """
    named = [Path(argv[0]), *(Path(part) for part in argv[1:] if os.path.isabs(part) and _is_file(part))]
    for path in named:
        if holds(path, forbidden):
            raise InputError(f"{path}: lies where the agent must not look (the run's folder, or the cache): move it")
    found = dict.fromkeys([*named, *_of_program(named[0])])
    return [path for path in found if not holds(path, forbidden)]


def holds(path: Path, forbidden: Iterable[Path]) -> bool:
    """Whether a place is one of the forbidden ones, or around it, or in it."""
    real = path.resolve()
    others = [each.resolve() for each in forbidden]
    return any(other.is_relative_to(real) or real.is_relative_to(other) for other in others)


def _is_file(part: str) -> bool:
    return bool(part) and not part.startswith("-") and len(part) < 4096 and "\n" not in part and Path(part).is_file()


def _of_program(program: Path, depth: int = 0) -> Iterator[Path]:
    yield program
    real = program.resolve()
    yield real
    if MODULES in real.parts:  # of npm: its packages lie side by side
        yield Path(*real.parts[: real.parts.index(MODULES) + 1])
    elif program.is_symlink() and real.parent != Path.home():  # such as ~/.local/bin/x -> ~/.local/share/x/bin/x
        yield real.parent
    for name in _interpreter(real) if depth < 3 else ():
        found = shutil.which(name)
        if found:
            yield from _of_program(Path(os.path.abspath(found)), depth + 1)


def _interpreter(script: Path) -> list[str]:
    """The programs that a script's first line names."""
    try:
        with script.open("rb") as file:
            first = file.readline(512)
    except OSError:
        return []
    if not first.startswith(b"#!"):
        return []
    words = first[2:].decode(errors="replace").split()
    if words and Path(words[0]).name == "env":
        return [word for word in words[1:] if not word.startswith("-") and "=" not in word][:1]
    return words[:1]
