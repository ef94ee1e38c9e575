"""Generation in this process with transformers: batched, sorted by length, greedy unless a request says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import psutil
import torch

from pipeline import weights
from pipeline.chat import family_of, render, with_thinking
from pipeline.engines import (
    _endings,
    _warm,  # noqa: F401 (done once, before a worker is forked)
)
from pipeline.engines._decode import Batch, Row
from pipeline.errors import DataError
from pipeline.family import Family
from pipeline.types import Completion, Request

BATCH_ROWS = 256  # more rows gain nothing even on lab models
CPU_BUDGET = 2**32  # bytes for cache and activations of one batch: a step of 64 rows costs little more than one of 32
ACTIVATIONS = 24  # numbers per prompt token and hidden unit that live at once in a forward pass, roughly


def open_engine(
    model_path: str, dtype: str = "auto", seed: int = 0, batch_rows: int = BATCH_ROWS, family: Family | None = None,
    further_ends: Sequence[int] = (), thinking: bool = False,
) -> HfEngine:  # fmt: skip
    """An engine on a model or adapter folder. `batch_rows` bounds a batch; memory may bound it further.

    Of the model's generation_config.json only the ends of a turn count; `further_ends` are tokens beside them.
    `thinking` turns the templates' thinking mode on. Raises InputError for a family that knows none.
    """
    family = family or family_of(model_path)
    family = with_thinking(family) if thinking else family
    device, chosen = weights.placement(dtype)
    model = weights.load_model(model_path, chosen, device)
    engine = HfEngine(model, weights.load_tokenizer(model_path, family), family, seed, batch_rows)
    engine.ends |= frozenset(further_ends)
    return engine


class HfEngine:
    """A loaded model that answers requests."""

    def __init__(self, model: Any, tokenizer: Any, family: Family, seed: int = 0, batch_rows: int = BATCH_ROWS) -> None:
        self.model, self.tokenizer, self.family = model, tokenizer, family
        self.seed, self.batch_rows = seed, batch_rows
        self.ends, self.special = _ends(model, tokenizer), _special(tokenizer)
        self.rows = int(model.get_input_embeddings().weight.shape[0])
        self.told: Callable[[float], None] = lambda share: None  # hears of the share of answers that are there

    @torch.inference_mode()
    def generate(self, requests: Sequence[Request]) -> list[list[Completion]]:
        """`n` completions per request. Equal for every batch size, and for equal seeds if sampled."""
        prompts = self._encode(requests)
        rows = [
            [self._row(request, prompt, (number, copy + (request.copy_number or 0))) for copy in range(request.n)]
            for number, (request, prompt) in enumerate(zip(requests, prompts, strict=True))
        ]
        # longest first: if memory is short, it shows in the first batch
        waiting = sorted((row for copies in rows for row in copies), key=lambda row: -len(row.prompt))
        total = len(waiting)
        while waiting:
            size, done = self._fitting(waiting), total - len(waiting)
            for share in Batch(self.model, self.tokenizer, waiting[:size], self.ends).run():
                self.told((done + share * size) / total)
            waiting = waiting[size:]
        return [[self._completion(row) for row in copies] for copies in rows]

    @torch.inference_mode()
    def loglikelihood(self, pairs: Sequence[tuple[Request, str]]) -> list[tuple[float, bool]]:
        """Log-probability of each continuation after its request, and whether greedy decoding would give it."""
        prompts = self._encode([request for request, _ in pairs])
        endings = self.tokenizer([text for _, text in pairs], add_special_tokens=False)["input_ids"]
        order = sorted(range(len(pairs)), key=lambda i: -len(prompts[i]) - len(endings[i]))
        results: list[tuple[float, bool]] = [(0.0, True)] * len(pairs)
        size = max(1, self.batch_rows // 4)  # all logits of a row are needed, not only the last ones
        for begin in range(0, len(order), size):
            some = order[begin : begin + size]
            for i, result in zip(some, self._likelihoods([(prompts[i], endings[i]) for i in some]), strict=True):
                results[i] = result
        return results

    @torch.inference_mode()
    def likeliest(self, request: Request, endings: Sequence[list[int]], at_once: int) -> int:
        """The number of the ending, in token ids, that is likeliest after a request, which is read once.

        Raises InputError for a model whose cache no ending could share.
        """
        [prompt] = self._encode([request])
        return _endings.likeliest(self.model, prompt, endings, at_once)

    def _likelihoods(self, pairs: list[tuple[list[int], list[int]]]) -> list[tuple[float, bool]]:
        padded = self.tokenizer.pad({"input_ids": [a + b for a, b in pairs]}, return_tensors="pt").to(self.model.device)
        positions = (padded["attention_mask"].cumsum(1) - 1).clamp(min=0)
        keep = max(len(ending) for _, ending in pairs) + 1
        logits = self.model(**padded, position_ids=positions, use_cache=False, logits_to_keep=keep).logits
        scores = torch.log_softmax(logits.float(), -1)
        results = []
        for row, (_, ending) in zip(scores, pairs, strict=True):
            wanted = torch.tensor(ending, device=row.device)[:, None]
            here = row[-len(ending) - 1 : -1]
            greedy = bool((here.argmax(-1, keepdim=True) == wanted).all())
            results.append((float(here.gather(1, wanted).sum()), greedy))
        return results

    def _encode(self, requests: Sequence[Request]) -> list[list[int]]:
        rendered = [self._rendered(request) for request in requests if request.messages is not None]
        raw = [request.text or "" for request in requests if request.messages is None]
        chats = iter(self.tokenizer(rendered, add_special_tokens=False)["input_ids"] if rendered else [])
        texts = iter(self.tokenizer(raw)["input_ids"] if raw else [])
        found = [next(texts) if request.messages is None else next(chats) for request in requests]
        for request, ids in zip(requests, found, strict=True):
            self._check_known(request, ids)
        return found

    def _rendered(self, request: Request) -> str:
        try:
            return render(self.tokenizer, self.family, list(request.messages or ()), True, list(request.tools) or None)
        except DataError as error:
            raise DataError(f"{_place(request)}{error}") from None

    def _check_known(self, request: Request, ids: list[int]) -> None:
        """Raises DataError if the tokenizer knows a token that the model does not: it has no embedding."""
        unknown = next((number for number in ids if number >= self.rows), None)
        if unknown is not None:
            token = self.tokenizer.convert_ids_to_tokens(unknown)
            raise DataError(f"{_place(request)}the prompt holds {token}, for which this model has no embedding")

    def _row(self, request: Request, prompt: list[int], key: tuple[int, int]) -> Row:
        random = np.random.default_rng([self.seed, *key]) if request.temperature > 0 else None
        how = (request.temperature, request.top_p, request.top_k, request.min_p, request.repetition_penalty)
        return Row(prompt, request.max_tokens, tuple(filter(None, request.until)), *how, random)

    def _completion(self, row: Row) -> Completion:
        text, ending = self.tokenizer.decode(row.tokens, skip_special_tokens=True), self._ending(row)
        ends = [text.find(stop) for stop in row.until if stop in text]
        if ends:
            return Completion(text=text[: min(ends)], stopped=False, tokens=len(row.tokens), ending=ending)
        return Completion(text=text, stopped=row.stopped, tokens=len(row.tokens), ending=ending)

    def _ending(self, row: Row) -> str | None:
        special = [row.end] if row.end is not None else [token for token in row.tokens if token in self.special]
        return str(self.tokenizer.convert_ids_to_tokens(special[0])) if special else None

    def _fitting(self, waiting: list[Row]) -> int:
        """How many of the first rows fit in memory together."""
        config = self.model.config.get_text_config()
        number = self.model.dtype.itemsize
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        per_token = 2 * config.num_hidden_layers * heads * width * number
        longest = len(waiting[0].prompt) + max(row.max_tokens for row in waiting)
        per_row = longest * per_token + len(waiting[0].prompt) * config.hidden_size * ACTIVATIONS * number
        return max(1, min(self.batch_rows, int(_free_bytes(self.model.device) / per_row), len(waiting)))


def _place(request: Request) -> str:
    """Where a request comes from, as the beginning of an error."""
    return f"{request.benchmark}, item {request.item}: " if request.benchmark else ""


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end a turn: the family's, and what plain `generate` would stop at."""
    configured = model.generation_config.eos_token_id
    listed = configured if isinstance(configured, list) else [] if configured is None else [configured]
    return frozenset([tokenizer.eos_token_id, *listed])


def _special(tokenizer: Any) -> frozenset[int]:
    """The tokens that decoding hides."""
    added = tokenizer.added_tokens_decoder.items()
    return frozenset([*tokenizer.all_special_ids, *(number for number, token in added if token.special)])


def _free_bytes(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] * 0.5
    return min(CPU_BUDGET, psutil.virtual_memory().available * 0.25)
