"""What every worker process does, however it was started: own log, own threads, one call, an exit code."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import signal
import sys
import threading
import traceback
from pathlib import Path

from pipeline import libraries
from pipeline.types import Job

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
# Loaded before any fork: a freshly forked child should not have to search for libraries.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def run(job: Job) -> int:
    """Make the job's call in this process; its output goes to log.txt in its folder. 0 means that it returned."""
    _redirect(Path(job.folder) / "log.txt")
    _use_threads(job.threads)
    try:
        module, _, function = job.call.rpartition(".")
        getattr(importlib.import_module(module), function)(Path(job.folder))
        return 0
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except BaseException:  # the log is the only place left where it can be told
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def signal_on_parent_death(signum: int) -> None:
    """Ask the kernel to send `signum` when the thread that started this process ends. Linux only, elsewhere nothing."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0)


def environment(threads: int) -> dict[str, str]:
    """A new worker's variables: this process's, what libraries are told, a path on which this package is found."""
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    return libraries.SETTINGS | os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": str(threads)}


def kill_group(pid: int) -> None:
    """Kill a process that leads its own group, with everything that it started; silent if it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGTERM)


def say_why(exit_code: int) -> str:
    """Words for an exit code as `subprocess` counts them (negative: killed by a signal); empty for success."""
    if exit_code == 0:
        return ""
    return f"killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"


def _redirect(log: Path) -> None:
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(out)
    # Line by line, so that a killed job's log ends where the job ended.
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)


def _use_threads(threads: int) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = str(threads)
    if "torch" in sys.modules:  # imported by the server already: the variables come too late for it
        sys.modules["torch"].set_num_threads(threads)


def main() -> None:
    """A spawned worker: `python -m pipeline.executors._child JOB_JSON`; its input stays open while the parent lives."""
    job = Job.model_validate_json(sys.argv[1])
    threading.Thread(target=_die_with_input, args=(sys.stdin.fileno(),), daemon=True).start()
    code = run(job)
    os._exit(code)  # not a normal exit: the thread sits in a read that never returns


def _die_with_input(descriptor: int) -> None:
    while os.read(descriptor, 1024):
        pass
    kill_group(os.getpid())
    os._exit(1)


if __name__ == "__main__":
    main()
