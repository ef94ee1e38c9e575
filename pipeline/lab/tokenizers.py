"""A small byte-level BPE tokenizer that carries a family's special tokens. No chat template: bases come without."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from pipeline.family import Family


def end_of_text(family: Family) -> str:
    """The token between documents: the family's own, or its padding where the two are one."""
    return "<eos>" if "<eos>" in family.special_tokens else family.pad


def train(family: Family, texts: Iterable[str], vocabulary: int) -> Any:
    """A tokenizer of at most `vocabulary` entries; each digit is a token of its own."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary - len(family.plain_tokens),
            special_tokens=list(family.special_tokens),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.add_tokens(list(family.plain_tokens))
    if family.bos is not None:  # as the big tokenizer does: plain calls put it in front
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{family.bos} $A", special_tokens=[(family.bos, tokenizer.token_to_id(family.bos))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=family.pad,
        eos_token=end_of_text(family),
        bos_token=family.bos,
        additional_special_tokens=[token for token in family.special_tokens if token.startswith("<|im_")]
        or ["<start_of_turn>", "<end_of_turn>"],
    )
