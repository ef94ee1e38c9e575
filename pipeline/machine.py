"""This machine: how many cores and how much memory are ours, and which dtype and thread count it is fast with.

Measured, never guessed from names: on a CPU that emulates bfloat16 the wrong dtype costs a factor of up to 100, and a
thread count above what is free can cost as much. The measurement runs in a process of its own, so that the caller
never runs torch (which must not have run before a fork), and is cached under `home()` per machine.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import filelock
import psutil
from pydantic import ValidationError

from pipeline.cores import chosen_threads, cores, memory_bytes, own_cores
from pipeline.errors import InputError, PosttrainError
from pipeline.paths import PACKAGE, digest, home, read_json, write_json
from pipeline.types import Record

GAIN = 1.2  # bfloat16 is chosen if matrix products are this much faster with it ...
LOSS = 0.8  # ... and matrix-vector products (decoding) keep this much of float32's speed
NEAR = 0.95  # the fewest threads that reach this share of the best speed are chosen
SLICE_SECONDS = 0.03  # of one measurement: a handful of them make the half second
BUSY_CORES = 0.25  # more than this in use by others: the thread count is measured again after a while
BUSY_SECONDS = 600.0
FEWER_SECONDS = 3600.0  # fewer threads than cores are doubted after this: a neighbour on the host may be the cause
ROUNDS = 3  # in which the thread counts take turns, so that a bad moment meets all of them
CHILD_SECONDS = 180.0


class Machine(Record):
    """What was found. `gflops` by what was measured, such as `matmul float32 1 thread`; speeds are on `device`."""

    cores: int  # that we may use: affinity, cgroup quota and POSTTRAIN_THREADS considered
    memory_bytes: int  # that we may use
    device: Literal["cpu", "cuda"]
    device_name: str
    device_memory_bytes: int | None = None
    dtype: Literal["float32", "bfloat16"]
    threads: int  # for one process that has the machine for itself
    gflops: dict[str, float] = {}
    quiet: bool = True  # nobody else used the cores while they were measured
    measured_at: float = 0.0  # Unix time
    measured_seconds: float = 0.0


# ---------------------------------------------------------------- which machine


def identity() -> dict[str, Any]:
    """What decides how fast this machine computes, found without torch."""
    gpus = sorted(path.name for path in Path("/proc/driver/nvidia/gpus").glob("*"))
    return {
        "cpu": _cpu(),
        "platform": platform.machine(),
        "cores": cores(),
        "chosen": chosen_threads() is not None,
        "gpus": gpus,
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES", ""),
        "torch": importlib.metadata.version("torch"),
    }


def _cpu() -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return [platform.processor()]
    wanted = ("model name", "flags", "Features", "CPU part")
    return sorted({line for line in lines if line.split("\t")[0].strip(" :") in wanted})


def _cpu_name() -> str:
    names = [line.split(":", 1)[1].strip() for line in _cpu() if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


# ---------------------------------------------------------------- the cache


def known(recheck: bool = False) -> Machine | None:
    """The cached measurement of this machine, or None; with `recheck` not one that may be of a bad moment a while ago.

    That is one that others had a part in, and one that left cores unused: what a host's other guests do is not always
    seen from inside, and half the speed is too dear to be believed for good.
    """
    try:
        machine = Machine.model_validate(read_json(_cache_file()))
    except (OSError, InputError, ValidationError):
        return None
    age = time.time() - machine.measured_at
    doubted = (not machine.quiet and age > BUSY_SECONDS) or (machine.threads < machine.cores and age > FEWER_SECONDS)
    return None if recheck and doubted else machine


def threads_each(slots: int, wanted: int | None = None) -> int:
    """CPU threads of each of `slots` processes: those that are wanted, or its share of the cores, or as measured."""
    machine = known()
    return wanted or max(1, min(cores() // slots, machine.threads if machine else cores()))


def cached(recheck: bool = False) -> Machine:
    """This machine, measured in a child process (some seconds, torch's import) unless that was done before.

    `recheck` (for a command's start, not for workers) measures again if others were using the cores the last time.
    Of two processes that ask at once one measures and the other waits for it. Raises InputError if the cache folder
    cannot be written, PosttrainError if torch does not run.
    """
    found = known(recheck)
    if found is not None:
        return found
    file = _cache_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(file.with_suffix(".lock")):
            found = known(recheck)
            if found is None:
                found = _measured_by_child()
                write_json(file, found)
    except OSError as error:
        raise InputError(
            f"{file.parent}: cannot be written ({error.strerror}): set POSTTRAIN_HOME to a folder of yours"
        ) from None
    return found


def _cache_file() -> Path:
    return home() / "machine" / f"{digest(identity())}.json"


def _measured_by_child() -> Machine:
    # -P and PYTHONPATH: this package, whatever lies in the folder that the command was given in
    command = [sys.executable, "-P", "-m", "pipeline.machine"]
    search_path = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(search_path)}
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_SECONDS, env=environment)
    except subprocess.TimeoutExpired:
        raise PosttrainError(f"measuring this machine took over {CHILD_SECONDS:.0f} s: is it overloaded?") from None
    if run.returncode:
        last = (run.stderr.strip().splitlines() or ["no message"])[-1]
        raise PosttrainError(f"torch does not run here ({last}): reinstall it")
    return Machine.model_validate_json(run.stdout.splitlines()[-1])


# ---------------------------------------------------------------- with torch


def measure() -> Machine:
    """Measure in this process (half a second): imports torch and runs it, so call `cached` unless that is no matter."""
    import torch

    begun, busy_before = time.perf_counter(), _busy_seconds()
    on_gpu = torch.cuda.is_available()
    device: Literal["cpu", "cuda"] = "cuda" if on_gpu else "cpu"
    gflops = _measure_dtypes(device)
    dtype = choose_dtype(gflops)
    threads, by_threads = _measure_threads()
    seconds = time.perf_counter() - begun
    others = _busy_seconds() - busy_before
    properties = torch.cuda.get_device_properties(0) if on_gpu else None
    return Machine(
        cores=cores(),
        memory_bytes=memory_bytes(),
        device=device,
        device_name=properties.name if properties else _cpu_name(),
        device_memory_bytes=properties.total_memory if properties else None,
        dtype=dtype,
        threads=threads,
        gflops={**gflops, **by_threads},
        quiet=others < BUSY_CORES * seconds,
        measured_at=time.time(),
        measured_seconds=seconds,
    )


def _busy_seconds() -> float:
    """Seconds that others have used of our cores so far, other guests of a virtual machine's host among them."""
    times = psutil.cpu_times(percpu=True)
    ours = [times[core] for core in own_cores() if core < len(times)]
    parts = ("user", "nice", "system", "steal")  # not all platforms tell all of them
    busy = sum(getattr(core, part, 0.0) for core in ours for part in parts)
    return float(busy - time.process_time())


def choose_dtype(gflops: dict[str, float]) -> Literal["float32", "bfloat16"]:
    """bfloat16 where it is faster for training and not much slower for decoding, else float32."""
    matmul = gflops["matmul bfloat16"] / gflops["matmul float32"]
    matvec = gflops["matvec bfloat16"] / gflops["matvec float32"]
    return "bfloat16" if matmul >= GAIN and matvec >= LOSS else "float32"


def choose_threads(speeds: dict[int, float]) -> int:
    """The fewest threads that are nearly as fast as the fastest number of them."""
    best = max(speeds.values())
    return min(count for count, speed in speeds.items() if speed >= NEAR * best)


def thread_counts(available: int) -> list[int]:
    """The thread counts worth trying on so many cores: powers of two, and all."""
    return sorted({available, *(2**power for power in range(available.bit_length()) if 2**power <= available)})


def _measure_dtypes(device: str) -> dict[str, float]:
    """GFLOP/s of a matrix product and of a matrix-vector product in both dtypes, on a CPU with one thread."""
    import torch

    size = 512 if device == "cpu" else 4096
    torch.set_num_threads(1)
    speeds = {}
    for name in ("float32", "bfloat16"):
        matrix = torch.randn(size, size, device=device).to(getattr(torch, name))
        weights = torch.randn(2 * size, 2 * size, device=device).to(getattr(torch, name))
        speeds[f"matmul {name}"] = 2 * size**3 / _best_seconds(torch.matmul, (matrix, matrix), device) / 1e9
        speeds[f"matvec {name}"] = 8 * size**2 / _best_seconds(torch.mv, (weights, weights[0]), device) / 1e9
    return speeds


def _measure_threads() -> tuple[int, dict[str, float]]:
    """The best number of CPU threads for shapes between a lab model's and a small real one's, and the speeds."""
    import torch

    if chosen_threads() is not None:
        return cores(), {}
    small, weights, large = torch.randn(2048, 64), torch.randn(64, 192), torch.randn(512, 512)
    shapes = (((small, weights), 2 * 2048 * 64 * 192), ((large, large), 2 * 512**3))
    best: dict[int, list[float]] = {}
    for _ in range(ROUNDS):
        for count in thread_counts(cores()):
            torch.set_num_threads(count)
            seconds = [_best_seconds(torch.matmul, pair, "cpu", SLICE_SECONDS / ROUNDS) for pair, _ in shapes]
            best[count] = [min(pair) for pair in zip(best.get(count, seconds), seconds, strict=True)]
    speeds = {
        count: math.sqrt(math.prod(flops / spent / 1e9 for (_, flops), spent in zip(shapes, seconds, strict=True)))
        for count, seconds in best.items()
    }
    named = {f"matmul float32 {count} thread{'s' * (count > 1)}": speed for count, speed in speeds.items()}
    return choose_threads(speeds), named


def _best_seconds(
    work: Callable[..., Any], inputs: tuple[Any, Any], device: str, slice_seconds: float = SLICE_SECONDS
) -> float:
    """The shortest of the runs that fit into a slice of time, after one to warm up."""
    import torch

    def once() -> float:
        begun = time.perf_counter()
        work(*inputs)
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begun

    once()
    end = time.perf_counter() + slice_seconds
    best = once()
    while time.perf_counter() < end:
        best = min(best, once())
    return best


if __name__ == "__main__":
    print(json.dumps(measure().model_dump()))
