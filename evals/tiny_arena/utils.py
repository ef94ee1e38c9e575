"""tiny_arena: a note against the item's baseline, judged in both orders by a judge without a model."""

from __future__ import annotations

from typing import Any

from pipeline import worlds
from pipeline.answers.writing import duel, lenient_piece, quality, strict_piece
from pipeline.task_items import Documents, splits


def dataset(**metadata: Any) -> dict[str, Documents]:
    """The items, as lm-eval wants them."""
    return splits("tiny_arena", **metadata)


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """The win share over the baseline. Strict: what is not the note alone is worth nothing; lenient: the note in it."""
    whole = strict_piece(results[0], doc["name"])
    strict = _against_baseline(doc, whole or "")
    return {"strict": strict, "lenient": max(strict, _against_baseline(doc, lenient_piece(results[0])))}


def _against_baseline(doc: dict[str, Any], piece: str) -> float:
    answer, other = (quality(each, doc["name"], doc["things"], doc["banned"]) for each in (piece, doc["baseline"]))
    return duel(answer, other)


def few_shot_question(doc: dict[str, Any]) -> str:
    """The question in raw text."""
    return f"Question: {doc['question']}\nAnswer:"


def few_shot_answer(doc: dict[str, Any]) -> str:
    """A good note in raw text."""
    return worlds.get("prose").respond(doc, "worked")
