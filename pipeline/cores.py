"""How many cores and how much memory this process may use: what containers and users allow, not what is built in."""

from __future__ import annotations

import math
import os
from pathlib import Path

import psutil

from pipeline.errors import InputError


def cores() -> int:
    """The cores that this process may use: POSTTRAIN_THREADS if set, else the affinity within the cgroup's quota.

    Raises InputError if POSTTRAIN_THREADS is not a whole number above 0.
    """
    chosen = chosen_threads()
    if chosen is not None:
        return chosen
    available = len(own_cores())
    quotas = [quota for folder in _cgroups("cpu") for quota in [_quota(folder)] if quota is not None]
    return max(1, min([available, *(math.ceil(quota) for quota in quotas)]))


def memory_bytes() -> int:
    """The memory that this process may use, in bytes: the machine's within the cgroup's limit."""
    total = int(psutil.virtual_memory().total)
    names = ("memory.max", "memory.limit_in_bytes")
    limits = [limit for folder in _cgroups("memory") for name in names for limit in [_number(folder / name)] if limit]
    return int(min([total, *limits]))


def chosen_threads() -> int | None:
    """POSTTRAIN_THREADS, or None if it is not set. Raises InputError if it is not a whole number above 0."""
    text = os.environ.get("POSTTRAIN_THREADS")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise InputError(f"POSTTRAIN_THREADS is '{text}': set it to a whole number above 0, or unset it")
    return int(text)


def own_cores() -> list[int]:
    """The numbers of the cores that the scheduler may put this process on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _cgroups(controller: str, root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> list[Path]:
    """The folders whose limits bind this process: its cgroup's and those around it, of version 2 or 1."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        base = root / controller if controllers else root
        inner = base / path.lstrip("/")
        folders += [folder for folder in (inner, *inner.parents) if folder.is_relative_to(base)]
    return [folder for folder in folders if folder.is_dir()]


def _quota(folder: Path) -> float | None:
    """Cores that a cgroup may use at a time; None if it is not limited."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else float(quota) / float(period)
    except (OSError, ValueError):
        pass
    used, period_us = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return used / period_us if used and period_us else None


def _number(file: Path) -> float | None:
    """A positive number in a file; None if there is none (`max`, -1 and missing files mean unlimited)."""
    try:
        value = float(file.read_text())
    except (OSError, ValueError):
        return None
    return value if value > 0 else None
