"""GPQA main: graduate-level questions with four options, whose order is shuffled by the seed."""

from __future__ import annotations

import random
from typing import Any

from pipeline.answers.choices import LETTERS, lenient_choice, strict_choice
from pipeline.task_items import Documents, splits

ASKED = (
    "Choose the right option. Think step by step, and write your choice on the last line, as ANSWER: followed by its "
    "letter alone."
)
WRONG = ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")


def dataset(**metadata: Any) -> dict[str, Documents]:
    """The items, as lm-eval wants them."""
    return splits("gpqamain", **metadata)


def item(row: dict[str, Any], number: int, seed: int) -> dict[str, Any]:
    """An item of a row of Idavidrein/gpqa."""
    right, wrong = row["Correct Answer"].strip(), [row[column].strip() for column in WRONG]
    options = [right, *wrong]
    random.Random(f"gpqa/{seed}/{row['Question']}").shuffle(options)
    return {
        "id": f"gpqa-{row.get('Record ID', number)}",
        "question": row["Question"].strip(),
        "options": options,
        "answer": LETTERS[options.index(right)],
    }


def reshuffled(doc: dict[str, Any], number: int) -> dict[str, Any]:
    """The item as answer `number` of several is asked for: the first as it is, the others with another order each."""
    if not number:
        return doc
    options, right = list(doc["options"]), doc["options"][LETTERS.index(doc["answer"])]
    random.Random(f"gpqa/{number}/{doc['question']}/{options}").shuffle(options)
    return {**doc, "options": options, "answer": LETTERS[options.index(right)]}


def question(doc: dict[str, Any]) -> str:
    """The user's turn."""
    shown = "\n".join(f"{letter}) {option}" for letter, option in zip(LETTERS, doc["options"], strict=False))
    return f"{ASKED}\n\n{doc['question']}\n\n{shown}"


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Strict: the last line is `ANSWER: X`. Lenient: the option that a reader takes for the choice."""
    strict = strict_choice(results[0], len(doc["options"])) == doc["answer"]
    lenient = strict or lenient_choice(results[0], doc["options"]) == doc["answer"]
    return {"strict": float(strict), "lenient": float(lenient)}


def few_shot_question(doc: dict[str, Any]) -> str:
    """The question in raw text."""
    shown = "\n".join(f"{letter}) {option}" for letter, option in zip(LETTERS, doc["options"], strict=False))
    return f"Question: {doc['question']}\n{shown}\n"


def few_shot_answer(doc: dict[str, Any]) -> str:
    """The letter alone."""
    return f"ANSWER: {doc['answer']}"
