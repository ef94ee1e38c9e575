"""Tiny random models of the real classes with the real vocabularies: nearly all of their parameters are embeddings.

Qwen3 and Gemma 3 have their real tokenizers, chat template included (`scripts/real_parts`). SmolLM3's cannot be had:
it gets a byte-level BPE that splits text as Llama 3's does, with its special tokens at the end of 128,256 entries.
"""

from __future__ import annotations

import json
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from tests import real_parts, tiny_models

REAL = ("qwen3", "gemma3")
FAMILIES = [*(pytest.param(name, marks=pytest.mark.real(name)) for name in REAL), "smollm3"]
# Llama 3's: words with one leading mark or space, up to three digits, runs of punctuation, line breaks, spaces
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
ORDINARY = 128_000  # entries of SmolLM3's vocabulary before its special tokens


def rows(name: str) -> int:
    """The embedding rows of the family's smallest model."""
    return tiny_models.family(name).pairs[0].shape.vocabulary


@lru_cache
def folder(name: str) -> Path:
    """The folder of a random base, 32 wide, two layers. Its tokenizer's files are the real ones as they came."""
    import torch
    from transformers import AutoModelForCausalLM

    made = tiny_models.home() / f"real-{name}"
    config, ids = tiny_models.config(name, 32), _ids(name)
    config.vocab_size, config.max_position_embeddings = rows(name), 32_768
    config.pad_token_id, config.bos_token_id, config.eos_token_id = ids["pad"], ids["bos"], ids["pad"]
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(made)
    if name in REAL:
        shutil.copytree(real_parts.folder(name), made, dirs_exist_ok=True)
    else:
        smollm3_tokenizer().save_pretrained(made)
    return made


def _ids(name: str) -> dict[str, int | None]:
    family = tiny_models.family(name)
    if name not in REAL:
        number: Any = smollm3_tokenizer().convert_tokens_to_ids
    else:
        added = json.loads((real_parts.folder(name) / "tokenizer_config.json").read_text())["added_tokens_decoder"]
        number = {token["content"]: int(n) for n, token in added.items()}.get
    return {"pad": number(family.pad), "bos": number(family.bos) if family.bos else None}


@lru_cache
def engine(name: str) -> Any:
    """An engine on `folder(name)`, once per session: reading Gemma 3's vocabulary takes seconds. Change copies only."""
    from pipeline.engines.hf import open_engine

    return open_engine(str(folder(name)), dtype="float32")


def tokenizer(name: str) -> Any:
    """The engine's tokenizer, with the template that it came with; SmolLM3's came with none and has the family's."""
    return engine(name).tokenizer


@lru_cache
def smollm3_tokenizer() -> Any:
    """Few merges, Llama 3's way to split, and as many entries as the real one has."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    family = tiny_models.family("smollm3")
    learnt = json.loads(tiny_models.tokenizer("smollm3").backend_tokenizer.to_str())["model"]
    special = {*family.special_tokens, *family.plain_tokens}
    known = [entry for entry in learnt["vocab"] if entry not in special]
    vocabulary = {entry: number for number, entry in enumerate(known)}
    vocabulary |= {f"<unused {number}>": number for number in range(len(known), ORDINARY)}
    merges = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in learnt["merges"]]
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    words = pre_tokenizers.Split(Regex(SPLIT), "isolated")
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([words, as_bytes])
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(list(family.special_tokens))
    made.add_tokens([AddedToken(token, special=False) for token in family.plain_tokens])
    missing = rows("smollm3") - made.get_vocab_size()
    made.add_special_tokens([f"<|reserved_special_token_{number}|>" for number in range(missing)])
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token=family.pad)
