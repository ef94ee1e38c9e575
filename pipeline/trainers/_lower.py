"""The layers below the lowest trained one: run alone up to their end, or left out, their output handed in instead.

What is frozen gives the same output for the same row at every step, so it need be computed once. The model's own
forward pass stays in charge of embeddings, positions and masks, whatever its class: only the lower layers' forward
methods are replaced. Causal attention and padding on the right make a row's output independent of its neighbours.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from pipeline.family import Family
from pipeline.trainers import _parts

TOLERANCES = {torch.float32: 1e-3}  # largest difference over the typical size, where outputs are handed in
DROPPING = ("dropout", "pdrop", "layerdrop")  # what a module calls the share that it drops at random
COARSE = 0.1  # for other dtypes; what is really wrong differs by about 1


class NotKept(Exception):
    """Why the lower layers' output has to be computed anew at every step."""


class _Reached(Exception):
    """The end of the lower layers: nothing above them need be run."""

    def __init__(self, returned: Any) -> None:
        super().__init__()
        self.returned = returned


class Lower:
    """The lower layers of a model that `run` runs, as the trainer does: keyword arguments, first result compared."""

    def __init__(self, run: Callable[..., Any], layers: Sequence[nn.Module]) -> None:
        self.run, self.layers = run, layers
        self._handed: torch.Tensor | None = None
        self._stops = False
        self._returns: int | None = None  # values in the tuple that a layer returns; None: the hidden states alone
        for layer in layers:
            layer.forward = self._steered(layer.forward, layer is layers[-1])

    def _steered(self, forward: Callable[..., Any], is_last: bool) -> Callable[..., Any]:
        @functools.wraps(forward)
        def steered(*args: Any, **kwargs: Any) -> Any:
            if self._handed is not None:
                return self._returned(self._handed if is_last else (args[0] if args else kwargs["hidden_states"]))
            result = forward(*args, **kwargs)
            if self._stops and is_last:
                raise _Reached(result)
            return result

        return steered

    def _returned(self, hidden: torch.Tensor) -> Any:
        return hidden if self._returns is None else (hidden, *[None] * (self._returns - 1))

    def output(self, **inputs: torch.Tensor) -> torch.Tensor:
        """The hidden states after the last of them. Raises NotKept if the model does not run layer by layer."""
        self._stops = True
        try:
            self.run(**inputs, use_cache=False)
        except _Reached as reached:
            returned = reached.returned
        else:
            raise NotKept("the model does not run its layers one after the other")
        finally:
            self._stops = False
        self._returns = len(returned) if isinstance(returned, tuple) else None
        hidden: torch.Tensor = returned if self._returns is None else returned[0]
        return hidden

    @contextlib.contextmanager
    def handed(self, hidden_BxLxD: torch.Tensor) -> Iterator[None]:
        """Within it the layers do nothing: their output is `hidden_BxLxD`."""
        self._handed = hidden_BxLxD
        try:
            yield
        finally:
            self._handed = None


def frozen_layers(inner: Any, family: Family) -> Sequence[nn.Module]:
    """The decoder layers below the lowest trained one. Raises NotKept if there are none, or they draw at random."""
    stack = list(_parts.layers(inner, family)[1])
    trained = [number for number, layer in enumerate(stack) if any(p.requires_grad for p in layer.parameters())]
    if not trained:
        raise NotKept("no layer is trained")
    if trained[0] == 0:
        raise NotKept("the lowest layer is trained, too: set layers to upper_half or to a number of upper layers")
    upper = {id(module) for layer in stack[trained[0] :] for module in layer.modules()}
    below = {name: module for name, module in inner.named_modules() if id(module) not in upper}
    if any(drops(module) for name, module in below.items() if not _parts.excluded(name, family)):
        raise NotKept("the model has a dropout of its own in its frozen layers")
    return stack[: trained[0]]


def drops(module: nn.Module) -> bool:
    """Whether a module drops values when it is trained, by a layer for that or by a number of its own."""
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p > 0
    marks = [value for name, value in vars(module).items() if any(word in name for word in DROPPING)]
    return any(isinstance(value, float) and value > 0 for value in marks)


def check(lower: Lower, model: Any, inputs: dict[str, torch.Tensor], together: torch.Tensor) -> None:
    """Raise NotKept unless rows computed each alone (`together`, as they are laid out in `inputs`) may be handed in.

    That is wrong where something below is trained, where a row's output depends on others, and where the upper layers
    read more than the output of the layer below them.
    """
    with torch.enable_grad():
        hidden = lower.output(**inputs)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if hidden.requires_grad:
            found = torch.autograd.grad(hidden.float().sum(), trained, allow_unused=True)
            if any(gradient is not None for gradient in found):
                raise NotKept("weights below the layers are trained, such as embeddings")
    seen = _seen(inputs)
    with torch.no_grad():
        expected = lower.run(**inputs, use_cache=False)[0][seen].float()
        with lower.handed(together):
            found = lower.run(**inputs, use_cache=False)[0][seen].float()
    if not alike(expected, found, together.dtype):
        raise NotKept(f"{type(model).__name__}: its upper layers need more than the output of the one below them")


def alike(expected: torch.Tensor, found: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether two hidden states, in float32 here, are the same but for the rounding of `dtype`, in which they arose."""
    tolerance = TOLERANCES.get(dtype, COARSE) * expected.square().mean().sqrt()
    return bool((expected - found).abs().max() <= tolerance)


def _seen(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """The positions that are not padding."""
    mask = inputs.get("attention_mask")
    return torch.ones_like(inputs["input_ids"], dtype=torch.bool) if mask is None else mask.bool()
