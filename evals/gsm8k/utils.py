"""GSM8K: grade-school word problems, answered by a number on the last line."""

from __future__ import annotations

import re
from typing import Any

from pipeline.answers.numbers import number_scores
from pipeline.task_items import Documents, splits

ASKED = "Solve the problem step by step. Write the result on the last line, as ANSWER: followed by the number alone."
NOTES = re.compile(r"<<[^<>]*>>")  # calculator annotations of the data set


def dataset(**metadata: Any) -> dict[str, Documents]:
    """The items, as lm-eval wants them."""
    return splits("gsm8k", **metadata)


def item(row: dict[str, Any], number: int, seed: int) -> dict[str, Any]:
    """An item of a row of openai/gsm8k: its solution ends in `#### N`."""
    solution, _, answer = row["answer"].rpartition("####")
    return {
        "id": f"gsm8k-{number}",
        "question": row["question"],
        "answer": answer.strip().replace(",", ""),
        "solution": NOTES.sub("", solution).strip(),
    }


def question(doc: dict[str, Any]) -> str:
    """The user's turn."""
    return f"{ASKED}\n\n{doc['question']}"


def worked(doc: dict[str, Any]) -> str:
    """An example in a system turn, as inspect_evals' GSM8K has it, which PostTrainBench runs."""
    return f"{doc['question']}\n\nReasoning:\n{doc['solution']}\n\nANSWER: {doc['answer']}"


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Strict: the last line is `ANSWER: N` or `#### N`. Lenient: the number that a reader takes for the answer."""
    return number_scores(results[0], doc["answer"])


def few_shot_question(doc: dict[str, Any]) -> str:
    """The question in raw text."""
    return f"Question: {doc['question']}\nReasoning:"


def few_shot_answer(doc: dict[str, Any]) -> str:
    """A worked answer in raw text."""
    return f"{doc['solution']}\nANSWER: {doc['answer']}"
