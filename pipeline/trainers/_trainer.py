"""TRL's SFTTrainer on a fixed sequence of steps, without the metrics that would double a tiny model's step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import PrinterCallback
from trl import SFTConfig, SFTTrainer
from trl.trainer.utils import add_fused_lm_head

from pipeline.family import Family
from pipeline.params import SftParams
from pipeline.trainers import _beginnings, _prefix, _streams
from pipeline.trainers._kept import LowerOutputs
from pipeline.trainers._lower import NotKept, drops
from pipeline.training_plan import Place, Plan
from pipeline.training_rows import Tokens

# Up to so many numbers the logits of all trained tokens are computed at once (half a GB in float32): on a CPU that is
# several times faster than TRL's tiles, which need next to no memory.
LOGITS_AT_ONCE = 2**27


Row = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]  # ids and labels


class Batches:
    """The micro-batches of the plan's steps from `start` on.

    Draws no random number: the state that a checkpoint keeps must not move between two steps.
    """

    def __init__(self, plan: Plan, start: int, tokens: Sequence[Tokens], params: SftParams, pad: int) -> None:
        self.plan, self.start, self.tokens, self.params, self.pad = plan, start, tokens, params, pad
        self.size = params.device_batch or params.batch_size

    def __len__(self) -> int:
        return (len(self.plan.steps) - self.start) * self.params.micro_batches

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        for step in self.plan.steps[self.start :]:
            # rows that begin alike or are of like length share a micro-batch: less to run, the same gradient
            rows = [self._row(place) for place in step]
            rows = [rows[number] for number in _beginnings.order([ids for ids, _ in rows])]
            for begin in range(0, len(rows), self.size):
                yield self._laid_out(rows[begin : begin + self.size])

    def probe(self) -> dict[str, torch.Tensor]:
        """Two short rows of the first step, of different lengths if there are any, laid out as in training."""
        rows = sorted(map(self._row, self.plan.steps[self.start]), key=lambda row: len(row[0]))
        longer = [row for row in rows if len(row[0]) > len(rows[0][0])]
        inputs = self._laid_out([rows[0], *(longer or rows[1:])[:1]])
        return {name: tensor for name, tensor in inputs.items() if name != "labels"}

    def _laid_out(self, rows: list[Row]) -> dict[str, torch.Tensor]:
        return _laid_end_to_end(rows) if self.params.packing else _padded(rows, self.pad)

    def _row(self, place: Place) -> Row:
        ids, labels = self.tokens[place[0]].row(place[1], self.params.answers_only)
        return ids[: self.params.max_length], labels[: self.params.max_length]


def _padded(rows: list[Row], pad: int) -> dict[str, torch.Tensor]:
    width = max(len(ids) for ids, _ in rows)
    ids_BxL = np.full((len(rows), width), pad, np.int64)
    labels_BxL = np.full((len(rows), width), -100, np.int64)
    mask_BxL = np.zeros((len(rows), width), np.int64)
    for i, (ids, labels) in enumerate(rows):
        ids_BxL[i, : len(ids)], labels_BxL[i, : len(ids)], mask_BxL[i, : len(ids)] = ids, labels, 1
    arrays = {"input_ids": ids_BxL, "labels": labels_BxL, "attention_mask": mask_BxL}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _laid_end_to_end(rows: list[Row]) -> dict[str, torch.Tensor]:
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

    def __init__(self, batches: Batches, family: Family, **settings: Any) -> None:
        super().__init__(train_dataset=Dataset.from_dict({"input_ids": [[0]], "labels": [[0]]}), **settings)
        self.batches, self.family, self.params = batches, family, batches.params
        self.step_loss = torch.zeros((), device=self.args.device)
        self.remove_callback(PrinterCallback)
        inner = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
        self._inner = inner
        self._vocabulary = int(inner.config.get_text_config().vocab_size) if _has_plain_head(inner) else None
        add_fused_lm_head(inner, outputs=("log_probs",))  # instead of TRL's, which computes entropies, too
        self.lower: LowerOutputs | None = None  # made at the first step, which runs as all others do
        self.not_shared: str | None = None  # why rows do not share their beginning; None: not looked at yet
        self.streams = _streams.Streams(torch.get_num_threads())
        self._may_split = self._splits()
        self.not_kept = "" if self.params.lower_outputs == "kept" else "not asked for"

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
        labels_BxL = inputs.pop("labels")
        with self._lower_handed(model, inputs):
            return self._summed_loss(model, inputs, labels_BxL) / num_items_in_batch

    def _summed_loss(self, model: Any, inputs: dict[str, Any], labels_BxL: torch.Tensor) -> torch.Tensor:
        trained = labels_BxL[:, 1:] != -100
        everywhere = self.params.logits == "all"
        if self._tiled(labels_BxL):
            return self._tiled_loss(model, inputs, labels_BxL, everywhere)
        hidden_BxLxD = self._hidden(inputs, labels_BxL)[:, :-1]
        chosen = torch.ones_like(trained) if everywhere else trained
        logits_NxV = self._inner.lm_head(hidden_BxLxD[chosen]).float()
        return torch.nn.functional.cross_entropy(logits_NxV, labels_BxL[:, 1:][chosen], reduction="sum")

    def _tiled(self, labels_BxL: torch.Tensor) -> bool:
        """Whether the logits take TRL's head: as they are not plain ones, or too many to be had at once."""
        trained = labels_BxL[:, 1:] != -100
        positions = trained.numel() if self.params.logits == "all" else int(trained.sum())
        return self._vocabulary is None or positions * self._vocabulary > LOGITS_AT_ONCE

    def _hidden(self, inputs: dict[str, Any], labels_BxL: torch.Tensor) -> torch.Tensor:
        """The body's hidden states BxLxD, but for those of a beginning that all rows share."""
        body = self._inner.model
        shared = _prefix.length(inputs, labels_BxL) if self._shares() else 0
        if shared and self.not_shared is None:
            self.not_shared = _prefix.why_not(body, inputs, shared)
        if shared and not self.not_shared:
            return _prefix.hidden(body, inputs, shared)
        found: torch.Tensor = body(**inputs, use_cache=False).last_hidden_state
        return found

    def _shares(self) -> bool:
        """Whether rows of a micro-batch may share their beginning: where each draws nothing and none is kept."""
        return self._draws_nothing() and self.lower is None and self.params.prefix is None

    def _draws_nothing(self) -> bool:
        """Whether a row's pass hangs on the row alone, and is run once."""
        drawn = self.params.dropout or self.params.neftune
        return not (drawn or self.params.packing or self.args.gradient_checkpointing)

    def _tiled_loss(self, model: Any, inputs: dict[str, Any], labels_BxL: torch.Tensor, everywhere: bool) -> Any:
        """By TRL's head, which knows scaled and capped logits, too; on a CPU it computes them for all it is shown."""
        body = self._inner.base_model
        if everywhere or body is self._inner:
            return -model(**inputs, labels=labels_BxL, use_cache=False, fused_lm_head=True).log_probs.sum()
        trained = labels_BxL[:, 1:] != -100
        handle = body.register_forward_hook(lambda module, args, output: _only(output, trained))
        try:
            labels_1xN = torch.nn.functional.pad(labels_BxL[:, 1:][trained], (1, 1), value=-100)[None]
            return -model(**inputs, labels=labels_1xN, use_cache=False, fused_lm_head=True).log_probs.sum()
        finally:
            handle.remove()

    def _lower_handed(self, model: Any, inputs: dict[str, Any]) -> contextlib.AbstractContextManager[None]:
        """Within it frozen lower layers are not run, where that was asked for and is right."""
        if self.lower is None and not self.not_kept:
            run = self._inner.model if self._vocabulary is not None else model
            probe = {name: tensor.to(self.args.device) for name, tensor in self.batches.probe().items()}
            try:
                self.lower = LowerOutputs(run, self.model, self.family, self.params, probe)
            except NotKept as reason:
                self.not_kept = str(reason)
        return contextlib.nullcontext() if self.lower is None else self.lower.handed(inputs)

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """As usual, or with the rows on several threads; adds to the step's loss."""
        parts = self._parts(inputs)
        if parts > 1:
            loss = self._side_by_side(model.train(), self._prepare_inputs(inputs), parts, num_items_in_batch)
        else:
            loss = super().training_step(model, inputs, num_items_in_batch)
        self.step_loss += loss
        return loss

    def _splits(self) -> bool:
        """Whether rows may go to several threads: they draw nothing and are handed nothing, and it would pay."""
        width = int(self._inner.config.get_text_config().hidden_size)
        if self.args.device.type != "cpu" or not _streams.pays(width, self.streams.threads):
            return False
        is_asked = self.params.streams is None and self.params.lower_outputs is None
        return is_asked and self._draws_nothing() and not any(map(drops, self._inner.modules()))

    def _parts(self, inputs: dict[str, Any]) -> int:
        """Into how many parts a micro-batch's rows are split; 1: they stay together."""
        if not self._may_split or self._tiled(inputs["labels"]):
            return 1
        shared = _prefix.length(inputs, inputs["labels"]) if self._shares() and not self.not_shared else 0
        return _streams.number(inputs["attention_mask"], self.streams.threads, shared)

    def _side_by_side(self, model: Any, inputs: dict[str, Any], parts: int, items: Any) -> torch.Tensor:
        def loss_of(part: dict[str, Any]) -> torch.Tensor:
            with self.compute_loss_context_manager():
                return self.compute_loss(model, part, num_items_in_batch=items)

        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        return self.streams.add_gradients(loss_of, _streams.split(inputs, parts), trained)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted here: it takes milliseconds a step."""
        return 0


def _only(output: Any, trained: torch.Tensor) -> Any:
    """A body's output with the hidden states of the trained positions alone, as one row; its last two mean nothing."""
    hidden_BxLxD = output.last_hidden_state
    last = hidden_BxLxD[0, :1].expand(2, -1)
    output.last_hidden_state = torch.cat([hidden_BxLxD[:, :-1][trained], last])[None]
    return output


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
    made = SFTConfig(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=params.device_batch or params.batch_size,
        gradient_accumulation_steps=params.micro_batches,
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
