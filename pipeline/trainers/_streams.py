"""The rows of a micro-batch on several threads at once, each with a part of the rows and of the CPU.

A small model's step is many small operations, which gain little from a second core: what they gain is eaten by what
lies between them. Parts of the rows run side by side gain nearly all of it. Each thread differentiates the loss of its
own rows, and the gradients are added in the order of the rows: to rounding those of one pass, and the same whichever
thread was first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import nn

Inputs = dict[str, torch.Tensor]  # input_ids, attention_mask and labels BxL, padded on the right

LEAST_WIDTH = 256  # hidden size from which the operations outweigh the Python between them, which threads wait for
LEAST_TOKENS = 128  # of a part; for fewer its own pass through the layers costs more than it saves
MOST_AGAIN = 0.25  # of the tokens: more of a beginning that all rows share are not run again for every part


def pays(width: int, threads: int) -> bool:
    """Whether a model `width` wide may gain from rows on several of so many threads."""
    return threads > 1 and width >= LEAST_WIDTH


def number(mask_BxL: torch.Tensor, threads: int, shared: int = 0) -> int:
    """Parts into which a micro-batch should be split on so many threads; 1: none.

    `shared` tokens at the start of all rows would be run once if the rows stayed together.
    """
    rows, tokens = len(mask_BxL), int(mask_BxL.sum())
    parts = max(1, min(threads, rows, tokens // LEAST_TOKENS))
    return parts if shared * (parts - 1) <= MOST_AGAIN * (tokens - shared * (rows - 1)) else 1


def split(inputs: Inputs, parts: int) -> list[Inputs]:
    """The rows in `parts` runs of nearly equal size, each without the padding that only other rows need."""
    found = []
    for rows in torch.arange(len(inputs["attention_mask"])).tensor_split(parts):
        width = int(inputs["attention_mask"][rows].sum(1).max())
        found.append({name: tensor[rows, :width] for name, tensor in inputs.items()})
    return found


class Streams:
    """Threads that stay for a whole training."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rows")

    def add_gradients(
        self, loss_of: Callable[[Inputs], torch.Tensor], parts: Sequence[Inputs], parameters: Sequence[nn.Parameter]
    ) -> torch.Tensor:
        """The sum of the parts' losses, with its gradients added to those of `parameters`."""
        each = max(1, self.threads // len(parts))

        def differentiated(part: Inputs) -> tuple[torch.Tensor, Sequence[torch.Tensor | None]]:
            torch.set_num_threads(each)  # a thread's own; the matrix library's is for all of them
            loss = loss_of(part)
            return loss.detach(), torch.autograd.grad(loss, parameters, allow_unused=True)

        try:
            found = list(self._pool.map(differentiated, parts))
        finally:
            torch.set_num_threads(self.threads)
        for _, gradients in found:
            for parameter, gradient in zip(parameters, gradients, strict=True):
                _add(parameter, gradient)
        total: Any = sum(loss for loss, _ in found)
        return torch.as_tensor(total)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False)


def _add(parameter: nn.Parameter, gradient: torch.Tensor | None) -> None:
    if gradient is None:
        return
    if parameter.grad is None:
        parameter.grad = gradient.contiguous()
    else:
        parameter.grad.add_(gradient)
