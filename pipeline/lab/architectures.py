"""Tiny models in the families' own architecture classes."""

from __future__ import annotations

from typing import Any

import torch
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    Qwen3Config,
    Qwen3ForCausalLM,
    SmolLM3Config,
    SmolLM3ForCausalLM,
)

from pipeline.errors import InputError
from pipeline.lab.scale import Scale


def make(family: str, scale: Scale, tokenizer: Any, seed: int) -> Any:
    """A model with random weights for `family`, sized by `scale`, seeded."""
    head = scale.hidden // scale.heads
    common = {
        "vocab_size": len(tokenizer),
        "hidden_size": scale.hidden,
        "intermediate_size": 3 * scale.hidden,
        "num_hidden_layers": scale.layers,
        "num_attention_heads": scale.heads,
        "num_key_value_heads": scale.key_value_heads,
        "max_position_embeddings": scale.context,
        "initializer_range": scale.initial_std,
        "tie_word_embeddings": True,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    torch.manual_seed(seed)
    if family == "qwen3":
        return Qwen3ForCausalLM(Qwen3Config(head_dim=head, **common))
    if family == "smollm3":
        return SmolLM3ForCausalLM(SmolLM3Config(no_rope_layer_interval=2, **common))
    if family == "gemma3":
        # as in the big ones: most layers look back a window only, the last one over everything
        layers = ["sliding_attention"] * (scale.layers - 1) + ["full_attention"]
        config = Gemma3TextConfig(
            head_dim=head, query_pre_attn_scalar=head, sliding_window=128, layer_types=layers, **common
        )
        return Gemma3ForCausalLM(config)
    raise InputError(f"no lab model of family '{family}': add its tiny architecture to pipeline/lab/architectures.py")
