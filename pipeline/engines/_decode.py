"""Decoding one batch: left-padded, with a KV cache, rows that have ended dropped while others go on.

A row's tokens do not depend on its batch: padding is masked, positions count from the row's own first token, and
sampling draws from the row's own generator. (Up to rounding: in float32 a different batch size changes logits by about
1e-6, in bfloat16 by enough to flip a close choice now and then.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

DROP_AT = 0.8  # the cache is copied without the ended rows once their share leaves this much alive


@dataclass
class Row:
    """One sequence to continue; `tokens` collects what was generated, an ending token excluded."""

    prompt: list[int]
    max_tokens: int
    until: tuple[str, ...] = ()
    temperature: float = 0.0
    top_p: float = 1.0
    random: np.random.Generator | None = None  # needed if temperature > 0
    tokens: list[int] = field(default_factory=list)
    stopped: bool = False  # ended its turn by itself
    end: int | None = None  # the token that did
    done: bool = False


class Batch:
    """The rows of one batch that still run, with their cache, mask and last tokens."""

    def __init__(self, model: Any, tokenizer: Any, rows: list[Row], ends: frozenset[int]) -> None:
        self.model, self.tokenizer, self.rows, self.ends = model, tokenizer, rows, ends
        width = max(len(row.prompt) for row in rows)
        ids = torch.full((len(rows), width), int(tokenizer.pad_token_id))
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, width - len(row.prompt) :] = torch.tensor(row.prompt)
            mask[i, width - len(row.prompt) :] = 1
        self.mask = mask.to(model.device)
        self.next_ids = ids.to(model.device)
        self.positions = (self.mask.cumsum(1) - 1).clamp(min=0)
        self.cache: Any = None
        self.pieces: dict[int, str] = {}
        # the longest stop text has no more tokens than bytes; a few more for tokens that straddle its ends
        self.window = max((len(text.encode()) for row in rows for text in row.until), default=0) + 4

    def run(self) -> None:
        """Continue every row to its end."""
        while self.rows:
            logits = self._forward()
            chosen = self._choose(logits)
            for row, token in zip(self.rows, chosen.tolist(), strict=True):
                if not row.done:
                    self._take(row, token)
            self._advance(chosen)

    def _forward(self) -> torch.Tensor:
        output = self.model(
            input_ids=self.next_ids,
            attention_mask=self.mask,
            position_ids=self.positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self.cache = output.past_key_values
        return output.logits[:, -1]

    def _choose(self, logits: torch.Tensor) -> torch.Tensor:
        chosen = logits.argmax(-1)
        for i, row in enumerate(self.rows):
            if row.temperature > 0 and not row.done:
                chosen[i] = sample(logits[i], row)
        return chosen

    def _take(self, row: Row, token: int) -> None:
        if token in self.ends:
            row.stopped = row.done = True
            row.end = token
            return
        row.tokens.append(token)
        row.done = len(row.tokens) >= row.max_tokens
        if row.until and not row.done and self._may_end(token, row.until):
            tail = self.tokenizer.decode(row.tokens[-self.window :], skip_special_tokens=True)
            row.done = any(text in tail for text in row.until)

    def _may_end(self, token: int, until: tuple[str, ...]) -> bool:
        """Whether the token can be the last of a stop text: nearly all cannot, and need no look at what came before."""
        if token not in self.pieces:
            self.pieces[token] = self.tokenizer.decode([token])
        piece = self.pieces[token]
        return "\ufffd" in piece or any(text[-1] in piece for text in until)

    def _advance(self, chosen: torch.Tensor) -> None:
        alive = [i for i, row in enumerate(self.rows) if not row.done]
        self.mask = torch.nn.functional.pad(self.mask, (0, 1), value=1)
        self.positions = self.positions[:, -1:] + 1
        self.next_ids = chosen[:, None]
        if len(alive) > DROP_AT * len(self.rows):
            return
        self.rows = [self.rows[i] for i in alive]
        if not alive:
            return
        kept = torch.tensor(alive, device=self.mask.device)
        self.cache.batch_select_indices(kept)
        self.mask, self.positions, self.next_ids = self.mask[kept], self.positions[kept], self.next_ids[kept]


def sample(logits: torch.Tensor, row: Row) -> int:
    """One token by temperature and nucleus, from one uniform draw of the row's own generator."""
    assert row.random is not None
    shares, tokens = torch.softmax(logits.double() / row.temperature, -1).sort(descending=True)
    before = shares.cumsum(-1) - shares
    shares = torch.where(before < row.top_p, shares, 0.0)  # the first token always stays
    cumulative = shares.cumsum(-1)
    draw = torch.full((1,), row.random.random(), dtype=cumulative.dtype, device=logits.device) * cumulative[-1]
    at = int(torch.searchsorted(cumulative, draw, right=True))
    return int(tokens[min(at, int((shares > 0).sum()) - 1)])
