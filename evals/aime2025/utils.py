"""AIME 2025: competition problems whose answers are whole numbers from 0 to 999. AIME 2024 serves as search items."""

from __future__ import annotations

from typing import Any

from pipeline.answers.numbers import number_scores
from pipeline.task_items import Documents, splits

ASKED = (
    "Solve the problem step by step. Write the result on the last line, as ANSWER: followed by the whole number alone."
)


def dataset(**metadata: Any) -> dict[str, Documents]:
    """The items, as lm-eval wants them."""
    return splits("aime2025", **metadata)


def item(row: dict[str, Any], number: int, seed: int) -> dict[str, Any]:
    """An item of a row: `problem` and `answer` (AIME 2024's set also calls them `Problem` and `Answer`)."""
    told = {name.lower(): value for name, value in row.items()}
    return {"id": f"aime-{told.get('id', number)}", "question": told["problem"], "answer": str(told["answer"]).strip()}


def question(doc: dict[str, Any]) -> str:
    """The user's turn."""
    return f"{ASKED}\n\n{doc['question']}"


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Strict: the last line is `ANSWER: N`. Lenient: the number that a reader takes for the answer."""
    return number_scores(results[0], doc["answer"])


def few_shot_question(doc: dict[str, Any]) -> str:
    """The question in raw text."""
    return f"Question: {doc['question']}\n"


def few_shot_answer(doc: dict[str, Any]) -> str:
    """The answer alone: the data set has no solutions."""
    return f"ANSWER: {doc['answer']}"
