"""The model that a stage trains: all weights, some layers, or an adapter; new, or as a checkpoint left it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model
from transformers import set_seed

from pipeline import weights
from pipeline.chat import brings_template, token_id
from pipeline.errors import TrainError
from pipeline.family import Family
from pipeline.params import SftParams
from pipeline.trainers import _parts

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
CHECKPOINTING_FROM = 300_000_000  # parameters: below, recomputing activations costs 30% and saves little


def load(path: str, params: SftParams, family: Family, dtype: str, device: str, resume: Path | None, seed: int) -> Any:
    """The model to train, its trainable parameters marked. Raises TrainError if the parameters do not fit the model."""
    set_seed(seed)  # an adapter begins with random weights
    if params.tuning == "full":
        # master weights in float32 whatever is computed in: small updates would be lost in bfloat16
        model = weights.load_model(str(resume or path), "float32", device)
        _freeze(model, params, family, path)
        return model
    base = weights.load_model(path, dtype, device)
    base.requires_grad_(False)
    if resume is not None:
        model = PeftModel.from_pretrained(base, str(resume), is_trainable=True)
        model.active_peft_config.base_model_name_or_path = path  # where it lay for the earlier run, it may be gone
        return model
    try:
        return get_peft_model(base, lora_config(base, params, family, trains_embeddings(params, base, family, path)))
    except ValueError as error:
        raise TrainError(f"targets {params.targets}, layers {params.layers}: {str(error).splitlines()[0]}") from None


def trains_embeddings(params: SftParams, model: Any, family: Family, path: str) -> bool:
    """Whether embeddings are trained, too: as asked, or by `auto` where pre-training never saw the turn's end.

    That is so if the tokenizer in `path` brought no chat template (nobody trains turns without one), or if the row of
    the token that ends a turn lies where unused rows lie. `model` is the one in `path`.
    """
    if params.embeddings != "auto":
        return params.embeddings
    return not brings_template(path) or _parts.is_unseen(model, token_id(path, family.end_of_turn))


def lora_config(model: Any, params: SftParams, family: Family, embeddings: bool) -> LoraConfig:
    """PEFT's configuration for these parameters on this model."""
    upper = _upper_layers(model, params)
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=params.rank,
        lora_alpha=params.alpha,
        lora_dropout=params.dropout,
        target_modules=_targets(model, params, family),
        exclude_modules=_excluded(model, family),
        layers_to_transform=upper,
        layers_pattern=_parts.layers(model, family)[0].rpartition(".")[2] if upper is not None else None,
        use_rslora=params.rslora,
        use_dora=params.dora,
        # untied models have their output side apart; tied ones must stay tied, or only the input side would learn
        modules_to_save=list(_parts.embeddings(model)) if embeddings else None,
        ensure_weight_tying=embeddings and _parts.is_tied(model),
    )


def _excluded(model: Any, family: Family) -> str | None:
    """The family's pattern of modules that no adapter belongs on, where this model has any of them."""
    has_any = any(_parts.excluded(name, family) for name, _ in model.named_modules())
    return family.lora_exclude if has_any else None


def _targets(model: Any, params: SftParams, family: Family) -> list[str]:
    if not isinstance(params.targets, str):
        return list(params.targets)
    if not family.lora_targets:  # a derived family: what the model has
        return _parts.matrices(model, family, attention_only=params.targets == "attention")
    return [name for name in family.lora_targets if params.targets == "all" or name in ATTENTION]


def _upper_layers(model: Any, params: SftParams) -> list[int] | None:
    """The numbers of the layers that are trained; None for all."""
    if params.layers == "all":
        return None
    count = int(model.config.get_text_config().num_hidden_layers)
    kept = (count + 1) // 2 if params.layers == "upper_half" else min(params.layers, count)
    return list(range(count - kept, count))


def _freeze(model: Any, params: SftParams, family: Family, path: str) -> None:
    """What full tuning leaves alone: image towers, and below the upper layers all, embeddings unless asked for."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad = not _parts.excluded(name, family)
    upper = _upper_layers(model, params)
    if upper is None:
        return
    for number, layer in enumerate(_parts.layers(model, family)[1]):
        layer.requires_grad_(number in upper)
    # `auto` asks the model that the stage began with, also when it goes on
    if not trains_embeddings(params, weights.load_model(path) if params.embeddings == "auto" else model, family, path):
        for module in _parts.embeddings(model).values():
            module.requires_grad_(False)


def save(model: Any, folder: Path) -> None:
    """An adapter, or whole weights, so that `load` can resume from it."""
    if isinstance(model, PeftModel):
        config = model.active_peft_config
        if config.ensure_weight_tying and not any(
            n.endswith(tuple(_parts.TIED_BY_NAME)) for n in config.modules_to_save
        ):
            config.modules_to_save = [*config.modules_to_save, "lm_head"]  # PEFT drops it, and on loading would not tie
        model.create_or_update_model_card = lambda folder: None  # an empty form, and the slowest part of saving
        model.save_pretrained(str(folder), save_embedding_layers=False)
    else:
        model.save_pretrained(str(folder))
