"""Runs one command and lets nothing of it outlive: `python _keeper.py SECONDS COMMAND...`, standard library only.

It ends with the command's exit code; with 124 after SECONDS, with 137 when its standard input closes, which it does
when whoever started it dies. Whatever the command left running by then is killed, in other sessions and orphaned as it
may be: on Linux orphans come to the keeper, which asks to be their reaper.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time

LOOK_SECONDS = 0.05
TIMED_OUT, ABANDONED = 124, 137
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def main() -> int:
    """See the module's first lines."""
    seconds, *command = sys.argv[1:]
    _adopt()
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    try:
        return _wait(child, time.monotonic() + float(seconds))
    finally:
        _kill_all(child)


def _wait(child: subprocess.Popen[bytes], until: float) -> int:
    while True:
        code = child.poll()
        if code is not None:
            return code if code >= 0 else 128 - code
        left = until - time.monotonic()
        if left <= 0:
            return TIMED_OUT
        readable, _, _ = select.select([0], [], [], min(LOOK_SECONDS, left))
        if readable and not os.read(0, 1024):
            return ABANDONED


def _adopt() -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _kill_all(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)  # its group outlives it, and keeps its number, while anything is in there
    while found := _descendants(os.getpid()):
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def _descendants(root: int) -> list[int]:
    """Processes below `root`, zombies that are not yet waited for included; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if sys.platform == "linux" else ():
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found, new = [], [root]
    while new:
        new = [pid for parent in new for pid in children.get(parent, [])]
        found += new
    return found


if __name__ == "__main__":
    sys.exit(main())
