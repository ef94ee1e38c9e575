"""How many search items a look at a model may have, so that looking does not eat the budget. Pure arithmetic.

On a CPU, scoring all of a benchmark's search items with a real model can take longer than the whole search. A part of
them tells less exactly, but tells it in time; final items are never fewer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from pipeline.machine import Machine

LOOK_SHARE = 0.1  # of the budget, for one look
LEAST_ITEMS = 32  # fewer tell too little
CHARACTERS = 3.0  # per token, of prompts
ANSWER_TOKENS = 96  # that a trained model's answer takes, roughly; fewer where fewer are allowed
DECODING = 3.0  # a token that is generated costs as much as so many that are read
REACHED = 0.7  # of the speed of matrix products
SMALLEST = 20_000_000  # parameters: smaller models are scored in no time


def item_seconds(machine: Machine, parameters: int, items: Sequence[dict[str, Any]], max_tokens: int) -> float:
    """About what one item takes: two operations per parameter and token, at the speed of this machine's CPU."""
    speeds = [value for name, value in machine.gflops.items() if name.startswith(f"matmul {machine.dtype}")]
    if not speeds or not items:
        return 0.0
    prompt = sum(len(json.dumps(item, default=str)) for item in items) / len(items) / CHARACTERS
    tokens = prompt + DECODING * min(ANSWER_TOKENS, max_tokens)
    return 2 * parameters * tokens / (REACHED * max(speeds) * 1e9)


def affordable(
    machine: Machine, parameters: int | None, items: Sequence[dict[str, Any]], max_tokens: int, seconds: float | None
) -> int | None:
    """How many items a look may have; None for all of them. `seconds`: the budget, if it has any."""
    if machine.device != "cpu" or seconds is None or parameters is None or parameters < SMALLEST:
        return None
    each = item_seconds(machine, parameters, items, max_tokens)
    if each * len(items) <= LOOK_SHARE * seconds:
        return None
    wanted = max(LEAST_ITEMS, math.floor(LOOK_SHARE * seconds / each))
    return wanted if wanted < len(items) else None
