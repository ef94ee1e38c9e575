"""The sandbox of a command-line agent: what it sees of the system, which user it is, what it may use.

Nothing is visible but what is named: the system's programs and libraries, Python with its packages, the program itself
(read-only), and the agent's own folders. No network but its own loopback.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from pipeline.paths import PACKAGE
from pipeline.sandbox.guests import FIRST_UID, SYSTEM, UIDS
from pipeline.types import Record

MORE_SYSTEM = ("/sbin", "/lib32", "/etc/alternatives", "/etc/ssl", "/etc/ca-certificates", "/etc/pki", "/etc/localtime",
               "/etc/os-release", "/etc/nsswitch.conf", "/etc/mime.types", "/etc/bash.bashrc")  # fmt: skip
DEVICES = ("/dev/nvidia*", "/dev/kfd", "/dev/dri")
MADE = {
    "passwd": "root:x:0:0:root:/:/bin/sh\nagent:x:{uid}:{uid}:agent:{home}:/bin/sh\n",
    "group": "root:x:0:\nagent:x:{uid}:\n",
    "hosts": "127.0.0.1 localhost\n",
}


class Limits(Record):
    """What an agent and all that it starts may use."""

    processes: int = 1024  # threads count, too
    memory_bytes: int = 2**34  # of writable memory, each process
    tmp_bytes: int = 2**30
    disk_bytes: int = 2**31  # of its folders


@dataclass(frozen=True)
class Walls:
    """One sandbox. `own` are folders that it may write, `seen` places that it may read, `sockets` its ways out."""

    own: tuple[Path, ...]
    home: Path
    place: Path  # where files of the sandbox itself lie
    limits: Limits = Limits()
    seen: tuple[Path, ...] = ()
    sockets: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()  # folders that are empty inside, even where one around them is seen
    named: dict[str, Path] = field(default_factory=dict)  # read-only, at another place than outside
    devices: bool = False  # accelerators

    @property
    def uid(self) -> int:
        """Who it is inside: nobody, if its owner is root, whom no limit binds; else its owner."""
        if os.getuid():
            return os.getuid()
        return FIRST_UID + sum(str(self.home).encode()) % UIDS

    def through(self, *sockets: Path) -> Walls:
        """The same with ways out."""
        return replace(self, sockets=sockets)

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` inside, in the root folder: the agent's own may be closed to bubblewrap."""
        return [
            _tool("bwrap"), *_namespaces(), "--die-with-parent", "--new-session", *_system(),
            "--proc", "/proc", "--dev", "/dev", "--size", str(self.limits.tmp_bytes), "--perms", "1777",
            "--tmpfs", "/tmp", *self._files(), *self._binds(), "--chdir", "/", *self._as_nobody(), _tool("prlimit"),
            f"--nproc={self.limits.processes}", f"--data={self.limits.memory_bytes}", "--core=0", *argv,
        ]  # fmt: skip

    def _as_nobody(self) -> list[str]:
        if os.getuid():
            return []
        uid = str(self.uid)
        return [_tool("setpriv"), "--reuid", uid, "--regid", uid, "--clear-groups", "--no-new-privs", "--inh-caps=-all"]

    def _files(self) -> list[str]:
        """Files of /etc that name nobody but the agent."""
        self.place.mkdir(parents=True, exist_ok=True)
        parts: list[str] = []
        for name, text in MADE.items():
            (self.place / name).write_text(text.format(uid=self.uid, home=self.home))
            (self.place / name).chmod(0o644)
            parts += ["--ro-bind", str(self.place / name), f"/etc/{name}"]
        return parts

    def _binds(self) -> list[str]:
        read = [("--ro-bind", path, path) for path in _outermost(self.seen)]
        read += [("--ro-bind", source, Path(target)) for target, source in self.named.items()]
        masked = [
            path for path in self.hidden if path.is_dir() and any(path.is_relative_to(each) for each in self.seen)
        ]
        write = [("--bind", path, path) for path in self.own]
        out = [("--bind", path, path) for path in self.sockets]
        devices = [path for pattern in DEVICES for path in Path("/dev").glob(pattern[5:])] if self.devices else []
        covers = [part for path in masked for part in ("--tmpfs", str(path))]
        binds = [*write, *out, *(("--dev-bind", path, path) for path in devices)]
        return [*_parents(read), *_parts(read), *covers, *_parents(binds), *_parts(binds)]


@lru_cache(maxsize=1)
def why_not() -> str | None:
    """Why there is no sandbox here; None if there is one."""
    tools = ("bwrap", "prlimit", "setpriv")
    missing = [name for name in tools if not shutil.which(name)]
    elsewhere = [name for name in tools if not _in_system(os.path.realpath(_tool(name)))]
    if not missing and elsewhere:
        return f"{' and '.join(elsewhere)} lies outside of the system's folders"
    if missing:
        return f"{' and '.join(missing)} is not installed (Debian: apt-get install bubblewrap util-linux)"
    command = ["bwrap", *_namespaces(), "--die-with-parent", *_system(), "--proc", "/proc", "--dev", "/dev", "true"]
    try:
        tried = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bwrap does not start ({error})"
    return None if tried.returncode == 0 else f"bwrap does not start ({tried.stderr.strip()[:200] or tried.returncode})"


def python_places() -> list[Path]:
    """What this Python and this package need to be found: never a checkout's other files."""
    share = [PACKAGE.parent / name for name in ("recipes", "evals", "pyproject.toml")]
    in_checkout = (PACKAGE.parent / "pyproject.toml").is_file()
    prefixes = dict.fromkeys(
        [sys.base_prefix, os.path.realpath(sys.base_prefix), sys.prefix, os.path.realpath(sys.prefix)]
    )
    return [*(Path(prefix) for prefix in prefixes), PACKAGE, *(share if in_checkout else ())]


def _tool(name: str) -> str:
    """The whole path of a program of the sandbox's own: inside it must not be looked for where the agent writes."""
    found = shutil.which(name)
    return os.path.abspath(found) if found else name


def _namespaces() -> list[str]:
    """Everything apart; see `sandbox.guests` for why root does without a user namespace."""
    if os.getuid():
        return ["--unshare-all"]
    parts = ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")
    return [*parts, "--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]


def _system() -> list[str]:
    places = [path for path in (*SYSTEM, *MORE_SYSTEM) if os.path.exists(path)]
    return ["--perms", "0755", "--dir", "/etc", *(part for path in places for part in ("--ro-bind", path, path))]


def _in_system(path: str | Path) -> bool:
    return any(Path(path).is_relative_to(place) for place in (*SYSTEM, *MORE_SYSTEM, "/proc", "/dev")) or str(path) in (
        "/tmp", "/etc")  # fmt: skip


def _parents(binds: Iterable[tuple[str, Path, Path]]) -> list[str]:
    """The folders on the way, which bubblewrap would make for root alone."""
    made: dict[str, None] = {}
    for _, _, target in binds:
        made |= {str(parent): None for parent in reversed(target.parents) if len(parent.parts) > 1}
    return [part for path in made if not _in_system(path) for part in ("--perms", "0755", "--dir", path)]


def _parts(binds: Iterable[tuple[str, Path, Path]]) -> list[str]:
    return [part for how, source, target in binds for part in (how, str(source), str(target))]


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """The places that exist, without those that lie in another one or in the system's."""
    there = [path for path in dict.fromkeys(paths) if path.exists() and not _in_system(path)]
    return [path for path in there if not any(path != other and path.is_relative_to(other) for other in there)]
