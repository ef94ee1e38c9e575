"""The two sides of `bench fast`, each run in a process of its own: our trainer with some parameters, and TRL's."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import weights
from pipeline.bench.fast import HOMES, TEST, TRAIN
from pipeline.bench.train import ALPHA, MAX_LENGTH, RANK, _as_trl
from pipeline.chat import family_of
from pipeline.jobs import JOB, OUTCOME
from pipeline.paths import read_json, read_jsonl, write_json

WARMUP = 5  # steps


def ours(folder: Path) -> None:
    """Our trainer. Its cache folder is one of the measurement: what is kept comes from its own earlier trials only."""
    job = read_json(folder / JOB)
    place = Path(job["folder"])
    os.environ["POSTTRAIN_HOME"] = str(place / HOMES / job["home"])
    from pipeline.data import Built
    from pipeline.trainers import sft
    from pipeline.training import TrainTask
    from pipeline.types import DataRef, Stage

    params = {
        "tuning": "lora", "rank": RANK, "alpha": float(ALPHA), "schedule": "constant", "warmup_steps": WARMUP,
        "embeddings": False, "steps": job["steps"], "batch_size": job["batch_size"], "learning_rate": job["rate"],
        "max_length": MAX_LENGTH, "dtype": "float32", **job["params"],
    }  # fmt: skip
    built = Built(("bench",), (1.0,), (read_jsonl(place / TRAIN),), {}, {})
    stage = Stage(data=(DataRef(name="bench"),), params=params)
    watch = _watch(job)
    task = TrainTask(job["model_path"], stage, built, seed=job["seed"], folder=folder)
    result = sft.train(task, watchers=(watch,))
    _write(folder, watch, result.tokens, remarks=result.remarks)


def stock(folder: Path) -> None:
    """TRL's SFTTrainer as it comes, less activation checkpointing."""
    job = read_json(folder / JOB)
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    family, (device, dtype) = family_of(job["model_path"]), weights.placement("float32")
    rows = read_jsonl(Path(job["folder"]) / TRAIN)
    wanted = min(len(rows), job["steps"] * job["batch_size"])
    settings = SFTConfig(
        output_dir=str(folder), max_steps=job["steps"], per_device_train_batch_size=job["batch_size"],
        learning_rate=job["rate"], lr_scheduler_type="constant_with_warmup", warmup_steps=WARMUP, max_length=MAX_LENGTH,
        eos_token=family.end_of_turn, use_cpu=device == "cpu", bf16=False, activation_checkpointing=False,
        save_strategy="no", report_to="none", disable_tqdm=True, seed=job["seed"],
    )  # fmt: skip
    shuffled = np.random.default_rng(job["seed"]).permutation(len(rows))[:wanted]
    watch = _watch(job)
    trainer = SFTTrainer(
        model=weights.load_model(job["model_path"], dtype, device),
        args=settings,
        train_dataset=Dataset.from_list([_as_trl(rows[number], family.template_kwargs) for number in shuffled]),
        processing_class=weights.load_tokenizer(job["model_path"], family),
        peft_config=LoraConfig(
            task_type="CAUSAL_LM", r=RANK, lora_alpha=ALPHA, target_modules=list(family.lora_targets) or "all-linear"
        ),
        callbacks=[watch],
    )
    trainer.train()
    _write(folder, watch, _seen(trainer), remarks={})


def _watch(job: dict[str, Any]) -> Any:
    from pipeline.trainers._watch import Watch

    rows = read_jsonl(Path(job["folder"]) / TEST)
    chosen = np.random.default_rng(job["seed"]).permutation(len(rows))[: job["items"]]
    clock = time.process_time if job["clock"] == "cpu" else time.perf_counter
    return Watch(job["model_path"], [rows[number] for number in chosen], job["marks"], clock)


def _seen(trainer: Any) -> int:
    """Tokens of so many rows as the trainer has taken, each as long as the mean row is."""
    lengths = [len(ids) for ids in trainer.train_dataset["input_ids"]]
    return round(float(np.mean(lengths)) * trainer.state.global_step * trainer.args.per_device_train_batch_size)


def _write(folder: Path, watch: Any, tokens: int, **more: Any) -> None:
    speed = tokens / watch.looks[-1]["seconds"]
    write_json(folder / OUTCOME, {"looks": watch.looks, "tokens": tokens, "tokens_per_second": speed, **more})
