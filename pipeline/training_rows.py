"""Rows -> token ids, once: rendered as evaluation renders, tokenised in one batched call, kept in the cache folder.

The loss covers the assistant's answers and the token that ends each of them, wherever an answer stands after exactly
what generation would have put before it, token by token. (Qwen3's template leaves its empty think block out of earlier
answers: of a conversation only the last one is trained there. So it is where an earlier answer's text would be read as
other tokens once it stands in the prompt of a later one.)
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from pipeline.chat import render
from pipeline.errors import DataError
from pipeline.family import Family
from pipeline.formats import RAW
from pipeline.paths import home, write_atomic

FORMAT = 2  # of the cached files: raise it when rows are tokenised differently

Row = dict[str, Any]  # {"messages": [...]}, and "tools" where there are any
Segment = tuple[str, bool]  # a piece of a rendered row, and whether it is an answer


@dataclass(frozen=True)
class Tokens:
    """The tokens of a source's rows, laid end to end: row i is `ids[ends[i]:ends[i + 1]]`."""

    ids: np.ndarray[Any, np.dtype[np.int32]]
    answers: np.ndarray[Any, np.dtype[np.bool_]]  # token by token: belongs to an answer
    ends: np.ndarray[Any, np.dtype[np.int64]]  # one more than rows, starting with 0

    @property
    def lengths(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Tokens per row."""
        return np.diff(self.ends)

    def row(self, index: int, answers_only: bool) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """A row's ids and labels (-100: no loss)."""
        ids = self.ids[self.ends[index] : self.ends[index + 1]]
        if not answers_only:
            return ids, ids
        return ids, np.where(self.answers[self.ends[index] : self.ends[index + 1]], ids, -100)


def tokens_of(name: str, rows: Sequence[Row], tokenizer: Any, family: Family) -> Tokens:
    """The tokens of source `name`'s rows, from the cache folder if they have been made before."""
    path = home() / "tokens" / f"{name}-{_fingerprint(rows, tokenizer, family)}.npz"
    found = _read(path)
    if found is None:
        found = tokenise(rows, tokenizer, family)
        buffer = io.BytesIO()
        np.savez(buffer, ids=found.ids, answers=found.answers, ends=found.ends)
        with contextlib.suppress(OSError):  # a full or read-only cache costs time, not the result
            write_atomic(path, buffer.getvalue())
    return found


def _read(path: Path) -> Tokens | None:
    try:
        with np.load(path) as arrays:
            return Tokens(arrays["ids"], arrays["answers"], arrays["ends"])
    except (OSError, ValueError, KeyError, EOFError):  # not there yet, or damaged: made anew
        return None


def _fingerprint(rows: Sequence[Row], tokenizer: Any, family: Family) -> str:
    decides = [FORMAT, tokenizers.__version__, tokenizer.chat_template, tokenizer.bos_token, family.model_dump()]
    summed = hashlib.sha256(json.dumps(decides, sort_keys=True).encode())
    summed.update(_vocabulary(tokenizer))
    summed.update(json.dumps(rows).encode())
    return summed.hexdigest()[:16]


def _vocabulary(tokenizer: Any) -> bytes:
    file = Path(str(tokenizer.name_or_path)) / "tokenizer.json"
    return file.read_bytes() if file.is_file() else tokenizer.backend_tokenizer.to_str().encode()


def tokenise(rows: Sequence[Row], tokenizer: Any, family: Family) -> Tokens:
    """The tokens of rows, with what belongs to an answer marked; none of a row that the chat template refuses."""
    pieces = [_segments(row, tokenizer, family) for row in rows]
    encoded = _encoded(pieces, tokenizer)
    _keep_to_evaluation(pieces, encoded, tokenizer)
    answers = [answer for segments in pieces for _, answer in segments]
    flat = list(chain.from_iterable(encoded))
    sizes = [len(ids) for ids in flat]
    ends_of_segments = [0, *accumulate(sizes)]
    counts = accumulate((len(segments) for segments in pieces), initial=0)
    return Tokens(
        ids=np.fromiter(chain.from_iterable(flat), np.int32, ends_of_segments[-1]),
        answers=np.repeat(np.array(answers, bool), np.array(sizes, np.int64)),
        ends=np.array([ends_of_segments[count] for count in counts], np.int64),
    )


def _encoded(pieces: list[list[Segment]], tokenizer: Any) -> list[list[list[int]]]:
    """The ids of every segment, row by row, from one batched call."""
    ids = iter(_ids([text for segments in pieces for text, _ in segments], tokenizer))
    return [[next(ids) for _ in segments] for segments in pieces]


def _ids(texts: list[str], tokenizer: Any) -> list[list[int]]:
    if not texts:
        return []
    found: list[list[int]] = tokenizer(texts, add_special_tokens=False, return_attention_mask=False)["input_ids"]
    return found


def _keep_to_evaluation(pieces: list[list[Segment]], encoded: list[list[list[int]]], tokenizer: Any) -> None:
    """Where several answers are trained: the last prompt in the tokens that evaluation reads it in, as one piece.

    If an earlier answer's first tokens would there be merged with what stands before it, only the last one is trained.
    """
    several = [number for number, segments in enumerate(pieces) if sum(answer for _, answer in segments) > 1]
    prompts = ["".join(text for text, _ in pieces[number][:-1]) for number in several]
    for number, prompt, ids in zip(several, prompts, _ids(prompts, tokenizer), strict=True):
        if ids != list(chain.from_iterable(encoded[number][:-1])):
            pieces[number] = [(prompt, False), pieces[number][-1]]
            encoded[number] = [ids, encoded[number][-1]]


def _segments(row: Row, tokenizer: Any, family: Family) -> list[Segment]:
    """A row's text in pieces that are tokenised apart, so that prompts get the tokens that they get in evaluation."""
    messages, tools = row["messages"], row.get("tools")
    if messages[0]["role"] == RAW:
        return [((family.bos or "") + messages[0]["content"], True)]
    try:
        whole = render(tokenizer, family, messages, False, tools)
        answered = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
        prompts = [render(tokenizer, family, messages[:index], True, tools) for index in answered]
    except DataError:  # a template may want turns that alternate: such a row cannot be asked either
        return []
    segments: list[Segment] = []
    done = 0
    for before in prompts:
        end = whole.find(family.end_of_turn, len(before)) + len(family.end_of_turn)
        if not whole.startswith(before) or end < len(before):
            continue
        segments += [(whole[done : len(before)], False), (whole[len(before) : end], True)]
        done = end
    # what follows the last answer (a line break) is never seen in evaluation: it is left out
    return segments or [(whole, False)]
