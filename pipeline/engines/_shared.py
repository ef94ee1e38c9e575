"""The beginning that all prompts of a batch share, such as worked examples: read once, its cache given to every row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

LEAST_TOKENS = 16  # shorter ones gain nothing
LEAST_SAVED = 0.1  # of all prompts' tokens: reading it apart costs a pass of its own
PLAIN = {"full_attention", "sliding_attention"}


def length(model: Any, prompts: Sequence[list[int]], room: int) -> int:
    """Tokens at the start that all prompts have in common, each with one or more after them; 0 where it gains nothing.

    `room` is how many tokens an answer may have. Rows are padded behind what they share. Where a layer sees only a
    window, padding would push the beginning out of it too early: such models share only what their window holds whole.
    """
    least = min(prompts, key=len)
    common = next((n for n in range(len(least) - 1) if any(ids[n] != least[n] for ids in prompts)), len(least) - 1)
    saved = common * (len(prompts) - 1)
    if common < LEAST_TOKENS or saved < LEAST_SAVED * sum(map(len, prompts)):
        return 0
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    window = getattr(config, "sliding_window", None)
    is_whole = not window or max(map(len, prompts)) + room <= window
    return common if kinds <= PLAIN and is_whole else 0


def read(model: Any, tokens: list[int], rows: int) -> DynamicCache | None:
    """The cache of a beginning, for `rows` rows; None for a model whose cache is not of keys and values alone."""
    ids = torch.tensor([tokens], device=model.device)
    cache = model(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values
    if not is_plain(cache):
        return None
    cache.batch_repeat_interleave(rows)
    return cache


def is_plain(cache: Any) -> bool:
    """Whether a cache holds keys and values alone, of which every row may have a copy."""
    return isinstance(cache, DynamicCache) and all(isinstance(layer, DynamicLayer) for layer in cache.layers)
