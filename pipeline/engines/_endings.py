"""The likeliest of many endings after one prompt: the prompt is read once, its cache is shared by all of them."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch

from pipeline.engines import _shared
from pipeline.errors import InputError


def likeliest(model: Any, prompt: list[int], endings: Sequence[list[int]], at_once: int) -> int:
    """The number of the likeliest of `endings`, token ids, none of them empty, after `prompt`.

    Those that fall behind with their first token are not read to their end; `at_once` bounds the endings whose logits
    are held in memory together.
    """
    cache, first_V = _read(model, prompt)
    bounds = [float(first_V[ending[0]]) for ending in endings]  # every further token only lowers them
    order = sorted(range(len(endings)), key=lambda number: -bounds[number])
    best, winner = -math.inf, order[0]
    for begin in range(0, len(order), at_once):
        some = [number for number in order[begin : begin + at_once] if bounds[number] >= best]
        if not some:
            break
        scores = _some(model, cache, len(prompt), first_V, [endings[number] for number in some])
        leader = max(range(len(some)), key=scores.__getitem__)
        if scores[leader] > best:
            best, winner = scores[leader], some[leader]
    return winner


def _read(model: Any, prompt: list[int]) -> tuple[Any, torch.Tensor]:
    read = model(input_ids=torch.tensor([prompt], device=model.device), use_cache=True, logits_to_keep=1)
    if not _shared.is_plain(read.past_key_values):
        raise InputError(f"{type(model).__name__}: it keeps more than keys and values: no endings are compared with it")
    return read.past_key_values, torch.log_softmax(read.logits[0, -1].float(), -1)


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
