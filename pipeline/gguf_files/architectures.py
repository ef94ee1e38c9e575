"""Which GGUF architectures become which transformers models, and what llama.cpp changed in their weights.

Facts: llama.cpp's convert_hf_to_gguf.py, whose changes are undone here.
"""

from __future__ import annotations

from dataclasses import dataclass

ROPE_FREQUENCIES = "rope_freqs.weight"  # no weight: Llama 3.1's stretched positions, as factors


@dataclass(frozen=True)
class Architecture:
    """How a GGUF architecture becomes a transformers model."""

    model_type: str
    is_permuted: bool = False  # rows of queries and keys lie in pairs, as llama.cpp rotates them
    norm_offset: float = 0.0  # what was added to the weights of norms
    has_head_size: bool = True  # config.json may hold head_dim
    is_gemma: bool = False  # windows, soft caps, a scale of its own


ARCHITECTURES = {
    "llama": Architecture("llama", is_permuted=True),
    "smollm3": Architecture("smollm3", is_permuted=True),
    "qwen2": Architecture("qwen2", has_head_size=False),
    "qwen3": Architecture("qwen3"),
    "gemma2": Architecture("gemma2", norm_offset=1.0, is_gemma=True),
    "gemma3": Architecture("gemma3_text", norm_offset=1.0, is_gemma=True),
}
