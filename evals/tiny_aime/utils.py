"""tiny_aime: worked arithmetic with two unknowns; the last line of the answer is `ANSWER: N`."""

from __future__ import annotations

import re
from typing import Any

from pipeline import worlds
from pipeline.answers.numbers import lenient_number, same_number
from pipeline.task_items import Documents, splits

FINAL_LINE = re.compile(r"ANSWER: (\d{1,3})")


def dataset(**metadata: Any) -> dict[str, Documents]:
    """The items, as lm-eval wants them."""
    return splits("tiny_aime", **metadata)


def strict(text: str, answer: str) -> bool:
    """Whether the last line is exactly `ANSWER: N` with the right N, a whole number from 0 to 999."""
    lines = text.strip().splitlines()
    found = FINAL_LINE.fullmatch(lines[-1]) if lines else None
    return found is not None and int(found[1]) == int(answer)


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Strict, and lenient: the number that a reader takes for the answer."""
    text, answer = results[0], doc["answer"]
    is_strict = strict(text, answer)
    return {"strict": float(is_strict), "lenient": float(is_strict or same_number(lenient_number(text), answer))}


def few_shot_question(doc: dict[str, Any]) -> str:
    """The question in raw text."""
    return f"Question: {doc['question']}\nAnswer:"


def few_shot_answer(doc: dict[str, Any]) -> str:
    """A worked answer in raw text."""
    return worlds.get("contests").respond(doc, "worked")
