"""The model that a stage trains: all weights, some layers, or an adapter; new, or as a checkpoint left it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model
from transformers import set_seed

from pipeline import weights
from pipeline.errors import TrainError
from pipeline.params import SftParams
from pipeline.types import Family

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
CHECKPOINTING_FROM = 300_000_000  # parameters: below, recomputing activations costs 30% and saves little


def load(path: str, params: SftParams, family: Family, dtype: str, device: str, resume: Path | None, seed: int) -> Any:
    """The model to train, its trainable parameters marked. Raises TrainError if the parameters do not fit the model."""
    set_seed(seed)  # an adapter begins with random weights
    if params.tuning == "full":
        # master weights in float32 whatever is computed in: small updates would be lost in bfloat16
        model = weights.load_model(str(resume or path), "float32", device)
        _freeze_lower(model, params)
        return model
    base = weights.load_model(path, dtype, device)
    base.requires_grad_(False)
    if resume is not None:
        model = PeftModel.from_pretrained(base, str(resume), is_trainable=True)
        model.active_peft_config.base_model_name_or_path = path  # where it lay for the earlier run, it may be gone
        return model
    try:
        return get_peft_model(base, lora_config(base, params, family))
    except ValueError as error:
        raise TrainError(f"targets {params.targets}, layers {params.layers}: {str(error).splitlines()[0]}") from None


def lora_config(model: Any, params: SftParams, family: Family) -> LoraConfig:
    """PEFT's configuration for these parameters on this model."""
    upper = _upper_layers(model, params)
    tied = bool(model.config.get_text_config().tie_word_embeddings)
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=params.rank,
        lora_alpha=params.alpha,
        lora_dropout=params.dropout,
        target_modules=_targets(params, family),
        exclude_modules=_excluded(model, family),
        layers_to_transform=upper,
        layers_pattern="layers" if upper is not None else None,
        use_rslora=params.rslora,
        use_dora=params.dora,
        # untied models have their output side apart; tied ones must stay tied, or only the input side would learn
        modules_to_save=(["embed_tokens"] if tied else ["embed_tokens", "lm_head"]) if params.embeddings else None,
        ensure_weight_tying=params.embeddings and tied,
    )


def _excluded(model: Any, family: Family) -> str | None:
    """The family's pattern of modules that no adapter belongs on, where this model has any of them."""
    pattern = family.lora_exclude
    return pattern if pattern and any(re.fullmatch(pattern, name) for name, _ in model.named_modules()) else None


def _targets(params: SftParams, family: Family) -> list[str]:
    if params.targets == "all":
        return list(family.lora_targets)
    if params.targets == "attention":
        return [name for name in family.lora_targets if name in ATTENTION]
    return list(params.targets)


def _upper_layers(model: Any, params: SftParams) -> list[int] | None:
    """The numbers of the layers that are trained; None for all."""
    if params.layers == "all":
        return None
    count = int(model.config.get_text_config().num_hidden_layers)
    kept = (count + 1) // 2 if params.layers == "upper_half" else min(params.layers, count)
    return list(range(count - kept, count))


def _freeze_lower(model: Any, params: SftParams) -> None:
    """Full tuning of the upper layers only: what lies below them, embeddings included unless asked for, stays."""
    upper = _upper_layers(model, params)
    if upper is None:
        return
    for name, parameter in model.named_parameters():
        layer = re.search(r"\blayers\.(\d+)\.", name)
        embeds = "embed_tokens" in name or "lm_head" in name
        parameter.requires_grad = int(layer[1]) in upper if layer else (params.embeddings if embeds else True)


def save(model: Any, folder: Path) -> None:
    """An adapter, or whole weights, so that `load` can resume from it."""
    if isinstance(model, PeftModel):
        model.create_or_update_model_card = lambda folder: None  # an empty form, and the slowest part of saving
        model.save_pretrained(str(folder), save_embedding_layers=False)
    else:
        model.save_pretrained(str(folder))
