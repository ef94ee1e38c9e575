"""A search's state as JSON, cut to the room that a model's context leaves beside the prompt."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.providers.talk import tokens

State = dict[str, Any]
Trim = Callable[[State], bool]
LINE = 80  # characters of a summary that a small context has room for
TELLING = (".data", ".tuning", ".learning_rate", ".rank")  # ends of the places that are cut last
FEW_PLACES, FEW_NAMED = 4, 2  # of the search space and of strategies, in the smallest context


class Fitted(NamedTuple):
    """What fits: a prompt, the state as JSON, and which one of the prompts it is, from 0."""

    system: str
    state: str
    number: int


def fitted(state: State, prompts: Sequence[str], budget_tokens: int, beside: Sequence[str] = ()) -> Fitted | None:
    """The first prompt beside which the state, cut, and the turns after it take at most so many tokens; None: none.

    The oldest trials go first, then dead ends, sample rows, cards' other parts; the last prompt, a short one, goes with
    what is left once places of the search space are cut, too.
    """
    for number, system in enumerate(prompts, start=1):
        room = budget_tokens - sum(map(tokens, (system, *beside)))
        text = _cut(copy.deepcopy(state), room, _TRIMS if number < len(prompts) else (*_TRIMS, *_LAST_TRIMS))
        if text is not None:
            return Fitted(system, text, number - 1)
    return None


def _cut(state: State, room: int, trims: Sequence[Trim]) -> str | None:
    for trim in [None, *trims]:
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


# ---------------------------------------------------------------- cuts: a step each time, False where none is left


def _drop_first(name: str, keep: int = 0) -> Trim:
    def trim(state: State) -> bool:
        if len(state.get(name) or ()) <= keep:
            return False
        state[name] = state[name][1:]
        return True

    return trim


def _drop_last(name: str, keep: int) -> Trim:
    def trim(state: State) -> bool:
        if len(state.get(name) or ()) <= keep:
            return False
        state[name] = state[name][:-1]
        return True

    return trim


def _drop(*names: str) -> Trim:
    def trim(state: State) -> bool:
        found = [name for name in names if name in state]
        for name in found:
            del state[name]
        return bool(found)

    return trim


def _drop_sample(keep: int) -> Trim:
    def trim(state: State) -> bool:
        cards = state.get("data_sources") or []
        longest = max(cards, key=lambda card: len(card.get("samples", ())), default=None)
        if longest is None or len(longest.get("samples", ())) <= keep:
            return False
        longest["samples"] = longest["samples"][:-1]
        return True

    return trim


def _cards_keep(*names: str) -> Trim:
    """Of each card only these parts, summaries cut to a line."""

    def trim(state: State) -> bool:
        cards = state.get("data_sources") or []
        short = [{name: _line(card[name]) for name in names if name in card} for card in cards]
        state["data_sources"], was = short, cards
        return short != was

    return trim


def _line(value: Any) -> Any:
    return value[:LINE] if isinstance(value, str) else value


def _fewer_places(state: State) -> bool:
    """One place of the search space less: those that say most stay."""
    places = state.get("search_space") or {}
    if len(places) <= FEW_PLACES:
        return False
    rank = {place: min((n for n, end in enumerate(TELLING) if place.endswith(end)), default=len(TELLING))
            for place in places}  # fmt: skip
    last = max(reversed(places), key=lambda place: rank[place])
    state["search_space"] = {place: value for place, value in places.items() if place != last}
    return True


def _fewer_parameters(state: State) -> bool:
    """Of the recipe only the parameters that the search space, as it is cut, still has."""
    places = state.get("search_space") or {}
    changed = False
    for number, stage in enumerate(state.get("recipe") or ()):
        kept = {key: value for key, value in stage["params"].items() if f"stages.{number}.params.{key}" in places}
        changed, stage["params"] = changed or kept != stage["params"], kept
    return changed


_TRIMS: tuple[Trim, ...] = (
    _drop_first("recent_trials", 6),
    _drop_sample(1),
    _drop_first("recent_trials", 2),
    _drop_first("dead_ends", 3),
    _drop_last("best_of_each_strategy", 2),
    _drop_sample(0),
)
_LAST_TRIMS: tuple[Trim, ...] = (
    _drop("published_anchors", "your_predictions", "base_model"),
    _drop_last("named_strategies", FEW_NAMED),
    _cards_keep("name", "rows", "summary"),
    _drop("filters"),
    _drop_first("dead_ends"),
    _fewer_parameters,
    _fewer_places,
    _fewer_parameters,
    _cards_keep("name"),
    _drop("best_of_each_strategy"),
    _drop("anchors", "optimiser"),
    _drop_first("recent_trials"),
    _drop("task"),
)
