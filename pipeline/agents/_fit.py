"""A search's state as JSON, cut to the room that a model's context leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.providers.talk import tokens

State = dict[str, Any]


def fit(state: State, budget_tokens: int, fixed: str) -> str | None:
    """The state as JSON that, beside `fixed`, takes at most so many tokens; None if that cannot be.

    The oldest trials go first, then dead ends, sample rows, cards' other parts; never the search space.
    """
    room = budget_tokens - tokens(fixed)
    for trim in [None, *_TRIMS]:
        while trim is None or trim(state):
            text = dumps(state)
            if tokens(text) <= room:
                return text
            if trim is None:
                break
    return None


def dumps(state: Mapping[str, Any]) -> str:
    """JSON in which no text can be taken for a chat template's mark."""
    text = json.dumps(state, ensure_ascii=False, separators=(", ", ": "), allow_nan=False)
    text = text.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be sent
    return text.replace("<", "\\u003c").replace("[INST]", "\\u005bINST]").replace("[/INST]", "\\u005b/INST]")


def _drop_first(name: str, keep: int = 0) -> Callable[[State], bool]:
    def trim(state: State) -> bool:
        if len(state.get(name) or ()) <= keep:
            return False
        state[name] = state[name][1:]
        return True

    return trim


def _drop_last(name: str, keep: int) -> Callable[[State], bool]:
    def trim(state: State) -> bool:
        if len(state.get(name) or ()) <= keep:
            return False
        state[name] = state[name][:-1]
        return True

    return trim


def _drop_sample(keep: int) -> Callable[[State], bool]:
    def trim(state: State) -> bool:
        cards = state.get("data_sources") or []
        longest = max(cards, key=lambda card: len(card.get("samples", ())), default=None)
        if longest is None or len(longest.get("samples", ())) <= keep:
            return False
        longest["samples"] = longest["samples"][:-1]
        return True

    return trim


_TRIMS: tuple[Callable[[State], bool], ...] = (
    _drop_first("recent_trials", 6),
    _drop_sample(1),
    _drop_first("recent_trials", 2),
    _drop_first("dead_ends", 3),
    _drop_last("best_of_each_strategy", 2),
    _drop_sample(0),
    _drop_first("recent_trials"),
    _drop_first("dead_ends"),
)
