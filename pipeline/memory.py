"""How much memory training takes, by method: a formula, so that it can be told before anything is fetched.

What it counts, in bytes:

- full tuning: 16 for each parameter, float32 weights, gradients and AdamW's two moments (the sum that ZeRO's 2 + 2 + 12
  of mixed precision comes to as well: Rajbhandari et al. 2020, section 3.1);
- LoRA: 2 for each frozen parameter, in bfloat16, and 16 for each parameter of the adapter, r * (inputs + outputs) of
  each linear layer; with trained embeddings 16 for each of theirs, too;
- activations with checkpointing: each layer's input, 2 * tokens * hidden, and one layer's inside while it is computed
  again, 34 * tokens * hidden (Korthikanti et al. 2022, equation 2 without the attention matrix, which SDPA does not
  keep);
- logits: at most 2**27 numbers at once (as the trainer cuts them), in float32, three times: values, log-probabilities,
  gradients.

Not counted: the CUDA context, fragmentation, an image tower's activations (none are trained).
"""

from __future__ import annotations

from typing import Literal

from pipeline.family import Pair, Shape

Method = Literal["lora", "lora_embeddings", "full"]
METHODS: tuple[Method, ...] = ("lora", "lora_embeddings", "full")
RANK = 16
TOKENS = 8 * 1024  # that one forward pass sees: 8 rows of 1,024
LOGITS = 2**27
TRAINED, FROZEN = 16, 2  # bytes per parameter


def training_bytes(pair: Pair, method: Method, rank: int = RANK, tokens: int = TOKENS) -> int:
    """Bytes of memory that training a model of the pair takes at its peak, by the module's formula."""
    if method == "full":
        weights = TRAINED * pair.parameters
    else:
        trained = adapter_parameters(pair.shape, rank)
        trained += embedding_parameters(pair.shape) if method == "lora_embeddings" else 0
        weights = FROZEN * pair.parameters + TRAINED * trained
    return weights + activation_bytes(pair.shape, tokens)


def activation_bytes(shape: Shape, tokens: int) -> int:
    """Bytes of what a forward pass over `tokens` tokens keeps for the backward one, logits included."""
    kept, inside = 2 * shape.layers, 34
    logits = min(LOGITS, tokens * shape.vocabulary)
    return (kept + inside) * tokens * shape.hidden + 3 * 4 * logits


def adapter_parameters(shape: Shape, rank: int) -> int:
    """Parameters of a LoRA adapter on all linear layers."""
    return rank * shape.layers * sum(inputs + outputs for inputs, outputs in linear_layers(shape))


def embedding_parameters(shape: Shape) -> int:
    """Parameters of the embeddings, both sides."""
    return shape.vocabulary * shape.hidden * (1 if shape.tied else 2)


def embedding_share(pair: Pair) -> dict[str, float]:
    """The share of the embeddings in a model's parameters and, by method, in the memory that training it takes.

    Small models of large vocabularies are mostly embeddings. Their logits (see above) are not in it: they are the other
    thing that a vocabulary costs.
    """
    rows = embedding_parameters(pair.shape)
    each = {"lora": FROZEN, "lora_embeddings": FROZEN + TRAINED, "full": TRAINED}
    shares = {str(method): each[method] * rows / training_bytes(pair, method) for method in METHODS}
    return {"parameters": rows / pair.parameters, **shares}


def parameters(shape: Shape) -> int:
    """Parameters of embeddings and linear layers: all but the norms and what is no decoder, under 1% of a big model."""
    matrices = shape.layers * sum(inputs * outputs for inputs, outputs in linear_layers(shape))
    return matrices + embedding_parameters(shape)


def linear_layers(shape: Shape) -> list[tuple[int, int]]:
    """(inputs, outputs) of one decoder layer's matrices: queries, keys, values, output, gate, up, down."""
    hidden, wide = shape.hidden, shape.intermediate
    queries, keys = shape.heads * shape.head_dim, shape.key_value_heads * shape.head_dim
    attention = [(hidden, queries), (hidden, keys), (hidden, keys), (queries, hidden)]
    return [*attention, (hidden, wide), (hidden, wide), (wide, hidden)]
