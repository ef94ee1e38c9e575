"""TRL's SFTTrainer on a fixed sequence of steps, without the metrics that would double a tiny model's step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import PrinterCallback
from trl import SFTConfig, SFTTrainer
from trl.trainer.utils import add_fused_lm_head

from pipeline.params import SftParams
from pipeline.training_plan import Place, Plan
from pipeline.training_rows import Tokens

# Up to so many numbers the logits of all trained tokens are computed at once (half a GB in float32): on a CPU that is
# several times faster than TRL's tiles, which need next to no memory.
LOGITS_AT_ONCE = 2**27


class Batches:
    """The micro-batches of the plan's steps from `start` on.

    Draws no random number: the state that a checkpoint keeps must not move between two steps.
    """

    def __init__(self, plan: Plan, start: int, tokens: Sequence[Tokens], params: SftParams, pad: int) -> None:
        self.plan, self.start, self.tokens, self.params, self.pad = plan, start, tokens, params, pad
        self.size = params.device_batch or params.batch_size

    def __len__(self) -> int:
        return (len(self.plan.steps) - self.start) * (self.params.batch_size // self.size)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        for step in self.plan.steps[self.start :]:
            # rows of like length share a micro-batch: less padding, the same gradient
            rows = sorted(map(self._row, step), key=lambda row: len(row[0]))
            for begin in range(0, len(rows), self.size):
                some = rows[begin : begin + self.size]
                yield _laid_end_to_end(some) if self.params.packing else _padded(some, self.pad)

    def _row(self, place: Place) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        ids, labels = self.tokens[place[0]].row(place[1], self.params.answers_only)
        return ids[: self.params.max_length], labels[: self.params.max_length]


def _padded(rows: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]], pad: int) -> dict[str, torch.Tensor]:
    width = max(len(ids) for ids, _ in rows)
    ids_BxL = np.full((len(rows), width), pad, np.int64)
    labels_BxL = np.full((len(rows), width), -100, np.int64)
    mask_BxL = np.zeros((len(rows), width), np.int64)
    for i, (ids, labels) in enumerate(rows):
        ids_BxL[i, : len(ids)], labels_BxL[i, : len(ids)], mask_BxL[i, : len(ids)] = ids, labels, 1
    arrays = {"input_ids": ids_BxL, "labels": labels_BxL, "attention_mask": mask_BxL}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _laid_end_to_end(rows: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]) -> dict[str, torch.Tensor]:
    """One long row without padding; positions that start anew keep the rows from seeing each other."""
    labels = [np.concatenate([[-100], labels[1:]]) for _, labels in rows]  # no row predicts the next one's first token
    arrays = {
        "input_ids": np.concatenate([ids for ids, _ in rows]),
        "labels": np.concatenate(labels),
        "position_ids": np.concatenate([np.arange(len(ids)) for ids, _ in rows]),
    }
    return {name: torch.from_numpy(array.astype(np.int64))[None] for name, array in arrays.items()}


class Trainer(SFTTrainer):
    """SFTTrainer on `batches`; `step_loss` is the mean loss per trained token of the step so far."""

    # the loss below is a share of the whole step's mean already
    loss_is_scaled_for_ga = True

    def __init__(self, batches: Batches, **settings: Any) -> None:
        super().__init__(train_dataset=Dataset.from_dict({"input_ids": [[0]], "labels": [[0]]}), **settings)
        self.batches = batches
        self.step_loss = torch.zeros((), device=self.args.device)
        self.remove_callback(PrinterCallback)
        inner = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
        self._inner = inner
        self._vocabulary = int(inner.config.get_text_config().vocab_size) if _has_plain_head(inner) else None
        add_fused_lm_head(inner, outputs=("log_probs",))  # instead of TRL's, which computes entropies, too

    def get_train_dataloader(self) -> Any:
        """The batches as they are: no sampler, no worker."""
        return self.batches

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: Any) -> torch.Tensor:
        counts = [(batch["labels"][:, 1:] != -100).sum() for batch in batch_samples]
        return torch.stack(counts).sum().clamp(min=1).to(device)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """The micro-batch's share of the step's mean loss per trained token."""
        trained = inputs["labels"][:, 1:] != -100
        if self._vocabulary is None or int(trained.sum()) * self._vocabulary > LOGITS_AT_ONCE:
            outputs = model(**inputs, use_cache=False, fused_lm_head=True)
            return -outputs.log_probs.sum() / num_items_in_batch
        labels_N = inputs.pop("labels")[:, 1:][trained]
        hidden_BxLxD = self._inner.model(**inputs, use_cache=False).last_hidden_state[:, :-1]
        logits_NxV = self._inner.lm_head(hidden_BxLxD[trained]).float()
        return torch.nn.functional.cross_entropy(logits_NxV, labels_N, reduction="sum") / num_items_in_batch

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """As usual; adds to the step's loss."""
        loss = super().training_step(*args, **kwargs)
        self.step_loss += loss
        return loss

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted here: it takes milliseconds a step."""
        return 0


def _has_plain_head(model: Any) -> bool:
    """Whether logits are `lm_head` of the hidden states and nothing else."""
    config = model.config.get_text_config()
    scaled = ("final_logit_softcapping", "logit_scale", "logits_scaling", "output_multiplier", "lm_head_multiplier")
    if any(getattr(config, name, None) is not None for name in scaled):
        return False
    return hasattr(model, "model") and hasattr(model, "lm_head")


def settings(
    params: SftParams, *, folder: Path, dtype: str, device: str, steps: int, checkpointing: bool, seed: int, end: str
) -> SFTConfig:
    """TRL's settings; `end` is the token that ends a turn. `_run` sets learning rates: the scheduler is constant."""
    size = params.device_batch or params.batch_size
    made = SFTConfig(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=size,
        gradient_accumulation_steps=params.batch_size // size,
        learning_rate=params.learning_rate,
        lr_scheduler_type="constant",
        weight_decay=params.weight_decay,
        neftune_noise_alpha=params.neftune or None,
        seed=seed,
        eos_token=end,
        use_cpu=device == "cpu",
        bf16=dtype == "bfloat16",
        activation_checkpointing=checkpointing,
        max_length=None,
        logging_strategy="no",
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    if made.n_gpu > 1:
        made._n_gpu = 1  # one trial, one GPU: transformers would use all that it sees, which TRL refuses
    return made
