"""The parts of a loaded model by what they are, whatever its class calls them: decoder layers, matrices, embeddings."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from pipeline.errors import TrainError
from pipeline.family import Family

TIED_BY_NAME = frozenset(("embed_tokens", "lm_head"))  # PEFT's own list of what ensure_weight_tying knows
# An embedding row that no gradient ever told from others lies along the direction that all such rows share (Land and
# Bartolo 2024, "Fishing for Magikarp", find under-trained tokens by it). In the lab's bases the turn tokens' cosine to
# their nearest row is 1.00, after tuning on a million tokens 0.96; in SmolLM2-135M-Instruct, read from 4 bits, that of
# the turn tokens is 0.991 and 0.993, that of tokens that nobody ever used 1.0000.
SAME_DIRECTION = 0.997


def layers(model: Any, family: Family) -> tuple[str, nn.ModuleList]:
    """Name and list of the decoder layers of the text model. Raises TrainError if there is no such list."""
    count = int(model.config.get_text_config().num_hidden_layers)
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count and not excluded(name, family):
            return name, module
    raise TrainError(f"{type(model).__name__} has no list of {count} layers: it cannot be tuned here")


def excluded(name: str, family: Family) -> bool:
    """Whether a module or parameter belongs to what is not tuned, such as an image tower."""
    return family.lora_exclude is not None and re.fullmatch(family.lora_exclude, name) is not None


def matrices(model: Any, family: Family, attention_only: bool = False) -> list[str]:
    """The decoder layers' linear modules, by last names, or attention's by their places in a layer."""
    stack = layers(model, family)[1]
    linear = [
        name for layer in stack for name, module in layer.named_modules() if isinstance(module, nn.Linear | Conv1D)
    ]
    if attention_only:
        found = [name for name in linear if any("att" in part.lower() for part in name.split(".")[:-1])]
    else:
        found = [name.rpartition(".")[2] for name in linear]
    if not found:
        raise TrainError(f"{type(model).__name__}: no linear modules found in its layers: name them in `targets`")
    return list(dict.fromkeys(found))


def embeddings(model: Any) -> dict[str, Any]:
    """The input and, where it is another matrix, the output embedding, by the last part of their names.

    Of a tied model the input side alone, unless PEFT would not know it by its name: then both, and it ties them.
    Raises TrainError if it knows neither of two that are tied.
    """
    ends = [module for module in (model.get_input_embeddings(), model.get_output_embeddings()) if module is not None]
    found = {name.rpartition(".")[2]: module for name, module in model.named_modules() for end in ends if module is end}
    if not is_tied(model):
        return found
    source = next(name for name, module in found.items() if module is ends[0])
    if source in TIED_BY_NAME:
        return {source: ends[0]}
    if not TIED_BY_NAME & set(found):
        raise TrainError(f"{type(model).__name__}: its tied embeddings would come apart: set embeddings: false")
    return found


def is_tied(model: Any) -> bool:
    """Whether input and output embeddings are one matrix."""
    output = model.get_output_embeddings()
    return output is not None and output.weight is model.get_input_embeddings().weight


@torch.no_grad()
def is_unseen(model: Any, token: int) -> bool:
    """Whether pre-training never told a token from other unused ones, by the row that predicts it."""
    rows = (model.get_output_embeddings() or model.get_input_embeddings()).weight
    row = rows[token].float()
    if not bool(row.any()):
        return True
    lengths = rows.float().norm(dim=-1).clamp(min=1e-12)
    cosines = (rows.float() @ row) / (lengths * row.norm())
    cosines[token] = -1.0
    return bool(cosines.max() >= SAME_DIRECTION)
