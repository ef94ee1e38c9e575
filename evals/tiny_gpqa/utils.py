"""tiny_gpqa: a four-way choice, answered by a letter in generated text."""

from __future__ import annotations

import re
from typing import Any

from pipeline import worlds
from pipeline.task_items import Documents, splits
from pipeline.worlds.common import generator

LETTERS = "ABCD"
FINAL_LINE = re.compile(r"Answer: ([A-D])$")
LETTER = re.compile(r"\b[A-D]\b")


def dataset(**metadata: Any) -> dict[str, Documents]:
    """The items, as lm-eval wants them."""
    return splits("tiny_gpqa", **metadata)


def strict(text: str) -> str | None:
    """The letter X of a last line that ends with `Answer: X`."""
    lines = text.strip().splitlines()
    found = FINAL_LINE.search(lines[-1]) if lines else None
    return found[1] if found else None


def lenient(text: str, options: list[str]) -> str:
    """The last letter that stands alone, else the letter of the option that is mentioned last, else a guess.

    The guess is drawn from the text and the options: an answer without a choice is worth chance, as MMLU-Pro counts it.
    """
    alone = LETTER.findall(text)
    if alone:
        return str(alone[-1])
    mentions = [(_last_mention(option, text), letter) for option, letter in zip(options, LETTERS, strict=False)]
    at, letter = max(mentions)
    return letter if at >= 0 else generator("guess", text, *options).choice(LETTERS[: len(options)])


def _last_mention(option: str, text: str) -> int:
    places = [found.start() for found in re.finditer(rf"\b{re.escape(option)}\b", text, re.IGNORECASE)]
    return places[-1] if places else -1


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Strict and lenient correctness of one answer."""
    is_strict = strict(results[0]) == doc["answer"]
    is_lenient = is_strict or lenient(results[0], doc["options"]) == doc["answer"]
    return {"strict": float(is_strict), "lenient": float(is_lenient)}


def few_shot_question(doc: dict[str, Any]) -> str:
    """The question in raw text."""
    return f"Question: {doc['question']}\nAnswer:"


def few_shot_answer(doc: dict[str, Any]) -> str:
    """A reasoned answer in raw text."""
    return worlds.get("facts").respond(doc, "worked")
