"""What a GGUF file's metadata says of its model, as config.json says it.

Defaults are llama.cpp's own (llama-model.cpp). What a file says that has no place in config.json is refused: a model
that is nearly right would be scored as if it were right.
"""

from __future__ import annotations

import math
from typing import Any

from pipeline.errors import InputError
from pipeline.gguf_files.architectures import ARCHITECTURES, ROPE_FREQUENCIES
from pipeline.gguf_files.header import Header
from pipeline.gguf_files.weights import slices

ELSE = "name the model's Hub id or folder instead"
# GGUF key below the architecture -> name in config.json; all must be there
NEEDED = {
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
}
GEMMA = {
    "attention.sliding_window": "sliding_window",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
    "rope.freq_base_swa": "rope_local_base_freq",
}
GEMMA_27B_LAYERS = {"gemma2": 46, "gemma3": 62}  # there attention is scaled by other numbers than a head's size
WINDOWED, FULL = "sliding_attention", "full_attention"
TOKENS = {"bos_token_id": "bos", "eos_token_id": "eos", "pad_token_id": "padding"}
# what Llama 3.1's and 3.2's factors are made from: factor, low, high, original context
LLAMA3_STRETCHES = ((8.0, 1.0, 4.0, 8192), (32.0, 1.0, 4.0, 8192))


def check(header: Header) -> None:
    """Raises InputError, one line, if the file's model is none that can be converted. Reads hardly any weights."""
    path, metadata = header.path, header.metadata
    if metadata.get("general.type", "model") != "model":
        raise InputError(
            f"{path}: holds a {str(metadata['general.type'])[:20]}, not a model: name the model's own file"
        )
    if header.architecture not in ARCHITECTURES:
        named = f"'{header.architecture[:40]}'" if header.architecture else "that it does not name"
        known = ", ".join(ARCHITECTURES)
        raise InputError(f"{path}: a GGUF architecture {named} is not known, only {known}: {ELSE}")
    parts, experts = metadata.get("split.count", 1), header.get("expert_count", 0)
    if parts != 1:
        raise InputError(f"{path}: one of {parts} parts: join them with `llama-gguf-split --merge` and name the whole")
    if experts:
        raise _no_place(header, "a mixture of experts")
    if "token_embd.weight" not in header.tensors:
        raise InputError(f"{path}: holds no token embeddings: name a whole model's file")
    if not isinstance(metadata.get("tokenizer.ggml.tokens"), list):
        raise InputError(f"{path}: holds no tokenizer: name a file with one, or the model's folder")
    config(header)


def config(header: Header) -> dict[str, Any]:
    """What config.json says of the model. Raises InputError for what is missing, or has no place in it."""
    known, tensors = ARCHITECTURES[header.architecture], header.tensors
    found = {name: _number(header, key) for key, name in NEEDED.items()}
    heads = found["num_attention_heads"]
    if found["num_hidden_layers"] > len(tensors):
        raise InputError(
            f"{header.path}: {found['num_hidden_layers']} layers, but {len(tensors)} tensors: fetch it again"
        )
    head_size = header.get("attention.key_length", found["hidden_size"] // heads)
    rotated, valued = (header.get(key, head_size) for key in ("rope.dimension_count", "attention.value_length"))
    if rotated != head_size or valued != head_size:
        raise _no_place(header, f"heads of {head_size} numbers, {rotated} rotated, {valued} in values")
    if not known.has_head_size and head_size * heads != found["hidden_size"]:
        raise _no_place(header, f"heads of {head_size} numbers")
    found |= {
        "model_type": known.model_type,
        "num_key_value_heads": _number(header, "attention.head_count_kv", heads),
        "rope_theta": float(_number(header, "rope.freq_base", 10000.0)),
        "vocab_size": tensors["token_embd.weight"].shape[0],
        "tie_word_embeddings": "output.weight" not in tensors,
        **{name: header.metadata.get(f"tokenizer.ggml.{key}_token_id") for name, key in TOKENS.items()},
        **_stretch(header),
    }
    if known.has_head_size:
        found["head_dim"] = head_size
    if known.model_type == "llama":
        found["attention_bias"] = "blk.0.attn_q.bias" in tensors
    return found | (_gemma(header, head_size) if known.is_gemma else {})


def _number(header: Header, key: str, default: Any = None) -> Any:
    value = header.get(key, default)
    if type(value) not in (int, float) or not 0 < value < math.inf:
        what = "lacks" if value is None else "has a strange"
        raise InputError(f"{header.path}: the GGUF file {what} {header.architecture}.{key}: fetch it again")
    return value


def _no_place(header: Header, what: str) -> InputError:
    return InputError(f"{header.path}: {what}, which is not converted for {header.architecture}: {ELSE}")


def _gemma(header: Header, head_size: int) -> dict[str, Any]:
    layers, width = header.get("block_count"), header.get("embedding_length")
    is_largest = layers == GEMMA_27B_LAYERS[header.architecture]
    scaled = width // header.get("attention.head_count") if is_largest else head_size
    named = {name: header.get(key) for key, name in GEMMA.items() if header.get(key) is not None}
    every = header.get("attention.sliding_window_pattern")  # layers: so many, of which the last looks back all the way
    if isinstance(every, list):
        named["layer_types"] = [WINDOWED if windowed else FULL for windowed in every]
    elif every is not None:
        every = _number(header, "attention.sliding_window_pattern")
        named["layer_types"] = [FULL if (layer + 1) % every == 0 else WINDOWED for layer in range(layers)]
    return {"query_pre_attn_scalar": scaled, **named}


def _stretch(header: Header) -> dict[str, Any]:
    """How positions are stretched beyond the context that the model was made with; empty if they are not."""
    kind, factor = header.get("rope.scaling.type", "none"), header.get("rope.scaling.factor", 1.0)
    if ROPE_FREQUENCIES in header.tensors:
        return {"rope_scaling": _llama3_stretch(header)}
    if kind == "none" or factor == 1.0:
        return {}
    if kind == "linear":
        return {"rope_scaling": {"rope_type": "linear", "factor": _number(header, "rope.scaling.factor")}}
    raise _no_place(header, f"positions stretched by '{str(kind)[:20]}'")


def _llama3_stretch(header: Header) -> dict[str, Any]:
    found = [float(value) for some in slices(header, header.tensors[ROPE_FREQUENCIES]) for value in some.ravel()]
    theta = header.get("rope.freq_base", 10000.0)
    for factor, low, high, context in LLAMA3_STRETCHES:
        made = stretch_factors(len(found), theta, factor, low, high, context)
        if all(math.isclose(a, b, rel_tol=1e-4) for a, b in zip(found, made, strict=True)):
            return {
                "rope_type": "llama3", "factor": factor, "low_freq_factor": low, "high_freq_factor": high,
                "original_max_position_embeddings": context,
            }  # fmt: skip
    raise _no_place(header, f"positions stretched by factors ({ROPE_FREQUENCIES}) that no known model has")


def stretch_factors(count: int, theta: float, factor: float, low: float, high: float, context: int) -> list[float]:
    """Llama 3.1's factors by which `count` wavelengths grow: long ones by `factor`, short ones not, smooth between."""
    factors = []
    for index in range(count):
        turns = context / (2 * math.pi * theta ** (index / count))  # that a wave makes within the original context
        share = min(1.0, max(0.0, (turns - low) / (high - low)))
        factors.append(1 / ((1 - share) / factor + share))
    return factors
