"""A user's scoring program: its command line, checked before anything runs, and the benchmark that it makes.

A command line is split like a shell's and run without one. `{model}` stands for the folder of the model to score,
`{json}` for the file that the program writes its metrics to; `{limit}` for a number of items, `{split}` for `search` or
`final`, where the program knows such things.
"""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pipeline import protocols
from pipeline.benchmarks import on_whole_test
from pipeline.errors import InputError
from pipeline.types import Benchmark, Program

PLACEHOLDER = re.compile(r"\{([A-Za-z_]+)\}")
NEEDED, OPTIONAL = ("model", "json"), ("limit", "split")
SHELL_ONLY = frozenset({"|", "||", "&", "&&", ";", "<", ">", ">>", "2>", "2>&1", "&>"})
PYTHONS = frozenset({"python", "python3"})
EXAMPLE = "such as 'python evaluate.py --model-path {model} --json-output-file {json}'"
SAME_ITEMS = "search and final scores are both the program's: it has no final items of its own"
OWN_SPLITS = "search and final items are the program's own"
LOOK_SECONDS = 20.0  # that a Python may take to say what it has
RECIPE = "lora_default"  # of a program without a benchmark beside it


def check(program: Program, what: str = "--scorer") -> None:
    """Raises InputError, naming the option or file `what`, if the command cannot be run as it is. Runs nothing."""
    words = split(program.command, what)
    known = {name for word in words for name in PLACEHOLDER.findall(word)}
    for name in sorted(known - {*NEEDED, *OPTIONAL}):
        raise InputError(f"{what}: unknown placeholder {{{name}}}: known are {{model}}, {{json}}, {{limit}}, {{split}}")
    for name in NEEDED:
        if name not in known:
            raise InputError(f"{what}: the command has no {{{name}}}: write it {EXAMPLE}")
    if "limit" in known and program.limit is None:
        raise InputError(f"{what}: the command has {{limit}}: say how many items that is with --limit")
    if "limit" not in known and program.limit is not None:
        raise InputError(f"{what}: a limit is given, and the command has no {{limit}} to put it: write one, or omit it")
    _find(words, Path(program.folder), what)


def split(command: str, what: str = "--scorer") -> list[str]:
    """The command's words. Raises InputError if there is none, quotes do not close, or it is meant for a shell."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError(f"{what}: cannot be split into words ({error}): correct its quotes") from None
    if not words:
        raise InputError(f"{what}: the command is empty: write it {EXAMPLE}")
    if "\x00" in command:
        raise InputError(f"{what}: the command holds a NUL character: remove it")
    for word in words:
        if word in SHELL_ONLY:
            raise InputError(f"{what}: '{word}' is a shell's, and none runs the command: put the line into a script")
    return words


def _find(words: list[str], folder: Path, what: str) -> None:
    """Raises InputError if the program, or the script that an interpreter is to run, is not there."""
    if executable(words, folder) is None:
        hint = f"correct it, or name the whole path (it is run in {folder})"
        raise InputError(f"{what}: there is no program '{words[0]}': {hint}")
    script = words[1] if len(words) > 1 and words[1].endswith((".py", ".sh")) else ""
    if script and not PLACEHOLDER.search(script) and not (folder / script).is_file():
        raise InputError(f"{what}: {folder / script}: no such file: correct the command")


def executable(words: list[str], folder: Path) -> str | None:
    """The whole path of a command's program; None if there is none.

    A bare `python` is the one on PATH, unless that lacks what the script imports and this Python has it all: whoever
    calls this package by its path, without its environment being active, means that one.
    """
    first = words[0]
    if "/" in first:
        return shutil.which(str(folder / first))
    found = shutil.which(first)
    if first not in PYTHONS:
        return found
    wanted = _imports(folder / words[1]) if len(words) > 1 and words[1].endswith(".py") else ()
    if found is None or (_lacks(found, wanted, folder) and not _lacks(sys.executable, wanted, folder)):
        return sys.executable
    return found


def _imports(script: Path) -> tuple[str, ...]:
    """The top names of what a script imports anywhere; none of one that cannot be read."""
    try:
        tree = ast.parse(script.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ()
    nodes = list(ast.walk(tree))
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    named = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return tuple(sorted({name.partition(".")[0] for name in [*plain, *named]} - {"", "__future__"}))


@lru_cache(maxsize=32)
def _lacks(python: str, names: tuple[str, ...], folder: Path) -> bool:
    """Whether a Python does not find one of the modules, as a script in `folder` would look for them."""
    if not names:
        return False
    code = f"import sys, importlib.util as u; sys.path.insert(0, {str(folder)!r}); "
    code += f"sys.exit(not all(map(u.find_spec, {names!r})))"
    try:
        return subprocess.run([python, "-c", code], capture_output=True, timeout=LOOK_SECONDS).returncode != 0
    except (OSError, subprocess.TimeoutExpired):
        return True


def command(program: Program, model: Path, json: Path, role: Literal["search", "final"]) -> list[str]:
    """The words that are run to score `model`, placeholders filled in: no word is split again."""
    words = split(program.command)
    values = {"model": str(model), "json": str(json), "limit": str(program.limit), "split": role}
    filled = [PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), word) for word in words]
    return [executable(words, Path(program.folder)) or filled[0], *filled[1:]]


def knows_splits(program: Program) -> bool:
    """Whether the program scores search and final items apart."""
    return "{split}" in program.command


def items_told(program: Program) -> str:
    """Which items its scores are of, in words."""
    return OWN_SPLITS if knows_splits(program) else SAME_ITEMS


def name_of(command: str) -> str:
    """A name for what a command scores: that of its script, else of its program."""
    words = split(command)
    script = words[1] if len(words) > 1 and words[1].endswith((".py", ".sh")) else words[0]
    return re.sub(r"[^\w.-]+", "-", Path(script).stem) or "program"


def benchmark(name: str, protocol: str = protocols.OWN, program: Program | None = None) -> Benchmark:
    """A benchmark (see `protocols.benchmark`), scored by `program` if there is one.

    It then keeps its kind of data and its recipe. Its test set, which the program may well score on, is what training
    data must not hold; its other items are free to be trained on. A program that is alone makes a benchmark of its own.
    """
    if program is None:
        return protocols.benchmark(name, protocol)
    if program.alone:
        return Benchmark(
            name=name, summary=f"what `{program.command}` says", scorer="program", metric=program.metric,
            program=program, kind="", recipe=RECIPE,
        )  # fmt: skip
    found = protocols.benchmark(name, protocol)
    if "sets" in found.items and not protocols.is_whole_test(found):
        found = on_whole_test(found)
    changes = {"scorer": "program", "metric": program.metric, "program": program, "runs_code": False, "anchors": None}
    return found.model_copy(update=changes)
