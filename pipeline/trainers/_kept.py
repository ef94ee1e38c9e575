"""The lower layers' output row by row, kept on disk: shared by epochs, by trials and by processes at the same time.

Each row is computed alone, so its output does not depend on the batch it was first met in: a trial that goes on, or is
run again, sees the same numbers to the last bit, whatever was kept before and whatever has been removed since.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
import transformers

from pipeline.byte_store import ByteStore, free_bytes
from pipeline.errors import InputError
from pipeline.family import Family
from pipeline.params import SftParams
from pipeline.paths import home
from pipeline.trainers import _parts
from pipeline.trainers._lower import Lower, NotKept, check, frozen_layers

FORMAT = 1  # of the kept files and of how they are computed: raise it when either changes
FOLDER = "lower_outputs"
LIMIT = "POSTTRAIN_LOWER_OUTPUTS"
MOST_BYTES = 8 * 10**9  # where the user names no limit, and never more than a quarter of the free disk
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def limit_bytes() -> int:
    """How much may be kept on disk: what POSTTRAIN_LOWER_OUTPUTS says (`20GB`; 0: nothing). Raises InputError."""
    text = os.environ.get(LIMIT, "").strip()
    if not text:
        return min(MOST_BYTES, free_bytes(home()) // 4)
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?)B?", text.upper(), re.ASCII)
    if found is None:
        raise InputError(f"{LIMIT} is '{text}': write it as 500MB or 20GB, 0 for nothing, or unset it")
    return int(float(found[1]) * UNITS[found[2]])


class LowerOutputs:
    """Hands the lower layers' output to a model: from the store, or computed once and put there."""

    def __init__(
        self, run: Callable[..., Any], model: Any, family: Family, params: SftParams, probe: dict[str, torch.Tensor]
    ) -> None:
        """`run` runs the model's body as a step does; `probe` are rows, laid out. Raises NotKept with a reason."""
        if params.neftune:
            raise NotKept("neftune adds noise to the embeddings")
        limit = limit_bytes()
        if not limit:
            raise NotKept(f"{LIMIT} is 0")
        self.inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.lower = Lower(run, frozen_layers(self.inner, family))
        self.store = ByteStore(home() / FOLDER, limit)
        self.computed = self.read = 0  # rows
        with _evaluating(model):
            rows = rows_of(probe)
            outputs = {key_of(row): self._alone(row) for row in rows}
            check(self.lower, model, probe, _laid_out([outputs[key_of(row)] for row in rows], probe))
        first = next(iter(outputs.values()))
        self.width, self.dtype, self.device = first.shape[-1], first.dtype, first.device
        self.group = _fingerprint(self.inner, self.lower, family, [str(self.dtype), str(self.device)])

    @contextlib.contextmanager
    def handed(self, inputs: dict[str, torch.Tensor]) -> Iterator[None]:
        """Within it the lower layers' output for these rows is handed in."""
        with self.lower.handed(self._of(inputs)):
            yield

    def _of(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """The lower layers' output for rows that are laid out as in `inputs`."""
        rows = rows_of(inputs)
        wanted = {key_of(row): row for row in rows}
        found = {key: self._read(key, len(row)) for key, row in wanted.items()}
        outputs = {key: output for key, output in found.items() if output is not None}
        missing = {key: row for key, row in wanted.items() if key not in outputs}
        self.read += len(outputs)
        self.computed += len(missing)
        if missing:
            with _evaluating(self.inner):
                made = {key: self._alone(row) for key, row in missing.items()}
            self.store.write(self.group, {key: _bytes(output) for key, output in made.items()})
            outputs |= made
        return _laid_out([outputs[key_of(row)] for row in rows], inputs)

    def _read(self, key: str, length: int) -> torch.Tensor | None:
        data = self.store.read(self.group, key)
        if data is None or len(data) != length * self.width * self.dtype.itemsize:
            return None
        return torch.frombuffer(bytearray(data), dtype=self.dtype).view(length, self.width).to(self.device)

    @torch.no_grad()
    def _alone(self, row_L: torch.Tensor) -> torch.Tensor:
        return self.lower.output(input_ids=row_L[None])[0]


# ---------------------------------------------------------------- rows


def rows_of(inputs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """The token ids of each row, taken out of a batch that is padded on the right or laid end to end."""
    ids_BxL = inputs["input_ids"]
    if "position_ids" not in inputs:
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        return [ids[:length] for ids, length in zip(ids_BxL, lengths, strict=True)]
    begins = (inputs["position_ids"][0] == 0).nonzero()[:, 0].tolist()
    ends = [*begins[1:], ids_BxL.shape[1]]
    return [ids_BxL[0, begin:end] for begin, end in zip(begins, ends, strict=True)]


def _laid_out(outputs: list[torch.Tensor], inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Rows' outputs where their tokens stand; zeros at padding, which nothing sees."""
    if "position_ids" in inputs:
        return torch.cat(outputs)[None]
    batch, width = inputs["input_ids"].shape
    laid = outputs[0].new_zeros(batch, width, outputs[0].shape[-1])
    for number, output in enumerate(outputs):
        laid[number, : len(output)] = output
    return laid


def key_of(row_L: torch.Tensor) -> str:
    """Stands for a row by its token ids."""
    return hashlib.blake2b(row_L.cpu().numpy().astype(np.int64).tobytes(), digest_size=16).hexdigest()


def _bytes(output: torch.Tensor) -> bytes:
    return output.contiguous().cpu().view(torch.uint8).numpy().tobytes()


# ---------------------------------------------------------------- what decides the outputs


def _fingerprint(inner: Any, lower: Lower, family: Family, further: list[str]) -> str:
    """Stands for all that the lower layers' output of a row depends on: weights, model, libraries, kind of arithmetic.

    How many threads computed it is part of that: matrix products differ in their last bits by it.
    """
    config = {name: value for name, value in inner.config.to_dict().items() if name != "_name_or_path"}
    decides = [
        FORMAT, torch.__version__, transformers.__version__, type(inner).__name__, len(lower.layers), *further,
        torch.backends.cpu.get_cpu_capability(), torch.get_num_threads(), torch.is_autocast_enabled(inner.device.type),
        str(getattr(inner.config, "_attn_implementation", "")), json.dumps(config, sort_keys=True, default=str),
    ]  # fmt: skip
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # hashing lets others run
        sums = list(pool.map(_summed, _decisive(inner, lower, family)))
    return hashlib.blake2b(json.dumps([decides, sums]).encode(), digest_size=16).hexdigest()


def _decisive(inner: Any, lower: Lower, family: Family) -> list[tuple[str, torch.Tensor]]:
    """The frozen tensors outside the upper layers."""
    stack = _parts.layers(inner, family)[1]
    upper = {id(t) for layer in stack[len(lower.layers) :] for t in (*layer.parameters(), *layer.buffers())}
    tensors = [*inner.named_parameters(), *inner.named_buffers()]
    return sorted(
        (name, tensor)
        for name, tensor in tensors
        if id(tensor) not in upper and not tensor.requires_grad and not _parts.excluded(name, family)
    )


def _summed(named: tuple[str, torch.Tensor]) -> list[Any]:
    name, tensor = named
    flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return [name, str(tensor.dtype), list(tensor.shape), hashlib.blake2b(flat, digest_size=16).hexdigest()]


@contextlib.contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Without dropout, however the model is at the moment."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
