"""Decoding one batch: with a KV cache, padded on the left of what its prompts do not share, ended rows dropped.

A row's tokens do not depend on its batch: padding is masked, positions count from the row's own first token, and
sampling draws from the row's own generator. (Up to rounding: in float32 a different batch size changes logits by about
1e-6, in bfloat16 by enough to flip a close choice now and then.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from pipeline.engines import _shared
from pipeline.engines._cache import with_room

DRAW_ROWS = 32  # rows drawn from at once: each needs a few copies of the vocabulary
HEAD = 1024  # likeliest tokens that a draw looks at first
DROP_AT = 0.8  # the cache is copied without the ended rows once their share leaves this much alive


@dataclass
class Row:
    """One sequence to continue; `tokens` collects what was generated, an ending token excluded."""

    prompt: list[int]
    max_tokens: int
    until: tuple[str, ...] = ()
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    random: np.random.Generator | None = None  # needed if temperature > 0
    tokens: list[int] = field(default_factory=list)
    stopped: bool = False  # ended its turn by itself
    end: int | None = None  # the token that did
    done: bool = False


class Batch:
    """The rows of one batch that still run, with their cache, mask and last tokens."""

    def __init__(self, model: Any, tokenizer: Any, rows: list[Row], ends: frozenset[int]) -> None:
        self.model, self.tokenizer, self.rows, self.ends = model, tokenizer, rows, ends
        prompts = [row.prompt for row in rows]
        shared = _shared.length(model, prompts, max(row.max_tokens for row in rows))
        self.cache: Any = with_room(_shared.read(model, prompts[0][:shared], len(rows))) if shared else None
        shared = shared if self.cache is not None else 0
        width = max(map(len, prompts))
        ids = torch.full((len(rows), width - shared), int(tokenizer.pad_token_id))
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        mask[:, :shared] = 1
        for i, prompt in enumerate(prompts):
            rest = len(prompt) - shared
            ids[i, width - shared - rest :] = torch.tensor(prompt[shared:])
            mask[i, width - rest :] = 1
        self.mask = mask.to(model.device)
        self.next_ids = ids.to(model.device)
        self.positions = (self.mask.cumsum(1) - 1).clamp(min=0)[:, shared:]
        self.pieces: dict[int, str] = {}
        # the longest stop text has no more tokens than bytes; a few more for tokens that straddle its ends
        self.window = max((len(text.encode()) for row in rows for text in row.until), default=0) + 4

    def run(self) -> Iterator[float]:
        """Continue every row to its end; yields after each token which share is done, as if no row ended early."""
        total, room, step = len(self.rows), max(row.max_tokens for row in self.rows), 0
        while self.rows:
            logits = self._forward()
            chosen = self._choose(logits)
            for row, token in zip(self.rows, chosen.tolist(), strict=True):
                if not row.done:
                    self._take(row, token)
            self._advance(chosen)
            step += 1
            yield 1 - sum(not row.done for row in self.rows) * (1 - step / room) / total

    def _forward(self) -> torch.Tensor:
        output = self.model(
            input_ids=self.next_ids,
            attention_mask=self.mask,
            position_ids=self.positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        if self.cache is not output.past_key_values:
            self.cache = with_room(output.past_key_values)
        return output.logits[:, -1]

    def _choose(self, logits_RxV: torch.Tensor) -> torch.Tensor:
        running = [i for i, row in enumerate(self.rows) if not row.done]
        penalised = [i for i in running if self.rows[i].repetition_penalty != 1.0]
        if penalised:
            logits_RxV = logits_RxV.float()
            for i in penalised:
                penalise(logits_RxV[i], self.rows[i])
        chosen = logits_RxV.argmax(-1)
        drawn = [i for i in running if self.rows[i].temperature > 0]
        for begin in range(0, len(drawn), DRAW_ROWS):
            some = drawn[begin : begin + DRAW_ROWS]
            chosen[some] = sample(logits_RxV[some], [self.rows[i] for i in some])
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


def penalise(logits_V: torch.Tensor, row: Row) -> None:
    """Make the tokens of the row's prompt and answer less likely, in place, as transformers does."""
    there = torch.tensor(sorted({*row.prompt, *row.tokens}), device=logits_V.device)
    values = logits_V[there]
    logits_V[there] = torch.where(values < 0, values * row.repetition_penalty, values / row.repetition_penalty)


def sample(logits_RxV: torch.Tensor, rows: list[Row]) -> torch.Tensor:
    """A token per row by temperature, then top-k, nucleus and min-p, from one uniform draw of the row's own generator.

    In transformers' order: the nucleus is one of what top-k left, renormalised. Tokens are laid out by falling share;
    sorting a whole vocabulary costs more than a small model's step, and nearly every draw falls among the likeliest.
    """
    shares_RxV = torch.softmax(logits_RxV.double() / _column(rows, "temperature", logits_RxV.device), -1)
    drawn = [row.random.random() for row in rows if row.random is not None]
    draws_R = torch.tensor(drawn, dtype=torch.float64, device=logits_RxV.device)
    likeliest_RxH = shares_RxV.topk(min(HEAD, shares_RxV.shape[-1])).indices.sort(-1).values
    chosen_R, is_settled_R = _draw(shares_RxV, likeliest_RxH, draws_R, rows)
    open_rows = (~is_settled_R).nonzero()[:, 0].tolist()
    if open_rows:
        every = torch.arange(shares_RxV.shape[-1], device=shares_RxV.device).expand(len(open_rows), -1)
        some = [rows[i] for i in open_rows]
        chosen_R[open_rows] = _draw(shares_RxV[open_rows], every, draws_R[open_rows], some)[0]
    return chosen_R


def _draw(
    shares_RxV: torch.Tensor, among_RxH: torch.Tensor, draws_R: torch.Tensor, rows: list[Row]
) -> tuple[torch.Tensor, torch.Tensor]:
    """A token per row among the likeliest ones given (ids, rising), and whether others could not have been drawn."""
    shares, order = shares_RxV.gather(-1, among_RxH).sort(descending=True, stable=True)  # ties: the lower id first
    tokens, is_all = among_RxH.gather(-1, order), among_RxH.shape[-1] == shares_RxV.shape[-1]
    top_k, top_p, min_p = (_column(rows, name, shares.device) for name in ("top_k", "top_p", "min_p"))
    ranks = torch.arange(shares.shape[-1], device=shares.device)
    shares = torch.where((top_k == 0) | (ranks < top_k), shares, 0.0)
    shares = shares / torch.where(top_k == 0, 1.0, shares.sum(-1, keepdim=True))
    before = shares.cumsum(-1) - shares
    shares = torch.where(before < top_p, shares, 0.0)  # the first token always stays
    shares = torch.where(shares >= min_p * shares[:, :1], shares, 0.0)
    cumulative = shares.cumsum(-1)
    is_renormalised = top_k <= shares.shape[-1]  # by all of the top-k
    ends_here = ((shares[:, -1:] == 0) & is_renormalised) | is_all  # what is left out, is left out for good
    is_free = (top_k == 0) & (top_p >= 1) & (min_p == 0)
    goal = draws_R[:, None] * torch.where(ends_here, cumulative[:, -1:], 1.0)
    at = torch.searchsorted(cumulative, goal, right=True)
    at = torch.minimum(at, (shares > 0).sum(-1, keepdim=True) - 1)
    is_settled = ends_here | (is_free & (goal < cumulative[:, -1:]))
    return tokens.gather(-1, at)[:, 0], is_settled[:, 0]


def _column(rows: list[Row], name: str, device: torch.device) -> torch.Tensor:
    """A setting of each row, as a column."""
    return torch.tensor([float(getattr(row, name)) for row in rows], dtype=torch.float64, device=device)[:, None]
