"""Muon for the matrices inside a tiny model: steps of momentum, made orthogonal by five Newton-Schulz iterations.

The method and its constants are Keller Jordan's (kellerjordan.github.io/posts/muon). PyTorch has it as
torch.optim.Muon, which iterates in bfloat16, matrix by matrix; matrices of one shape are taken together here, in their
own dtype, because processors without bfloat16 instructions are many times slower in it.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
MOMENTUM = 0.95


def orthogonal(matrices_NxRxC: torch.Tensor) -> torch.Tensor:
    """About the nearest matrix with all singular values 1, for each of N: they end between 0.7 and 1.2."""
    a, b, c = COEFFICIENTS
    tall = matrices_NxRxC.shape[-2] > matrices_NxRxC.shape[-1]
    found = matrices_NxRxC.mT if tall else matrices_NxRxC
    found = found / (found.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        square = found @ found.mT
        found = a * found + (b * square + c * square @ square) @ found
    return found.mT if tall else found


class Muon:
    """Steps matrices of any shapes; `rate` is the size of a step's singular values, for matrices wider than tall."""

    def __init__(self, matrices: Iterable[torch.nn.Parameter], weight_decay: float) -> None:
        self.weight_decay = weight_decay
        self.groups: dict[torch.Size, list[torch.nn.Parameter]] = {}
        for matrix in matrices:
            self.groups.setdefault(matrix.shape, []).append(matrix)
        self.momentum = {
            shape: torch.zeros(len(group), *shape, dtype=group[0].dtype) for shape, group in self.groups.items()
        }

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One step against the gradients, with Nesterov momentum."""
        for shape, group in self.groups.items():
            gradients = torch.stack([matrix.grad for matrix in group if matrix.grad is not None])
            momentum = self.momentum[shape].lerp_(gradients, 1 - MOMENTUM)
            updates = orthogonal(gradients.lerp(momentum, MOMENTUM)) * max(1.0, shape[0] / shape[1]) ** 0.5
            for matrix, update in zip(group, updates, strict=True):
                matrix.mul_(1 - rate * self.weight_decay).add_(update, alpha=-rate)
