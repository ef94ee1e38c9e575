"""A PostTrainBench task folder as its agent finds it: what it asks for, how much time is left, whose template counts.

The folder holds `evaluate.py`, `templates/` and `timer.sh`; which model and which benchmark is in the agent's prompt,
which comes as the variable PROMPT or lies as instruction.md in the folder or above it. Nothing here is changed or
imported; timer.sh is run.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from pipeline import benchmarks
from pipeline.errors import InputError
from pipeline.types import Record

EVALUATE, TIMER, TEMPLATES, FINAL_MODEL = "evaluate.py", "timer.sh", "templates", "final_model"
TOLD_IN = ("instruction.md", "instructions.md", "prompt.txt", "prompt.md", "PROMPT.md", "task.md", "README.md")
FACTS_IN = ("metadata.json", "info.json")
PROMPT = "PROMPT"  # the environment's variable
TIMER_SECONDS = 30.0  # that timer.sh may take
MOST_BYTES = 1_000_000  # of a text that is looked into

MODEL = re.compile(r"(?:\bLLM|\bmodel|post-train|other than)\s+\\?`([^`\\\s]+)\\?`", re.IGNORECASE)
MODEL_LINE = re.compile(r"^\W*(?:base[ _-]?)?model\W*[:=]\s*[\"'`]*([\w./~-]+)", re.IGNORECASE | re.MULTILINE)
AIM = re.compile(r"(?:to excel at|maximum performance on)\s+(.+?)[.\s]*$", re.IGNORECASE | re.MULTILINE)
AIM_LINE = re.compile(r"^\W*benchmark\W*[:=]\s*[\"'`]*([^\"'`\n]+)", re.IGNORECASE | re.MULTILINE)
HOURS = re.compile(r"maximum of\s+(\d+(?:\.\d+)?)\s*hours?", re.IGNORECASE)
# other scripts' digits and letters are no clock's
CLOCK = re.compile(r"(?<![\d:.])(\d+):(\d{2})(?::(\d{2}))?(?![\d:])", re.ASCII)
IN_WORDS = re.compile(r"(\d+(?:\.\d+)?)\s*(hours?|h|minutes?|mins?|m|seconds?|secs?|s)\b", re.IGNORECASE | re.ASCII)
UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}
# how titles of PostTrainBench's benchmarks are known again
TITLES = {
    "aime2025": r"aime.*2025|2025.*aime",
    "arenahardwriting": r"arena.?hard",
    "bfcl": r"bfcl|berkeley function",
    "gpqamain": r"gpqa",
    "gsm8k": r"gsm8k",
    "healthbench": r"healthbench",
    "humaneval": r"humaneval",
}
FAMILIES = ("gemma", "llama", "qwen", "smollm")  # as evaluate.py looks for them in an architecture's name


class Task(Record):
    """What a task folder says. `benchmark` is a name of the catalogue; None: it names none that is known."""

    folder: str
    model: str | None = None
    title: str | None = None  # the benchmark in the prompt's words
    benchmark: str | None = None
    hours: float | None = None  # in all, from the start


def read(folder: str | Path) -> Task:
    """Read a task folder. Raises InputError if it is none: without an evaluate.py nothing can be scored."""
    place = Path(folder)
    if not place.is_dir():
        raise InputError(f"{place}: no such folder: name a PostTrainBench task folder")
    if not (place / EVALUATE).is_file():
        raise InputError(f"{place}: no {EVALUATE} in it: name a PostTrainBench task folder, or start the command there")
    model, title, hours = _facts(place)
    for text in _texts(place):
        model = model or _first(text, MODEL, MODEL_LINE)
        title = title or _first(text, AIM, AIM_LINE)
        hours = hours or _first(text, HOURS)
    benchmark = known_benchmark(title) if title else None
    return Task(
        folder=str(place.absolute()), model=model, title=title, benchmark=benchmark,
        hours=_number(hours),
    )  # fmt: skip


def _number(hours: str | None) -> float | None:
    """Hours as a folder tells them, `10` or `10h`; None where that is no length of time."""
    try:
        found = float((hours or "").strip().lower().removesuffix("h"))
    except ValueError:
        return None
    return found if math.isfinite(found) and found > 0 else None


def _texts(folder: Path) -> Iterator[str]:
    """The prompt, wherever it is: beside evaluate.py, above it, in the environment."""
    for place in (folder, folder.absolute().parent):
        for name in TOLD_IN if place == folder else TOLD_IN[:3]:
            text = _text(place / name)
            if text:
                yield text
    yield os.environ.get(PROMPT, "")


def _text(path: Path) -> str:
    try:
        return path.read_bytes()[:MOST_BYTES].decode(errors="replace") if path.is_file() else ""
    except OSError:
        return ""


def _facts(folder: Path) -> tuple[str | None, str | None, str | None]:
    """Model, benchmark and hours where a JSON file of the folder holds them."""
    found: dict[str, str] = {}
    for name in FACTS_IN:
        try:
            known = json.loads(_text(folder / name) or "{}")
        except ValueError:
            continue
        pairs = known.items() if isinstance(known, dict) else ()
        found |= {key: str(value) for key, value in pairs if isinstance(value, str | int | float)}
    model = next((found[key] for key in ("model_id", "model", "model_to_train") if key in found), None)
    title = next((found[key] for key in ("benchmark_id", "benchmark", "benchmark_name") if key in found), None)
    return model, title, found.get("num_hours")


def _first(text: str, *patterns: re.Pattern[str]) -> str | None:
    """What the first pattern that fits finds; an unfilled `{place}` of a prompt's template is nothing."""
    found = [each for pattern in patterns for each in pattern.findall(text)]
    return next((each.strip() for each in found if each.strip() and not each.strip().startswith("{")), None)


def known_benchmark(title: str) -> str | None:
    """The catalogue's benchmark that a title means: one that it names, else one of PostTrainBench's."""
    words = re.findall(r"[\w-]+", title.lower())
    named = [name for name in benchmarks.names() if name.lower() in words]
    if named:
        return max(named, key=len)
    return next((name for name, pattern in TITLES.items() if re.search(pattern, title.lower())), None)


# ---------------------------------------------------------------- the timer


class NoTime(InputError):
    """The timer does not tell how much time is left."""


def seconds_left(folder: str | Path) -> float:
    """What timer.sh says, in seconds; 0 if it has expired. Raises NoTime: there is none, it fails, or says nothing."""
    path = Path(folder) / TIMER
    if not path.is_file():
        raise NoTime(f"{path}: missing: say how much time there is with --budget")
    text, why = _run_timer(path)
    if "expired" in text.lower():
        return 0.0
    found = _clock(text) if not why else None
    if found is None:
        said = f"said {' '.join(text.split())[:80]!r}" if text.strip() else "said nothing"
        raise NoTime(f"{path}: tells no time ({why or said}): say how much time there is with --budget")
    return found


def _run_timer(path: Path) -> tuple[str, str]:
    """What the timer prints, and what is wrong with that, if anything is."""
    try:
        process = subprocess.Popen(
            ["bash", path.name], cwd=path.parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return "", f"bash: {error.strerror}"
    try:
        out, _ = process.communicate(timeout=TIMER_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "", f"it took longer than {TIMER_SECONDS:g} s"
    text = out[:MOST_BYTES].decode(errors="replace")
    return text, f"exit code {process.returncode}: {' '.join(text.split())[:80]}" if process.returncode else ""


def _clock(text: str) -> float | None:
    """The time in `9:59` (hours and minutes), `9:59:30`, or `9 hours 59 minutes`; None if there is none."""
    clocks = CLOCK.findall(text)
    if clocks:
        hours, minutes, seconds = clocks[-1]
        whole = int(minutes) < 60 and int(seconds or 0) < 60
        return int(hours) * 3600.0 + int(minutes) * 60.0 + float(seconds or 0) if whole else None
    parts = IN_WORDS.findall(text)
    return sum(float(count) * UNIT_SECONDS[unit[0].lower()] for count, unit in parts) if parts else None


# ---------------------------------------------------------------- evaluating


def command(folder: str | Path, limit: int | None = None) -> str:
    """The command line of the folder's evaluate.py as a scoring program (see `pipeline.programs`).

    Raises InputError if it does not take a model and a file for its metrics.
    """
    text = _text(Path(folder) / EVALUATE)
    for option in ("--model-path", "--json-output-file"):
        if option not in text:
            raise InputError(f"{Path(folder) / EVALUATE}: knows no {option}: name a PostTrainBench task folder")
    parts = [f"python {EVALUATE} --model-path {{model}} --json-output-file {{json}}"]
    if "--templates-dir" in text and (Path(folder) / TEMPLATES).is_dir():
        parts.append(f"--templates-dir {TEMPLATES}/")
    if limit is not None:
        parts.append("--limit {limit}")
    return " ".join(parts)


def template(folder: str | Path, model_folder: str | Path) -> Path | None:
    """The template that evaluate.py renders this model's prompts with; None: none is for its family.

    By the family in the architecture's name, as evaluate.py has it; of several the one that evaluate.py names.
    """
    place = Path(folder) / TEMPLATES
    found = sorted(place.glob("*.jinja")) if place.is_dir() else []
    try:
        config = json.loads((Path(model_folder) / "config.json").read_bytes())
        architecture = str(config["architectures"][0]).lower()
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None
    family = next((name for name in FAMILIES if name in architecture), None)
    if family is None:
        return None
    fitting = [path for path in found if path.name.lower().startswith(family)]
    named = [path for path in fitting if path.name in _text(Path(folder) / EVALUATE)]
    return next(iter(named or fitting), None)
