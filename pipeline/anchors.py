"""Measured anchors that are kept: a model's score with its items, found again by everything that decides them.

An entry is one file in POSTTRAIN_HOME/anchors/: a line about the score, then a line per item. Its name ends in a digest
of the model's files, the benchmark's definition and items, how they are asked and decoded, this machine's arithmetic,
the code and the libraries. Whatever of these changes, the entry is not found, and the anchor is measured again.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError

from pipeline import benchmarks, evaluate, machine, plugins, programs, sandbox
from pipeline.chat import base_of
from pipeline.errors import InputError
from pipeline.evaluate import Evaluated
from pipeline.jobs import ITEMS, JOB, OUTCOME, EvaluateJob
from pipeline.kept import code_digest, file_digest
from pipeline.paths import digest, home, read_json, read_jsonl, write_json, write_jsonl
from pipeline.request import versions
from pipeline.types import Benchmark, Cost, Record, Score

# the code that decides what a model scores on given items
CODE = (
    "chat.py",
    "decoding.py",
    "derived.py",
    "dressing.py",
    "evaluate.py",
    "repeats.py",
    "task_items.py",
    "totals.py",
    "weights.py",
    "answers/*.py",
    "engines/*.py",
    "families/*.py",
    "judges/*.py",
    "sandbox/*.py",
    "scorers/*.py",
)
TOLD_ELSEWHERE = ("folder", "summary", "weight", "kind", "recipe", "sibling", "anchors")  # decides no score
# neither does where a job lies, nor what tells its items, which are looked at themselves, nor a judge's purse
ASKED_ELSEWHERE: Any = {
    "model_path": True,
    "benchmark": True,
    "protocol": True,
    "program": True,
    "key": True,
    "limit": True,
    "judge": {"purse", "budget"},
}
BLOB = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # of the Hub's cache: a file named by the hash of what is in it

ROLES = ("base", "base_few_shot", "instruct")
Item = dict[str, Any]
Entry = Callable[[Path], None]  # what scores a job folder, as `evaluate.main`


class Kept(Record):
    """What is known of a kept anchor; `model` is the name under which it was measured."""

    model: str
    few_shot: int
    score: Score
    cost: Cost
    measured_at: float  # Unix time
    items: str  # digest of the per-item results


# ---------------------------------------------------------------- job folders


def restore(folder: Path, path: Path | None) -> Kept | None:
    """Answer the EvaluateJob in `folder` with the score kept at `path`, as measuring it would; None: there is none."""
    found = _read(path) if path else None
    if found is None:
        return None
    kept, items = found
    mode = _mode(job_of(folder))
    write_jsonl(folder / ITEMS, items, mode)
    write_json(folder / OUTCOME, Evaluated(score=kept.score, cost=kept.cost), mode)
    return kept


def keep(
    folder: Path, path: Path | None, threads: int, model: str, now_at: Callable[[], Path | None] | None = None
) -> Kept:
    """Keep the answer to the EvaluateJob in `folder`, measured on the model named `model`.

    `path` is the place that was right before it was measured. Nothing is kept if that is another one now (`now_at`
    tells, or else `place`): somebody changed the model in between.
    """
    job, done = job_of(folder), Evaluated.model_validate(read_json(folder / OUTCOME))
    items, now = read_jsonl(folder / ITEMS), time.time()
    told = {"model": model, "few_shot": job.few_shot, "score": done.score, "cost": done.cost}
    kept = Kept.model_validate({**told, "measured_at": now, "items": digest(items)})
    if path is not None and path == (now_at() if now_at else place(job, threads)):
        with contextlib.suppress(OSError):  # a full or read-only cache costs time, not the result
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_jsonl(path, [kept, *items], _mode(job))
    return kept


def measured(
    job: EvaluateJob,
    model: str,
    threads: int,
    again: bool = False,
    entry: Entry = evaluate.main,
    told: Callable[[str], None] = lambda text: None,
) -> tuple[Kept, list[Item], bool]:
    """A job's score and items, and whether they were kept already: found, or measured in this process and kept.

    Of two processes that want it at once one measures and the other, which is `told` so, waits for it. `again` measures
    in any case.
    """
    if programs.benchmark(job.benchmark, job.protocol, job.program).program is not None:
        raise InputError(f"{job.benchmark}: a program's scores are not kept: a search measures its anchors anew")
    path = place(job, threads)
    with _alone(path, told), tempfile.TemporaryDirectory(prefix="posttrain-anchor-") as name:
        folder = Path(name)
        write_json(folder / JOB, job, mode=0o600)
        found = None if again else restore(folder, path)
        if found is None:
            entry(folder)
        kept = found or keep(folder, path, threads, model)
        return kept, read_jsonl(folder / ITEMS), found is not None


def find(job: EvaluateJob, threads: int) -> tuple[Kept, list[Item]] | None:
    """A job's score and items, if they were kept."""
    path = place(job, threads)
    return _read(path) if path else None


@contextlib.contextmanager
def _alone(path: Path | None, told: Callable[[str], None]) -> Iterator[None]:
    """While nobody else measures for that place; without it where the cache cannot be written."""
    lock = None
    if path is not None:
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock(path.with_suffix(".lock"))
            try:
                lock.acquire(timeout=0)
            except Timeout:
                told("another process measures it, waiting for that")
                lock.acquire()
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def listing() -> list[Kept]:
    """All kept anchors, by model, benchmark and role; damaged ones are left out."""
    found = [_header(path) for path in home().joinpath("anchors").glob("*.jsonl")]
    known = [kept for kept in found if kept is not None]
    return sorted(known, key=lambda kept: (kept.model, kept.score.benchmark, kept.score.role, kept.few_shot))


# ---------------------------------------------------------------- what decides a score


def place(job: EvaluateJob, threads: int, sealed: Path | None = None, only_sealed: bool = False) -> Path | None:
    """The file that keeps a job's score; None where no other job can have the same one, or what decides is not known.

    The final items of a generated benchmark hang on a run's salt, which is nobody else's business: what they gave is
    kept only in the `sealed` folder that the run shares with those of the same salt, if there is one. With
    `only_sealed` everything is.
    """
    benchmark = programs.benchmark(job.benchmark, job.protocol, job.program)
    if benchmark.program is not None and job.scorer is None:
        return None  # whatever its program reads decides, too
    is_one_run_s = job.role == "final" and bool(job.key.salt) and "world" in benchmark.items
    ships = job.engine in plugins.names("engines") and (job.scorer or benchmark.scorer) in plugins.names("scorers")
    model = fingerprint(job.model_path)
    if (is_one_run_s and sealed is None) or not ships or model is None or job.configured_as is not None:
        return None
    items = benchmarks.items(benchmark, job.role, job.key, job.limit)
    shots = benchmarks.items(benchmark, "fewshot", job.key, job.few_shot) if job.few_shot else []
    here = machine.cached()
    decides = {
        "model": model,
        "benchmark": [benchmark.model_dump(mode="json", exclude=set(TOLD_ELSEWHERE)), _task(benchmark)],
        "asked": job.model_dump(mode="json", exclude=ASKED_ELSEWHERE),
        "arithmetic": [here.device, here.device_name, here.dtype, threads if here.device == "cpu" else 0],
        "sandbox": sandbox.how() if benchmark.runs_code else "",
        "code": code_digest(CODE),
        "versions": versions(),
    }
    try:
        name = digest([decides, items, shots])
    except TypeError:  # items of the user's own that are no plain data
        return None
    shown = re.sub(r"[^\w.-]+", "-", benchmark.name)
    root = sealed if sealed is not None and (is_one_run_s or only_sealed) else home()
    return root / "anchors" / f"{shown}-{job.role}-{name}.jsonl"


def fingerprint(model_path: str | Path) -> str | None:
    """Stands for the content of a model folder, and of its base if it is an adapter; None if that is no folder."""
    folder = Path(model_path)
    if not folder.is_dir():
        return None
    base = base_of(folder)
    below = fingerprint(base) if base is not None else ""
    if below is None:
        return None
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and _decides(path.relative_to(folder))]
    states = [(path, path.stat()) for path in files]
    return digest([below, _content(folder, tuple((path, at.st_size, at.st_mtime_ns) for path, at in states))])


@lru_cache(maxsize=16)
def _content(folder: Path, files: tuple[tuple[Path, int, int], ...]) -> str:
    """Digest of all files of a model. Sizes and times only tell this process when to read them again."""
    return digest({path.relative_to(folder).as_posix(): _file(path) for path, _, _ in files})


def _file(path: Path) -> str:
    """A file's content: its hash, which the Hub's cache has in its name already."""
    blob = path.resolve()
    return blob.name if blob.parent.name == "blobs" and BLOB.fullmatch(blob.name) else file_digest(path)


def _decides(path: Path) -> bool:
    return path.suffix != ".md" and not any(part.startswith(".") for part in path.parts)


def _task(benchmark: Benchmark) -> dict[str, str]:
    """The files beside benchmark.yaml, by name: the task and what it imports."""
    folder = Path(benchmark.folder)
    files = [path for pattern in ("*.yaml", "*.py") for path in folder.rglob(pattern) if path.name != benchmarks.FILE]
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in sorted(files)}


# ---------------------------------------------------------------- files


def job_of(folder: Path) -> EvaluateJob:
    """The job in a folder."""
    return EvaluateJob.model_validate(read_json(folder / JOB))


def _mode(job: EvaluateJob) -> int:
    return 0o600 if job.role == "final" else 0o666


def _read(path: Path) -> tuple[Kept, list[Item]] | None:
    """An entry, unless it is not there, damaged, or does not fit itself."""
    try:
        first, *items = read_jsonl(path)
        kept = Kept.model_validate(first)
    except (OSError, InputError, ValidationError, ValueError):
        return None
    return (kept, items) if kept.items == digest(items) else None


def _header(path: Path) -> Kept | None:
    try:
        with path.open() as file:
            return Kept.model_validate(json.loads(file.readline()))
    except (OSError, ValueError):
        return None
