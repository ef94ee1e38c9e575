"""Supervised fine-tuning with TRL's SFTTrainer and PEFT: resumable to the last digit, ends in time, learns to stop."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback

from pipeline import weights
from pipeline.chat import family_of
from pipeline.errors import DataError, TrainError
from pipeline.family import Family
from pipeline.params import SftParams
from pipeline.trainers import _model
from pipeline.trainers._average import Average
from pipeline.trainers._run import RECENT, Run, hand_on, start_of
from pipeline.trainers._trainer import Batches, Trainer, settings
from pipeline.training import MODEL, NOT_KEPT, TrainResult, TrainTask
from pipeline.training_plan import Plan, make_plan, usable, why_not
from pipeline.training_rows import Tokens, tokens_of


def train(task: TrainTask, watchers: Sequence[TrainerCallback] = ()) -> TrainResult:
    """Train a stage up to its fidelity, or to its time limit, and save what is scored and where to go on.

    `watchers` are called beside the run's own callback, after it, with the model as they would be by TRL's trainer.
    Raises TrainError (loss not finite, out of memory, parameters that do not fit the model), DataError (no usable row).
    """
    begun = time.perf_counter()
    params = SftParams(**task.stage.params)
    family = family_of(task.model_path)
    tokenizer = weights.load_tokenizer(task.model_path, family)
    tokens, plan = _planned(task, params, tokenizer, family)
    run = Run(task, plan, start_of(task.resume_from), begun)
    task.folder.mkdir(parents=True, exist_ok=True)
    with _told_memory(params):
        trainer = _trainer(task, params, tokens, plan, run, tokenizer, family)
        for watcher in watchers:
            trainer.add_callback(watcher)
        if task.resume_from is not None and run.start >= run.body_steps:
            hand_on(task.resume_from, task.folder)
        if run.end > run.start:
            with contextlib.closing(trainer.streams):
                trainer.train()
        if run.average is not None:
            run.average.put()
        path = _save(trainer.model, task, tokenizer, family)
    return TrainResult(
        model_path=str(path),
        tokens=run.tokens,
        body_tokens=plan.tokens[run.body_steps - 1],
        full_tokens=plan.full_tokens,
        steps=run.body_steps,
        final_loss=float(np.mean(run.losses[-RECENT:])) if run.losses else 0.0,
        seconds=time.perf_counter() - begun,
        first_step_at=run.first_step_at,
        parameters=sum(p.numel() for p in trainer.model.parameters()),
        cut_short=run.cut_short,
        tail_steps=run.tail_cut,
        remarks=_remarks(trainer, params),
    )


def _remarks(trainer: Trainer, params: SftParams) -> dict[str, str]:
    """What of the recipe could not be had, with the reason; what was kept goes to the trial's log."""
    if trainer.lower is not None:
        print(f"lower layers: {trainer.lower.computed} rows computed, {trainer.lower.read} read back")
    not_kept = params.lower_outputs == "kept" and trainer.not_kept
    return {NOT_KEPT: trainer.not_kept} if not_kept else {}


def full_tokens(task: TrainTask) -> int:
    """The full length of a stage in training tokens."""
    params = SftParams(**task.stage.params)
    family = family_of(task.model_path)
    return _planned(task, params, weights.load_tokenizer(task.model_path, family), family)[1].full_tokens


def _planned(task: TrainTask, params: SftParams, tokenizer: Any, family: Family) -> tuple[list[Tokens], Plan]:
    built = task.built
    tokens = [tokens_of(name, rows, tokenizer, family) for name, rows in zip(built.names, built.rows, strict=True)]
    vocabulary = weights.embedding_rows(task.model_path)
    given = (params.max_length, params.answers_only, vocabulary)
    for name, some, rows in zip(built.names, tokens, built.rows, strict=True):
        _tell(name, why_not(some, rows, *given))
    lengths = [usable(some, rows, *given) for some, rows in zip(tokens, built.rows, strict=True)]
    return tokens, make_plan(built, lengths, params, task.fidelity, task.seed)


def _tell(name: str, left_out: dict[str, np.ndarray[Any, Any]]) -> None:
    """Say in the trial's log which rows cannot be trained. Raises DataError if none can."""
    counts = {why: int(mask.sum()) for why, mask in left_out.items() if mask.any()}
    if not counts:
        return
    total, of = sum(counts.values()), len(next(iter(left_out.values())))
    reasons = "; ".join(f"{count} {why}" for why, count in counts.items())
    if total == of:
        raise DataError(f"{name}: no row can be trained: {reasons}: mend that or leave the source out")
    print(f"{name}: {total} of {of} rows are left out: {reasons}", file=sys.stderr)


def _trainer(
    task: TrainTask, params: SftParams, tokens: list[Tokens], plan: Plan, run: Run, tokenizer: Any, family: Family
) -> Trainer:
    device, dtype = weights.placement(params.dtype)
    model = _model.load(task.model_path, params, family, dtype, device, task.resume_from, task.seed)
    size = sum(p.numel() for p in model.parameters())
    trainer = Trainer(
        Batches(plan, run.start, tokens, params, tokenizer.pad_token_id),
        family,
        model=model,
        args=settings(
            params,
            folder=task.folder,
            dtype=dtype,
            device=device,
            steps=max(1, run.end - run.start),
            checkpointing=device == "cuda" and size > _model.CHECKPOINTING_FROM,
            seed=task.seed,
            end=family.end_of_turn,
        ),
        processing_class=tokenizer,
        callbacks=[run],
    )
    run.trainer = trainer
    if params.schedule == "constant_average":
        run.average = Average(trainer.model, task.resume_from)
    return trainer


def _save(model: Any, task: TrainTask, tokenizer: Any, family: Family) -> Path:
    """The adapter, or the whole weights in the dtype that they came in."""
    path = task.folder / MODEL
    if hasattr(model, "get_base_model"):
        _model.save(model, path)
        tokenizer.save_pretrained(str(path))
    else:
        weights.save_whole(model.to(weights.stored_dtype(task.model_path)), tokenizer, path, family)
    return path


@contextlib.contextmanager
def _told_memory(params: SftParams) -> Iterator[None]:
    """Turn running out of memory into an error that says what to lower."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        size = params.device_batch or params.batch_size
        raise TrainError(f"out of memory with device_batch {size}: lower device_batch or max_length") from error
