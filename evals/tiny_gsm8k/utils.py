"""tiny_gsm8k: worked arithmetic; the last line of the answer is `#### N`."""

from __future__ import annotations

import re
from typing import Any

from pipeline import worlds
from pipeline.task_items import Documents, splits

FINAL_LINE = re.compile(r"#### (-?\d{1,300})")  # more digits than Python reads are no answer
NUMBER = re.compile(r"(?<![\d.])-?\d[\d,]*(?:\.\d+)?")


def dataset(**metadata: Any) -> dict[str, Documents]:
    """The items, as lm-eval wants them."""
    return splits("tiny_gsm8k", **metadata)


def strict(text: str, answer: str) -> bool:
    """Whether the last line is exactly `#### N` with the right N."""
    lines = text.strip().splitlines()
    found = FINAL_LINE.fullmatch(lines[-1]) if lines else None
    return found is not None and int(found[1]) == int(answer)


def lenient(text: str, answer: str) -> bool:
    """Whether the last number anywhere in the text is right."""
    numbers = NUMBER.findall(text)
    return bool(numbers) and float(numbers[-1].replace(",", "")) == float(answer)


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Strict and lenient correctness of one answer."""
    text, answer = results[0], doc["answer"]
    is_strict = strict(text, answer)
    return {"strict": float(is_strict), "lenient": float(is_strict or lenient(text, answer))}


def few_shot_question(doc: dict[str, Any]) -> str:
    """The question in raw text."""
    return f"Question: {doc['question']}\nAnswer:"


def few_shot_answer(doc: dict[str, Any]) -> str:
    """A worked answer in raw text."""
    return worlds.get("maths").respond(doc, "worked")
