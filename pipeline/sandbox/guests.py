"""Guests: Python processes in bubblewrap, with limits, and the lines that are exchanged with them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import InputError
from pipeline.types import Record

HERE = Path(__file__).parent
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache")
PYTHON = "/python"  # where an interpreter from elsewhere is found inside
ISOLATED = ("-I", "-S", "-B")
FIRST_UID, UIDS = 61_000, 500  # users that nobody is: a process limit counts all processes of a user, and never root's
LONGEST_LINE = 2**22  # bytes of a message
ALLOW = "POSTTRAIN_ALLOW_UNSAFE_CODE"
Mode = Literal["bubblewrap", "unsafe"]
_numbers = count()


class Unavailable(InputError):
    """There is no sandbox here."""


class Limits(Record):
    """What a guest may use."""

    seconds: float = 10.0  # of wall clock, from its job to its end
    memory_bytes: int = 2**30
    processes: int = 32
    file_bytes: int = 2**24
    tmp_bytes: int = 2**26


def how(allow_unsafe: bool = False) -> Mode:
    """How code would be run here. Raises Unavailable where there is no sandbox and running without is not allowed.

    POSTTRAIN_ALLOW_UNSAFE_CODE=1, which `--allow-unsafe-code` sets, allows it for all that this process starts.
    """
    why, allow_unsafe = _why_not(), allow_unsafe or os.environ.get(ALLOW) == "1"
    if why is None:
        return "bubblewrap"
    if not allow_unsafe:
        as_root = not os.getuid() and not shutil.which("setpriv")
        bare = ", and without setpriv it would run as root, whose processes no limit binds" if as_root else ""
        raise Unavailable(
            f"model-written code cannot be run safely here: {why}{bare}; install bubblewrap (Debian: apt-get install "
            f"bubblewrap), or accept the risk with --allow-unsafe-code ({ALLOW}=1 for commands that lack it)"
        )
    return "unsafe"


@lru_cache(maxsize=1)
def _why_not() -> str | None:
    missing = [name for name in ("bwrap", "prlimit", "setpriv") if not shutil.which(name)]
    if missing:
        return f"{' and '.join(missing)} is not installed"
    command = _wrapped(["-c", "pass"], Limits(), "bubblewrap", _user())
    tried = subprocess.run(command, capture_output=True, text=True, timeout=60, env={})
    return None if tried.returncode == 0 else f"bwrap does not start ({tried.stderr.strip()[:200] or tried.returncode})"


def _wrapped(arguments: list[str], limits: Limits, mode: Mode, user: int | None) -> list[str]:
    """The command line of a Python inside; outside of bubblewrap only its limits and, for root, its user are others."""
    resources = [
        f"--as={limits.memory_bytes}", f"--nproc={limits.processes}", f"--fsize={limits.file_bytes}",
        f"--cpu={int(limits.seconds) + 2}", "--nofile=64", "--core=0", "--stack=67108864",
    ]  # fmt: skip
    python = os.path.realpath(sys.executable)
    if mode == "unsafe":
        if user is not None:
            base, _ = _entrances()
            python = f"/proc/self/fd/{base}{python.removeprefix(os.path.realpath(sys.base_prefix))}"
        return [*_as_nobody(user), "prlimit", *resources, python, *ISOLATED, *arguments]
    binds = [part for path in SYSTEM if os.path.exists(path) for part in ("--ro-bind", path, path)]
    if not python.startswith("/usr/"):  # such as a home folder's, which the guest's user could not enter
        binds += ["--ro-bind", sys.base_prefix, PYTHON, "--setenv", "LD_LIBRARY_PATH", f"{PYTHON}/lib"]
        python = PYTHON + python.removeprefix(os.path.realpath(sys.base_prefix))
    return [
        "bwrap", *_namespaces(), "--die-with-parent", "--new-session", "--clearenv", *binds,
        "--ro-bind", str(HERE), "/guest", "--proc", "/proc", "--dev", "/dev",
        "--size", str(limits.tmp_bytes), "--perms", "1777", "--tmpfs", "/tmp", "--dir", "/home", "--chdir", "/tmp",
        "--setenv", "HOME", "/home", "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "PYTHONHASHSEED", "0",
        *_as_nobody(user), "prlimit", *resources, python, *ISOLATED, *arguments,
    ]  # fmt: skip


def _namespaces() -> list[str]:
    """Everything apart. Root gives up being root inside (`_as_nobody`) rather than in a user namespace of its own,
    where a limit of processes would still count as root's, and so never bind."""
    if os.getuid():
        return ["--unshare-all"]
    parts = ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")
    return [*parts, "--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]


def _user() -> int | None:
    """A user without rights, another one for every guest; None where this is not root, who alone can become one."""
    return None if os.getuid() or not shutil.which("setpriv") else FIRST_UID + next(_numbers) % UIDS


def _as_nobody(user: int | None) -> list[str]:
    if user is None:
        return []
    return [
        "setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", "--no-new-privs", "--inh-caps=-all",
    ]  # fmt: skip


@lru_cache(maxsize=1)
def _entrances() -> tuple[int, int]:
    """Descriptors of the interpreter's folder and of this one: ways in for a user who may not enter root's home."""
    return os.open(os.path.realpath(sys.base_prefix), os.O_PATH), os.open(HERE, os.O_PATH)


class Gone(Exception):
    """A guest did not answer; the reason is its text."""


class Guest:
    """One sandboxed process, started and waiting for its job. It is used once."""

    def __init__(self, role: Literal["program", "tests"], limits: Limits, mode: Mode) -> None:
        self.limits, self.buffer = limits, b""
        self.folder = tempfile.mkdtemp(prefix="posttrain-guest-")  # its own where no sandbox gives it one
        user, environment = _user(), {"PATH": os.environ.get("PATH", os.defpath)}
        script = "/guest/guest.py" if mode == "bubblewrap" else str(HERE / "guest.py")
        passed = _entrances() if mode == "unsafe" and user is not None else ()
        if passed and user is not None:
            script = f"/proc/self/fd/{passed[1]}/guest.py"
            environment["LD_LIBRARY_PATH"] = f"/proc/self/fd/{passed[0]}/lib"  # of a Python with a shared library
            os.chown(self.folder, user, user)
        self.process = subprocess.Popen(
            _wrapped([script, role], limits, mode, user),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment, cwd=self.folder, start_new_session=True, close_fds=True, pass_fds=passed,
        )  # fmt: skip
        self.ends = float("inf")

    def begin(self) -> None:
        """Its time runs from here."""
        self.ends = time.monotonic() + self.limits.seconds

    def ask(self, message: dict[str, Any] | None) -> dict[str, Any]:
        """Send a message and return the next line of the guest's. Raises Gone."""
        assert self.process.stdin is not None
        if message is not None:
            with contextlib.suppress(BrokenPipeError):
                self._send((json.dumps(message) + "\n").encode())
        line = self._line()
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            raise Gone("it answered what is no message") from None
        if not isinstance(found, dict):
            raise Gone("it answered what is no message")
        return found

    def _send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        descriptor = self.process.stdin.fileno()
        os.set_blocking(descriptor, False)
        while data:
            left = self.ends - time.monotonic()
            if left <= 0 or not select.select([], [descriptor], [], min(left, 60.0))[1]:
                raise Gone(f"out of time ({self.limits.seconds:g} s)")
            data = data[os.write(descriptor, data) :]

    def _line(self) -> bytes:
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        while b"\n" not in self.buffer:
            left = self.ends - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], min(left, 60.0))[0]:
                raise Gone(f"out of time ({self.limits.seconds:g} s)")
            part = os.read(descriptor, 2**16)
            if not part:
                raise Gone(self._ending())
            self.buffer += part
            if len(self.buffer) > LONGEST_LINE:
                raise Gone("it wrote without end")
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line

    def _ending(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = self.process.wait(1.0)
            if status < 0 or status > 128:
                name = signal.Signals(-status if status < 0 else status - 128).name
                return f"it was ended by {name}: a limit, or its own doing"
            return f"it exited before the tests ended (status {status})"
        return "it closed its channel before the tests ended"

    def close(self) -> None:
        """End it and everything it started: its process group, and with the sandbox's first process its whole space."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
