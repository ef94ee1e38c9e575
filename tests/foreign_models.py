"""Tiny random models of classes that no family knows, with a byte-level tokenizer: made where a test wants them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pipeline import worlds
from tests import tiny_models

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def real_template(name: str) -> str:
    """A real model's chat template, as TRL ships it."""
    return (resources.files("trl") / "chat_templates" / f"{name}.jinja").read_text()


def tokenizer(template: str | None, special: Sequence[str] = SPECIAL, **settings: Any) -> Any:
    """A byte-level BPE; the first special token ends texts, `settings` go to the wrapping class."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    text = [passage for world in worlds.names() for passage in worlds.get(world).raw_text(0, 50)]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        text,
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
        ),
    )
    wrapped = PreTrainedTokenizerFast(tokenizer_object=made, **({"eos_token": special[0]} | settings))
    wrapped.chat_template = template
    return wrapped


def llama(folder: Path, tokens: Any, tied: bool = True, **sizes: Any) -> Path:
    """A LlamaForCausalLM of two layers."""
    from transformers import LlamaConfig, LlamaForCausalLM

    common = {
        "vocab_size": len(tokens), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024,
        "tie_word_embeddings": tied, "pad_token_id": None, "bos_token_id": None, "eos_token_id": tokens.eos_token_id,
    }  # fmt: skip
    return _saved(LlamaForCausalLM, LlamaConfig(**common | sizes), tokens, folder)


def gpt2(folder: Path, tokens: Any) -> Path:
    """A GPT2LMHeadModel of two layers: matrices are Conv1D, layers are called `h`, embeddings `wte`."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=len(tokens), n_embd=32, n_layer=2, n_head=4, n_positions=1024,
        bos_token_id=tokens.eos_token_id, eos_token_id=tokens.eos_token_id,
    )  # fmt: skip
    return _saved(GPT2LMHeadModel, config, tokens, folder)


def smollm3(folder: Path) -> Path:
    """A SmolLM3ForCausalLM of four layers, every fourth without positions as in the real one."""
    from transformers import SmolLM3Config, SmolLM3ForCausalLM

    sizes = tiny_models.config("smollm3", 32).to_dict()
    for name in ("no_rope_layers", "layer_types", "no_rope_layer_interval", "model_type", "transformers_version"):
        sizes.pop(name, None)
    config = SmolLM3Config(**sizes | {"num_hidden_layers": 4})
    return _saved(SmolLM3ForCausalLM, config, tiny_models.tokenizer("smollm3"), folder)


def _saved(kind: Any, config: Any, tokens: Any, folder: Path) -> Path:
    import torch

    torch.manual_seed(0)
    kind(config).save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def untied(folder: Path, name: str) -> Path:
    """A tiny model of a family whose output embeddings are a matrix of their own, as the bigger ones' are."""
    from transformers import AutoModelForCausalLM

    config = tiny_models.config(name, 32)
    config.tie_word_embeddings = False
    return _saved(AutoModelForCausalLM.from_config, config, tiny_models.tokenizer(name), folder)


def gemma3_with_images(folder: Path) -> Path:
    """A Gemma3ForConditionalGeneration, as the checkpoints from 4B up are: a text part beside an image tower."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, SiglipVisionConfig

    tokens = tiny_models.tokenizer("gemma3")
    images = SiglipVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=4,
        vision_use_head=False,
    )  # fmt: skip
    places = dict.fromkeys(("image_token_index", "boi_token_index", "eoi_token_index"), tokens.pad_token_id)
    config = Gemma3Config(
        text_config=tiny_models.config("gemma3", 32), vision_config=images, mm_tokens_per_image=4, **places
    )
    return _saved(Gemma3ForConditionalGeneration, config, tokens, folder)
