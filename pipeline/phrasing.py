"""How an item is asked besides by its question: what it is looked for by in training data (`pipeline.overlap`).

An item gets `phrased`: in it `prompt`, the user's turn, where that asks it in words that its question alone does not
tell (a short question, or one whose words stand apart in the prompt), and `pieces`, the values that a task of the
user's own puts into its prompt's holes, where they are several.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

from pipeline.task_items import holes
from pipeline.wording import Stand, fold, stand, words

Item = dict[str, Any]


class Phrasing(NamedTuple):
    """All that an item is looked for by. `prompt` asks the question in more words; `pieces` are what it consists of."""

    question: str
    prompt: str = ""
    pieces: tuple[str, ...] = ()


def phrasing(item: Item) -> Phrasing:
    """The phrasing of an item that went through `phrased`. Raises KeyError: it has no question."""
    more = item.get("phrased") or {}
    return Phrasing(str(item["question"]), more.get("prompt", ""), tuple(more.get("pieces", ())))


def phrased(item: Item, task: ModuleType) -> Item:
    """An item with the other ways to ask it, as the `utils.py` of its benchmark tells them."""
    question, asked = str(item["question"]), _prompt(item, task)
    more: dict[str, Any] = {}
    if asked and (stand(fold(question)) is not Stand.ANYWHERE or not _holds(asked, question)):
        more["prompt"] = asked
    template, row = getattr(task, "PROMPT", None), item.get("row")
    if isinstance(template, str) and isinstance(row, dict):
        pieces = [text for name in holes(template) if (text := str(row.get(name, ""))).strip()]
        if len(pieces) > 1:
            more["pieces"] = pieces
    return {**item, "phrased": more} if more else item


def _prompt(item: Item, task: ModuleType) -> str:
    ask = getattr(task, "question", None)
    asked = ask(item) if callable(ask) else ""
    return asked if isinstance(asked, str) and asked != item["question"] else ""


def _holds(text: str, question: str) -> bool:
    return "".join(words(fold(question))) in "".join(words(fold(text)))
