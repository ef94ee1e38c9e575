"""The mean of a stage's weights over its steps: what the last steps at a constant rate add of noise, it leaves out.

The weight of step t grows as t**POWER, so that the first steps are soon forgotten and no step has to know where the
run ends (polynomial-decay averaging: Shamir and Zhang 2013, "Stochastic gradient descent for non-smooth optimization",
section 4). A learning rate may then stay high to the last step, and a continuation goes on with both, weights and mean.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

POWER = 2  # about half of the mean comes from the last fifth of the steps, seven eighths from the last half
FILE = "average.safetensors"
COUNT = "steps averaged"


class Average:
    """The mean of a model's trained parameters; begun anew, or as a checkpoint left it.

    Of these alone: torch's AveragedModel copies the whole model, what is frozen, too.
    """

    def __init__(self, model: Any, checkpoint: Path | None = None) -> None:
        self._trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        # float32 whatever is trained in: a late step's share is smaller than what bfloat16 can add
        self._mean = {name: p.detach().float().clone() for name, p in self._trained.items()}
        self._count = 0
        if checkpoint is not None and (checkpoint / FILE).is_file():
            self._load(checkpoint / FILE)

    def add(self) -> None:
        """Take the parameters as a step left them."""
        self._count += 1
        share = (POWER + 1) / (self._count + POWER)
        now = [p.detach().float() for p in self._trained.values()]
        torch._foreach_lerp_(list(self._mean.values()), now, share)

    @torch.no_grad()
    def put(self) -> None:
        """Make the mean the model's parameters. Nothing happens where no step was taken."""
        for name, parameter in self._trained.items():
            parameter.copy_(self._mean[name])

    def save(self, folder: Path) -> None:
        """Into a checkpoint's folder, beside the weights."""
        count = {COUNT: torch.tensor(self._count)}
        save_file({name: mean.contiguous() for name, mean in self._mean.items()} | count, str(folder / FILE))

    def _load(self, file: Path) -> None:
        found = load_file(str(file))
        self._count = int(found.pop(COUNT))
        for name, mean in self._mean.items():
            mean.copy_(found[name])
