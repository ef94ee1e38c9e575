"""Where a command-line agent's sessions run: its folders, the sandbox around them, and the ways out of it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.agents._command_options import Options
from pipeline.agents._workfolder import BASE_INSIDE, WorkFolder
from pipeline.cage import programs
from pipeline.cage.proxy import Host, Proxy
from pipeline.cage.walls import Walls, python_places
from pipeline.errors import InputError
from pipeline.hub import ROOT
from pipeline.paths import home


@dataclass(frozen=True)
class Cell:
    """The folders, the sandbox (None: without one), the proxy's socket, and the ports that are reached through it."""

    folder: WorkFolder
    walls: Walls | None
    proxy: Path | None = None
    ports: tuple[int, ...] = ()


def walls_of(
    place: Path,
    argv: Sequence[str],
    readable: Sequence[Path],
    options: Options,
    hidden: Sequence[Path],
    base: Path | None,
) -> Walls:
    """The sandbox of an agent whose folders are in `place`. It sees `base`, a model's folder, if there is one.

    Raises InputError if what its user wants it to read is, holds or lies in a place that it must not see.
    """
    copies = os.environ.get(ROOT)  # of data sets: final items are among them
    closed = (*hidden, home().absolute(), *([Path(copies).expanduser().absolute()] if copies else []))
    for path in readable:
        if programs.holds(path, closed):
            raise InputError(f"bind {path}: holds what the agent must not see (the run, or the cache): name less")
    files = sorted(path for path in base.iterdir() if path.is_file()) if base else []
    return Walls(
        own=(place / "work", place / "home"), home=place / "home", place=place / "etc", limits=options.limits,
        seen=(*python_places(), *programs.needed(argv, closed), *readable), hidden=closed,
        named={str(BASE_INSIDE / path.name): path.resolve() for path in files}, devices=base is not None,
    )  # fmt: skip


@contextlib.contextmanager
def cell_of(
    folder: WorkFolder, walls: Walls | None, hosts: Sequence[Host], door: Path, told: Callable[[str], None]
) -> Iterator[Cell]:
    """The cell, with its proxy while it is used: none where no host may be reached, or without a sandbox.

    `door` is the socket to the run. `told` hears of hosts that were refused.
    """
    if walls is None:
        yield Cell(folder, None)
        return
    door.chmod(0o666)  # its folder is this user's alone; inside of the sandbox root's agent is another user
    if not hosts:
        yield Cell(folder, walls.through(door))
        return
    with tempfile.TemporaryDirectory(prefix="posttrain-proxy-") as private:
        address = Path(private) / "proxy"
        with Proxy(address, hosts, told):
            ports = tuple(host.port for host in hosts if host.is_here)
            yield Cell(folder, walls.through(door, address), address, ports)
