"""Scoring by a program of the user's: any command that takes a model's folder and writes JSON metrics.

It sees a whole model, an adapter merged. Nothing of it outlives the score, or the process that asked for it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

from pipeline import metrics, programs
from pipeline.chat import base_of
from pipeline.errors import ProgramError
from pipeline.types import Benchmark, Program, Score

KEEPER = Path(__file__).with_name("_keeper.py")
TIMED_OUT = 124
LAST_BYTES, LAST_LINES, LAST_CHARACTERS = 16_384, 3, 300  # of what it wrote, to say why it failed


def score(model_path: str | Path, benchmark: Benchmark, role: Literal["search", "final"]) -> Score:
    """The program's score of the model in a folder (where other scorers take an engine and items).

    The end of what it prints goes to stderr, in a worker to its log. Raises ProgramError, one line with its last words,
    if it fails, takes too long, or writes no score.
    """
    program = benchmark.program
    assert program is not None, "only benchmarks that are scored by a program come here"
    _free_memory()
    with tempfile.TemporaryDirectory(prefix="posttrain-score-") as name, _whole(Path(model_path)) as model:
        place = Path(name)
        words = programs.command(program, model.absolute(), place / "metrics.json", role)
        _run(words, program, place)
        found = metrics.read(place / "metrics.json", program.metric)
    told = "" if program.metric else ", its first number"
    print(f"the program says {found.metric} {found.value:.6g}{told}", file=sys.stderr, flush=True)
    return Score(
        benchmark=benchmark.name, metric=found.metric, value=found.value, stderr=found.stderr, n=found.n, role=role
    )


def _run(words: list[str], program: Program, place: Path) -> None:
    """Run the command to its end. Raises ProgramError."""
    keeper = [sys.executable, "-I", "-S", str(KEEPER), str(program.time_limit), *words]
    begun = time.monotonic()
    with (place / "stdout").open("w+b") as out, (place / "stderr").open("w+b") as errors:
        process = subprocess.Popen(
            keeper, cwd=program.folder, stdin=subprocess.PIPE, stdout=out, stderr=errors, start_new_session=True
        )
        try:
            code = process.wait()
        finally:  # interrupted: the keeper ends when its input does
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
        said = [_last(errors), _last(out)]
    for text in reversed(said):
        print(text, end="\n" if text else "", file=sys.stderr, flush=True)
    if code == TIMED_OUT and time.monotonic() - begun >= program.time_limit:
        why = f"took longer than {program.time_limit:g} s and was ended"
    elif code:
        why = f"ended with exit code {code}" if code <= 128 else f"was killed by signal {code - 128}"
    else:
        return
    words_ = next((_shortened(text) for text in said if text.strip()), "")
    raise ProgramError(f"the scoring program {why}{': ' if words_ else ''}{words_}")


def _last(file: IO[bytes]) -> str:
    """The end of what a program wrote."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - LAST_BYTES))
    return file.read().decode(errors="replace").rstrip()


def _shortened(text: str) -> str:
    """The last lines as one."""
    lines = [line.strip() for line in text.splitlines() if line.strip(" ^~")]
    return " | ".join(lines[-LAST_LINES:])[-LAST_CHARACTERS:]


@contextlib.contextmanager
def _whole(model: Path) -> Iterator[Path]:
    """The model as one folder: of an adapter a merged copy that lies beside it meanwhile."""
    if base_of(model) is None:
        yield model
        return
    from pipeline import weights  # torch, which a trial has anyway

    beside = model.parent if os.access(model.parent, os.W_OK) else None
    place = Path(tempfile.mkdtemp(prefix=".merged-", dir=beside))
    try:
        weights.export(model, place / "model")
        yield place / "model"
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _free_memory() -> None:
    """Give back what training left on a GPU: the program may load the model there, too."""
    torch = sys.modules.get("torch")
    gc.collect()
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
