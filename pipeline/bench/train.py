"""`bench train`: our SFT trainer against TRL's as it comes, on the same rows, steps, batch and learning rate.

Both train a LoRA in float32 at a constant rate, load the model alike, tokenise the rows themselves and save what they
trained. TRL's keeps its defaults otherwise (its metrics, its logging), less activation checkpointing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline import benchmarks, data
from pipeline.bench.fresh import Round, compared, interleaved, paired_table, ratio_text
from pipeline.bench.results import Document, ground, ground_text
from pipeline.jobs import JOB, OUTCOME
from pipeline.paths import read_json, read_jsonl, write_json, write_jsonl
from pipeline.recipe import load_recipe
from pipeline.reporting.blocks import Page
from pipeline.types import Benchmark, ItemsKey

OURS, THEIRS = "posttrain", "trl"
SIDES = {OURS: "pipeline.bench.train.ours", THEIRS: "pipeline.bench.train.stock"}
RANK = ALPHA = 16
MAX_LENGTH = 512
ROWS = "rows.jsonl"


def run(
    model: str, model_path: Path, benchmark: Benchmark, lab_seed: int, steps: int, batch: int, rate: float, runs: int,
    threads: int, place: Path, told: Callable[..., None],
) -> Document:  # fmt: skip
    """Train in turns, in fresh processes below `place`. Raises PosttrainError if a side fails."""
    write_jsonl(place / ROWS, rows_of(benchmark, lab_seed, steps * batch))
    work = {
        "model_path": str(model_path),
        "rows": str((place / ROWS).absolute()),
        "steps": steps,
        "batch_size": batch,
        "learning_rate": rate,
    }
    rounds = interleaved(SIDES, work, place, runs, threads, told)
    return {
        **ground(),
        "kind": "train",
        "model": model,
        "benchmark": benchmark.name,
        "lab_seed": lab_seed,
        "threads": threads,
        **{name: work[name] for name in ("steps", "batch_size", "learning_rate")},
        "rounds": rounds,
        "tokens": {side: rounds[0][side]["tokens"] for side in SIDES},
        "process_tokens_per_second": _speeds(rounds, "process_seconds"),
        "tokens_per_second": _speeds(rounds, "seconds"),
    }


def _speeds(rounds: Sequence[Round], seconds: str) -> dict[str, Any]:
    """Tokens per second, the rows' tokens counted as ours counts them: TRL adds what follows the end of a turn."""
    tokens = rounds[0][OURS]["tokens"]
    return compared(rounds, lambda side: tokens / side[seconds], OURS, THEIRS)


def rows_of(benchmark: Benchmark, lab_seed: int, n: int) -> list[dict[str, Any]]:
    """The first `n` rows that the benchmark's own recipe would train on."""
    key, stage = (
        ItemsKey(lab_seed=lab_seed, folder=benchmark.folder),
        load_recipe(benchmarks.recipe_address(benchmark)).stages[0],
    )
    built = data.build(stage, key, benchmarks.items(benchmark, "search", key), seed=0)
    return [built.rows[source][row] for source, row in built.order(n, seed=0)]


# ---------------------------------------------------------------- the two sides, each in a process of its own


def ours(folder: Path) -> None:
    """Our trainer. The cache of tokenised rows is an empty one: TRL's has none either."""
    job, begun = read_json(folder / JOB), time.perf_counter()
    os.environ["POSTTRAIN_HOME"] = str(folder / "home")
    from pipeline.data import Built
    from pipeline.trainers import sft
    from pipeline.training import TrainTask
    from pipeline.types import DataRef, Stage

    imported = time.perf_counter()
    params = {
        "tuning": "lora", "rank": RANK, "alpha": float(ALPHA), "schedule": "constant", "warmup_steps": 0,
        "steps": job["steps"], "batch_size": job["batch_size"], "learning_rate": job["learning_rate"],
        "max_length": MAX_LENGTH, "dtype": "float32",
    }  # fmt: skip
    built = Built(("bench",), (1.0,), (read_jsonl(job["rows"]),), {}, {})
    stage = Stage(data=(DataRef(name="bench"),), params=params)
    result = sft.train(TrainTask(model_path=job["model_path"], stage=stage, built=built, seed=0, folder=folder))
    _write(folder, begun, imported, result.tokens, result.final_loss)


def stock(folder: Path) -> None:
    """TRL's SFTTrainer."""
    job, begun = read_json(folder / JOB), time.perf_counter()
    import torch  # noqa: F401 (first, as everywhere)
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    from pipeline import weights
    from pipeline.chat import family_of

    imported = time.perf_counter()
    family, (device, dtype) = family_of(job["model_path"]), weights.placement("float32")
    settings = SFTConfig(
        output_dir=str(folder), max_steps=job["steps"], per_device_train_batch_size=job["batch_size"],
        learning_rate=job["learning_rate"], lr_scheduler_type="constant", max_length=MAX_LENGTH,
        eos_token=family.end_of_turn, use_cpu=device == "cpu", bf16=False, activation_checkpointing=False,
        save_strategy="no", report_to="none", disable_tqdm=True, seed=0,
    )  # fmt: skip
    trainer = SFTTrainer(
        model=weights.load_model(job["model_path"], dtype, device),
        args=settings,
        train_dataset=Dataset.from_list([_as_trl(row, family.template_kwargs) for row in read_jsonl(job["rows"])]),
        processing_class=weights.load_tokenizer(job["model_path"], family),
        peft_config=LoraConfig(
            task_type="CAUSAL_LM", r=RANK, lora_alpha=ALPHA, target_modules=list(family.lora_targets)
        ),
    )
    trainer.train()
    trainer.save_model(str(folder / "model"))
    tokens = sum(map(len, trainer.train_dataset["input_ids"]))
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    _write(folder, begun, imported, tokens, losses[-1] if losses else None)


def _as_trl(row: dict[str, Any], template: dict[str, Any]) -> dict[str, Any]:
    """A row in TRL's form for loss on the last answer only."""
    kept = {name: row[name] for name in ("tools",) if row.get(name)}
    kwargs = {"chat_template_kwargs": template} if template else {}
    return {"prompt": row["messages"][:-1], "completion": row["messages"][-1:], **kept, **kwargs}


def _write(folder: Path, begun: float, imported: float, tokens: int, loss: float | None) -> None:
    seconds = time.perf_counter() - imported
    outcome = {"tokens": tokens, "seconds": seconds, "import_seconds": imported - begun, "loss": loss}
    write_json(folder / OUTCOME, outcome)


# ---------------------------------------------------------------- page


def page(document: Document) -> Page:
    """The document in words."""
    last = document["rounds"][-1]
    speeds = (
        ("tokens/s, the whole process", document["process_tokens_per_second"]),
        ("tokens/s, imports left out", document["tokens_per_second"]),
    )
    ratio = document["process_tokens_per_second"]["ratio"]
    return Page(
        title="Training, ours and TRL's",
        subtitle=f"{document['model']}, {document['steps']} steps of {document['batch_size']} rows of "
        f"{document['benchmark']}, LoRA, float32, {document['threads']} threads; {ground_text(document)}",
        headline=f"{ratio['median']:.2f} times",
        caption="the tokens per second of TRL's SFTTrainer, whole process (median of paired rounds).",
        warning="",
        blocks=(
            paired_table(
                ("posttrain", "trl.SFTTrainer"),
                len(document["rounds"]),
                [
                    (name, f"{speed[OURS]:,.0f}", f"{speed[THEIRS]:,.0f}", ratio_text(speed["ratio"]))
                    for name, speed in speeds
                ],
                [
                    ("tokens of the rows", *(f"{document['tokens'][side]:,}" for side in SIDES)),
                    ("loss of the last 10 steps", *(f"{last[side]['loss'] or 0:.3f}" for side in SIDES)),
                ],
                "speeds count posttrain's tokens for both: TRL trains on the line break after a turn, too",
            ),
        ),
    )
