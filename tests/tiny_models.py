"""Tiny models of the three families, random or briefly taught, with a byte-level tokenizer each: once per session."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline import plugins, worlds
from pipeline.chat import mend_generation_config, prepare
from pipeline.family import Family

STEPS = 60
WORLDS = ("calls", "facts", "maths")
FAMILIES = tuple(plugins.names("families"))


def family(name: str) -> Family:
    """A shipped family."""
    return plugins.load("families", name).FAMILY


def home() -> Path:
    """A folder that lives as long as the session."""
    return Path(os.environ["POSTTRAIN_HOME"]) / "tiny"


@lru_cache
def tokenizer(name: str) -> Any:
    """A byte-level BPE with the family's special tokens, digits apart, trained on some of the worlds' text."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    of = family(name)
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = decoders.ByteLevel()
    # of the same three worlds whatever others there are: another vocabulary is another model, which may learn later
    text = [passage for world in WORLDS for passage in worlds.get(world).raw_text(0, 200)]
    special = list(of.special_tokens)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        text, trainers.BpeTrainer(vocab_size=600, special_tokens=special, initial_alphabet=alphabet)
    )
    made.add_tokens([AddedToken(token, special=False) for token in of.plain_tokens])
    if of.bos:
        made.post_processor = processors.TemplateProcessing(
            single=f"{of.bos} $A", special_tokens=[(of.bos, made.token_to_id(of.bos))]
        )
    wrapped = PreTrainedTokenizerFast(tokenizer_object=made, pad_token=of.pad, bos_token=of.bos)
    return prepare(wrapped, of)


def config(name: str, size: int) -> Any:
    """The family's configuration class with two layers, `size` wide."""
    from transformers import Gemma3TextConfig, Qwen3Config, SmolLM3Config

    tokens = tokenizer(name)
    common = {
        "vocab_size": len(tokens), "hidden_size": size, "intermediate_size": 2 * size, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024,
        "tie_word_embeddings": True, "pad_token_id": tokens.pad_token_id, "eos_token_id": tokens.pad_token_id,
        "bos_token_id": tokens.bos_token_id,
    }  # fmt: skip
    if name == "qwen3":
        return Qwen3Config(head_dim=16, **common)
    if name == "smollm3":
        return SmolLM3Config(no_rope_layer_interval=2, **common)
    sliding = {"sliding_window": 32, "layer_types": ["sliding_attention", "full_attention"]}
    return Gemma3TextConfig(head_dim=16, query_pre_attn_scalar=16, **sliding, **common)


@lru_cache
def untrained(name: str, size: int = 32) -> Path:
    """The folder of a random model. Like a real base it ends texts with its padding token, not with a turn's end."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = home() / f"{name}-{size}"
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config(name, size))
    model.save_pretrained(folder)
    tokenizer(name).save_pretrained(folder)
    return folder


def sums(number: int) -> tuple[str, str]:
    """A question and its worked answer; there are 81."""
    a, b = 1 + number % 9, 1 + number // 9 % 9
    return f"{a} + {b} ?", f"{a} + {b} = {a + b}.\n#### {a + b}"


@lru_cache
def taught(name: str) -> Path:
    """The random model after a second or two of training on chats: it ends most of its turns, right or wrong."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = home() / f"{name}-taught"
    model, tokens = AutoModelForCausalLM.from_pretrained(untrained(name)), tokenizer(name)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    texts = [
        tokens.apply_chat_template(
            [{"role": "user", "content": asked}, {"role": "assistant", "content": told}], tokenize=False
        )
        for asked, told in (sums(number) for number in range(STEPS * 16))
    ]
    for begin in range(0, len(texts), 16):
        batch = tokens(texts[begin : begin + 16], add_special_tokens=False, padding=True, return_tensors="pt")
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        model(**batch, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    mend_generation_config(folder, family(name))
    return folder
