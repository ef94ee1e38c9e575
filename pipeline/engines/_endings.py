"""The likelihood of many endings after one prompt: the prompt is read once, its cache is shared by all of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch


def scored(model: Any, prompt: list[int], endings: Sequence[list[int]], at_once: int) -> list[float]:
    """Log-probability of each of `endings`, token ids, none of them empty, after `prompt`.

    `at_once` bounds the endings whose logits are held in memory together.
    """
    read = model(input_ids=torch.tensor([prompt], device=model.device), use_cache=True, logits_to_keep=1)
    first_V = torch.log_softmax(read.logits[0, -1].float(), -1)
    found: list[float] = []
    for begin in range(0, len(endings), at_once):
        some = endings[begin : begin + at_once]
        found += _some(model, read.past_key_values, len(prompt), first_V, some)
    return found


def _some(model: Any, cache: Any, read: int, first_V: torch.Tensor, endings: Sequence[list[int]]) -> list[float]:
    width = max(map(len, endings)) - 1
    totals = [float(first_V[ending[0]]) for ending in endings]
    if not width:
        return totals
    # what pads a row on its right is seen by nothing that is scored
    ids_RxW = torch.tensor([ending[:-1] + [0] * (width - len(ending) + 1) for ending in endings], device=model.device)
    shared = copy.deepcopy(cache)
    shared.batch_repeat_interleave(len(endings))
    positions = torch.arange(read, read + width, device=model.device).expand(len(endings), -1)
    logits = model(input_ids=ids_RxW, position_ids=positions, past_key_values=shared, use_cache=True).logits
    scores_RxWxV = torch.log_softmax(logits.float(), -1)
    for row, ending in enumerate(endings):
        wanted = torch.tensor(ending[1:], device=model.device)[:, None]
        totals[row] += float(scores_RxWxV[row, : len(ending) - 1].gather(1, wanted).sum())
    return totals
