"""A cache of keys and values with room to grow in: a further token is written beside those that are there.

transformers' own dynamic layers join old and new in fresh memory at every token, which takes a third of the time of a
step on a CPU: all that was ever read is copied to add one position.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

LEAST_ROOM = 32  # tokens that memory is taken for ahead of need, and ...
SHARE = 4  # ... at least this part of what is there: a long answer is moved a few times, not at every token


class _Room:
    """Memory for tokens, [rows, heads, tokens, width], which is filled from its beginning."""

    def __init__(self) -> None:
        self.memory = self.held = torch.empty(0)
        self.end = 0

    def joined(self, held: torch.Tensor, new: torch.Tensor, window: int | None = None) -> torch.Tensor:
        """What is held and what is new, in one tensor. `self.held` is what of it the next call has to hand in.

        With `window` only its last tokens but one stay held. What the room did not hand out itself is copied first: so
        rows may be dropped, repeated or cropped in between.
        """
        count, more = held.shape[-2], new.shape[-2]
        if held is not self.held or self.end + more > self.memory.shape[-2]:
            tokens = count + more + max(LEAST_ROOM, count // SHARE)
            self.memory = new.new_empty(*new.shape[:-2], tokens, new.shape[-1])
            self.memory[..., :count, :] = held
            self.end = count
        self.memory[..., self.end : self.end + more, :] = new
        self.end += more
        whole = self.memory[..., self.end - count - more : self.end, :]
        self.held = whole if window is None else whole[..., -window + 1 :, :]
        return whole


class _Roomy:
    """What layers with room share: they lie before transformers' own layer in the order of classes."""

    keys: torch.Tensor
    values: torch.Tensor
    key_room: _Room
    value_room: _Room

    def grow(
        self, new_keys: torch.Tensor, new_values: torch.Tensor, window: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values with the new ones; of them the layer holds on to what `window` sees."""
        keys = self.key_room.joined(self.keys, new_keys, window)
        values = self.value_room.joined(self.values, new_values, window)
        self.keys, self.values = self.key_room.held, self.value_room.held
        return keys, values


class RoomyLayer(_Roomy, DynamicLayer):
    """A layer that keeps every token."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *rest: Any, **more: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of all tokens so far, after these have been added."""
        return self.grow(key_states, value_states)


class RoomyWindowLayer(_Roomy, DynamicSlidingWindowLayer):
    """A layer that keeps the last tokens, as many as its window sees."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *rest: Any, **more: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values that these tokens see, after they have been added."""
        self.cumulative_length += key_states.shape[-2]
        return self.grow(key_states, value_states, self.sliding_window)


ROOMY = {DynamicLayer: RoomyLayer, DynamicSlidingWindowLayer: RoomyWindowLayer}


def with_room(cache: Any) -> Any:
    """The cache of a model's first pass, its layers given room; a layer of any other kind stays as it is."""
    for number, layer in enumerate(getattr(cache, "layers", ())):
        kind = ROOMY.get(type(layer))
        if kind is None or not layer.is_initialized or getattr(layer, "record_past", False):
            continue
        roomy: Any = kind.__new__(kind)
        roomy.__dict__.update(layer.__dict__)
        roomy.key_room, roomy.value_room = _Room(), _Room()
        cache.layers[number] = roomy
    return cache
