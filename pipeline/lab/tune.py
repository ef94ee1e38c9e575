"""The lab's 'human team': full tuning of a base on good rows of all tasks, with the project's own trainer."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

from pipeline import worlds
from pipeline.data import Built
from pipeline.lab.scale import Scale
from pipeline.trainers import sft
from pipeline.training import PROGRESS, TrainTask
from pipeline.types import DataRef, Stage
from pipeline.worlds.common import generator, small_talk


def lessons(scale: Scale, lab_seed: int) -> Built:
    """Good rows of every world in equal parts, and a little conversation."""
    pairs = {name: worlds.get(name).lessons(lab_seed, scale.lessons) for name in scale.passages}
    pairs["talk"] = small_talk(generator("lab", lab_seed, "talk"), max(50, scale.lessons // 8))
    rows = tuple(
        [{"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]} for q, a in told]
        for told in pairs.values()
    )
    weights = tuple(0.1 if name == "talk" else 1.0 for name in pairs)
    return Built(tuple(f"lab-{name}" for name in pairs), weights, rows, {}, {})


def tune(base: Path, folder: Path, scale: Scale, lab_seed: int, told: Callable[[float, float], None]) -> Path:
    """Tune the model in `base`; everything is written below `folder`; returns the tuned model's folder."""
    params = {
        "tuning": "full",
        "learning_rate": scale.lesson_rate,
        "tokens": scale.lesson_tokens,
        "batch_size": scale.lesson_batch,
        "tail": 0.25,
        "warmup_steps": 20,
        "max_length": scale.context,
        "dtype": "float32",
    }
    built = lessons(scale, lab_seed)
    stage = Stage(data=tuple(DataRef(name=name) for name in built.names), params=params)
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(folder / PROGRESS, done, told), daemon=True)
    watcher.start()
    try:
        result = sft.train(TrainTask(model_path=str(base), stage=stage, built=built, seed=lab_seed, folder=folder))
    finally:
        done.set()
        watcher.join()
    return Path(result.model_path)


def _watch(path: Path, done: threading.Event, told: Callable[[float, float], None]) -> None:
    """Pass the trainer's progress lines on."""
    while not done.wait(0.5):
        if path.is_file() and (lines := path.read_text().splitlines()):
            line = json.loads(lines[-1])
            share = line["step"] / line["steps"]
            told(share, line["seconds"] * (1 - share) / max(share, 1e-6))
