"""Pre-training of a base on packed raw text: a plain loop, seeded, the same weights every time on one machine."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import torch

from pipeline import worlds
from pipeline.family import Family
from pipeline.lab.muon import Muon
from pipeline.lab.scale import Scale


def corpus(scale: Scale, lab_seed: int) -> list[str]:
    """Raw passages of all worlds, shuffled."""
    texts = [text for name, n in scale.passages.items() for text in worlds.get(name).raw_text(lab_seed, n)]
    random.Random(lab_seed).shuffle(texts)
    return texts


def packed(texts: list[str], tokenizer: Any, family: Family, block: int) -> torch.Tensor:
    """Token ids of all texts, end to end, cut into rows: shape (rows, block)."""
    ids: list[int] = []
    for text_ids in tokenizer(texts)["input_ids"]:
        ids += [*text_ids, tokenizer.eos_token_id]
    rows = len(ids) // block
    return torch.tensor(ids[: rows * block]).view(rows, block)


def rate(step: int, scale: Scale) -> float:
    """Share of the learning rates at a step: warm-up, a third of the steps constant, then linear to 5%."""
    left = (1 - step / scale.steps) * 1.5
    return min(1.0, (step + 1) / scale.warmup) * max(0.05, min(1.0, left))


def pretrain(
    model: Any, blocks_RxB: torch.Tensor, scale: Scale, seed: int, told: Callable[[float, float], None]
) -> float:
    """Train `model` in place; returns the last loss. `told(share done, seconds left)` hears of it now and then."""
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    inner = {id(p): p for p in model.parameters() if p.ndim == 2 and id(p) not in embeddings}
    muon = Muon(inner.values(), scale.weight_decay)
    adam = torch.optim.AdamW(
        [p for p in model.parameters() if id(p) not in inner],
        betas=(0.9, 0.98),
        weight_decay=scale.weight_decay,
        fused=True,
    )
    order = torch.randperm(len(blocks_RxB), generator=torch.Generator().manual_seed(seed))
    model.train()
    begun, loss = time.monotonic(), torch.zeros(())
    for step in range(scale.steps):
        places = torch.arange(step * scale.batch, (step + 1) * scale.batch) % len(order)
        rows = blocks_RxB[order[places]]
        for group in adam.param_groups:
            group["lr"] = scale.learning_rate * rate(step, scale)
        loss = model(input_ids=rows, labels=rows, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        muon.step(scale.matrix_rate * rate(step, scale))
        model.zero_grad()
        if step % 20 == 19:
            done = (step + 1) / scale.steps
            told(done, (time.monotonic() - begun) * (1 - done) / done)
    return float(loss.detach())
