"""The beginning that all rows of a micro-batch share, such as a template's system turn: run once, not once a row.

Causal attention makes the hidden states of a prefix independent of what follows, so all rows may read one copy of its
keys and values, and gradients flow back into it summed over the rows: the same loss and gradients, to rounding.
With a dropout they would not be: each row draws its own.
"""

from __future__ import annotations

from typing import Any

import torch

from pipeline.trainers._lower import alike, drops

LEAST_TOKENS = 8  # of a prefix; shorter ones gain nothing
LEAST_SAVED = 0.08  # of a micro-batch's tokens: it costs a second pass through the layers, of small products


def length(inputs: dict[str, torch.Tensor], labels_BxL: torch.Tensor) -> int:
    """Tokens at the start that all rows have in common and that no loss needs; 0 where sharing them gains nothing."""
    ids_BxL, mask_BxL = inputs["input_ids"], inputs.get("attention_mask")
    rows, width = ids_BxL.shape
    if rows < 2 or mask_BxL is None:
        return 0
    same_L = (ids_BxL == ids_BxL[0]).all(0) & mask_BxL.bool().all(0)
    common = int(same_L.int().cumprod(0).sum())
    trained_L = (labels_BxL != -100).any(0)
    first = int(trained_L.int().argmax()) if bool(trained_L.any()) else width
    # the state before the first trained token predicts it, and is therefore none of the prefix's
    found = min(common, first - 1, width - 1)
    return found if found >= LEAST_TOKENS and found * (rows - 1) >= LEAST_SAVED * rows * width else 0


def hidden(body: Any, inputs: dict[str, torch.Tensor], shared: int) -> torch.Tensor:
    """The hidden states BxLxD of `inputs` with the first `shared` tokens run once; theirs are 0: no loss needs them."""
    ids_BxL = inputs["input_ids"]
    rows, width = ids_BxL.shape
    cache = body(input_ids=ids_BxL[:1, :shared], use_cache=True).past_key_values
    cache.batch_repeat_interleave(rows)
    positions_BxS = torch.arange(shared, width, device=ids_BxL.device).expand(rows, -1)
    found_BxSxD = body(
        input_ids=ids_BxL[:, shared:],
        attention_mask=inputs["attention_mask"],
        position_ids=positions_BxS,
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    return torch.nn.functional.pad(found_BxSxD, (0, 0, shared, 0))


@torch.no_grad()
def why_not(body: Any, inputs: dict[str, torch.Tensor], shared: int) -> str:
    """Why a model's rows cannot share a prefix, seen on two rows of a micro-batch; empty if they can."""
    inputs = {name: tensor[:2] for name, tensor in inputs.items()}
    if any(drops(module) for module in body.modules()):
        return "it has a dropout"
    try:
        found = hidden(body, inputs, shared)[:, shared:]
    except Exception as error:  # a class without a cache of keys and values, or with one of another kind
        return f"it has no cache that rows can share ({type(error).__name__})"
    expected = body(**inputs, use_cache=False).last_hidden_state[:, shared:]
    seen = inputs["attention_mask"][:, shared:].bool()
    is_same = alike(expected[seen].float(), found[seen].float(), body.dtype)
    return "" if is_same else "its rows read more than keys and values"
