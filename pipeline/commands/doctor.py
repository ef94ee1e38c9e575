"""`posttrain doctor`: what this installation stands on, and what nobody has tried."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from pipeline import __version__, console
from pipeline.commands import options

LIBRARIES = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "lm_eval", "pydantic", "typer")
EXTRAS = {"mcp": "mcp"}  # what is installed on demand: posttrain[EXTRA] -> its library
# what could not be executed where this was written: no GPU, no Hub, no key, one Linux machine
UNTESTED = (
    "GPUs: device and dtype are chosen by measurement, activations are checkpointed; none of it has met a GPU",
    "the memory that `list models` tells: a formula from the literature, measured on no GPU",
    "vLLM and other engines on a GPU: none ships; answers made by them are scored with --engine recorded:FILE",
    "the Hub: fetching models (gated ones, too) and data sets follows its documentation and has met no network",
    "Hub ids, revisions, licences and access of `list models`: not looked up; the sizes follow from the models' shapes",
    "real weights of Qwen3, SmolLM3 and Gemma 3: their classes are exercised tiny, with images and untied ones, too, "
    "and with whole vocabularies and, but for SmolLM3, the real tokenizers and templates (scripts/real_parts)",
    "SmolLM3's own tokenizer: could not be had; its chat template is rebuilt from the published one, without its date",
    "models taken by --family auto: real chat templates on tiny random models; no code of a model's own is run",
    "mixtures of experts, quantised checkpoints and adapters other than LoRA's kind",
    "GGUF files: one real one (llama, Q4_1); the other architectures and packings on tiny files that were written here",
    "GPQA's own items, which are gated: none could be had",
    "the Hub's whole files of Arena-Hard and HealthBench, of which the benchmarks are a part: only the parts were read",
    "Arena-Hard's and HealthBench's scores: no real judge gave any, so none was compared with a published one",
    "bfcl's data file (exec_simple): its rule ran on rows of its form and on simple_python's functions",
    "macOS (jobs are spawned there instead of forked) and Windows",
    "OpenAI's and Anthropic's own servers: judges and proposers were on this machine only, scripts behind them",
    "Claude Code, Codex CLI and Gemini CLI with posttrain mcp: its tools were called by the SDK's own client only",
    "the presets of --agent command (claude, codex, gemini, opencode): made from documentation, scripts in their place",
    "several hosts, and file systems without locks (some NFS mounts)",
)


def doctor(as_json: options.Json = False) -> None:
    """Show versions, this machine, the cache, what is untested.

    \b
    Example:
      posttrain doctor
    """
    with console.stdout_kept_clean():
        facts = examine()
    if as_json:
        console.document(facts)
    else:
        print(as_text(facts))


def examine() -> dict[str, Any]:
    """Everything doctor knows. The machine is measured in a child process unless that was done before."""
    from pipeline import machine, paths

    home = paths.home()
    try:
        measured: Any = machine.cached()
    except Exception as error:  # doctor describes what is broken; it does not break with it
        measured = {"error": " ".join(str(error).split())}
    return {
        "posttrain": __version__,
        "python": f"{platform.python_version()} at {sys.executable}",
        "platform": platform.platform(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "extras": {extra: version(name) for extra, name in EXTRAS.items()},
        "machine": measured,
        "cache": {"folder": home, "bytes": folder_bytes(home), "disk_free_bytes": free_bytes(home)},
        "lab": lab_state(),
        "untested": UNTESTED,
    }


def version(name: str) -> str | None:
    """A library's installed version, without importing it."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def lab_state() -> list[dict[str, Any]]:
    """The labs in the cache."""
    from pipeline import lab

    return list(lab.listing())


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; 0 if it is not there."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            total += path.lstat().st_size if path.exists() else 0
    return total


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk where the folder lies or will lie."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def as_text(facts: dict[str, Any]) -> str:
    """The facts in the order in which they are looked for."""
    cache = facts["cache"]
    missing = [name for name, found in facts["libraries"].items() if found is None]
    absent = [f"posttrain[{extra}]" for extra, found in facts["extras"].items() if found is None]
    versions = ", ".join(f"{name} {found}" for name, found in facts["libraries"].items() if found)
    lines = [
        f"posttrain {facts['posttrain']}, Python {facts['python']}, {facts['platform']}",
        f"libraries  {versions}",
        *([f"MISSING    {', '.join(missing)}: install them with pip install -e ."] if missing else []),
        *([f"extras     not installed: {', '.join(absent)}; add one with pip install 'NAME'"] if absent else []),
        f"machine    {machine_text(facts['machine'])}",
        f"cache      {cache['folder']}: {console.size(cache['bytes'])}, {console.size(cache['disk_free_bytes'])} free",
        f"lab        {lab_text(facts['lab'])}",
        "untested   " + "\n           ".join(facts["untested"]),
    ]
    return "\n".join(lines)


def machine_text(found: Any) -> str:
    """What was measured of the machine."""
    if isinstance(found, dict):
        return f"NOT MEASURED: {found['error']}"
    speeds = ", ".join(f"{what} {value:.1f}" for what, value in found.gflops.items())
    busy = "" if found.quiet else " (others used the cores meanwhile: it will be measured again)"
    return (
        f"{found.cores} cores, {console.size(found.memory_bytes)}, {found.device}; chosen by measurement: "
        f"{found.dtype}, {found.threads} threads{busy}\n           GFLOP/s: {speeds}"
    )


def lab_text(labs: list[dict[str, Any]]) -> str:
    """The labs that are built."""
    if not labs:
        return "none built yet (posttrain reproduce builds one, or posttrain lab build)"
    return "\n           ".join(map(one_lab, labs))


def one_lab(lab: dict[str, Any]) -> str:
    """A lab in a line."""
    seconds = lab["pretraining_seconds"] + lab["tuning_seconds"]
    kind = f" ({lab['scale']})"
    return (
        f"{lab['family']}{kind}, lab seed {lab['lab_seed']}: built in {console.duration(seconds)},"
        f" {console.size(lab['bytes'])}, {lab['folder']}"
    )
