"""The two models of a lab, made. This module and what it imports need torch; the rest of the lab does not."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from pipeline import weights, worlds
from pipeline.family import Family
from pipeline.lab import architectures, tokenizers
from pipeline.lab.pretrain import corpus, packed, pretrain
from pipeline.lab.scale import Scale
from pipeline.lab.tune import tune

Told = Callable[..., None]


def make_base(folder: Path, family: Family, scale: Scale, lab_seed: int, told: Told) -> float:
    """Tokenizer and base model, never shown a chat turn; returns the pre-training loss at the end."""
    texts = corpus(scale, lab_seed)
    # words of questions and answers get tokens, too; the model does not see them before it is tuned
    chat = [text for name in scale.passages for pair in worlds.get(name).lessons(lab_seed, 800) for text in pair]
    tokenizer = tokenizers.train(family, [*texts[:12_000], *chat], scale.vocabulary)
    with _threads(scale.threads):
        model = architectures.make(family.name, scale, tokenizer, lab_seed)
        blocks = packed(texts, tokenizer, family, scale.block)
        what = f"lab {family.name}: pre-training the base"
        loss = pretrain(model, blocks, scale, lab_seed, lambda share, left: told(what, share, left))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return loss


def make_instruct(base: Path, folder: Path, family: Family, scale: Scale, lab_seed: int, told: Told) -> None:
    """The instruct sibling of `base`."""
    what = f"lab {family.name}: tuning the instruct model"
    work = folder.with_name("tuning")
    with _threads(scale.threads):
        tuned = tune(base, work, scale, lab_seed, lambda share, left: told(what, share, left))
    weights.export(tuned, folder)
    shutil.rmtree(work)


@contextlib.contextmanager
def _threads(n: int) -> Iterator[None]:
    """Exactly `n` threads inside, whatever the process uses outside."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
