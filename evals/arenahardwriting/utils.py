"""Arena-Hard v2.0, creative writing: a judge compares each answer with the baseline's, in both orders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.judges import pairwise
from pipeline.judges.ask import Question
from pipeline.task_items import Documents, splits, unjudged

OUTPUT_TOKENS = pairwise.OUTPUT_TOKENS
read = pairwise.read


def dataset(**metadata: Any) -> dict[str, Documents]:
    """The items, as lm-eval wants them."""
    return splits("arenahardwriting", **metadata)


def belongs(row: dict[str, Any]) -> bool:
    """Arena-Hard's own file has coding and maths, too."""
    return bool(row.get("category") == "creative_writing")


def item(row: dict[str, Any], number: int, seed: int) -> dict[str, Any]:
    """An item of a request and the baseline's answer to it; `answer` is that answer."""
    baseline = row["messages"][-1]["content"]
    text = baseline["answer"] if isinstance(baseline, dict) else baseline
    return {"id": row["uid"], "question": row["prompt"], "answer": text.strip(), "baseline": row["model"]}


def question(doc: dict[str, Any]) -> str:
    """The user's turn."""
    return str(doc["question"])


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Nothing is known yet: see `questions` and `result`."""
    return unjudged()


def questions(doc: dict[str, Any], answer: str) -> list[Question]:
    """The comparison in both orders; none where the answer is the baseline's own."""
    return pairwise.questions(doc["question"], doc["answer"], answer)


def result(doc: dict[str, Any], verdicts: Sequence[str | None]) -> dict[str, Any]:
    """The share of games won, and their number."""
    return pairwise.result(verdicts)


def few_shot_question(doc: dict[str, Any]) -> str:
    """The request in raw text."""
    return f"Request:\n{doc['question'].strip()}\n\nAnswer:"


def few_shot_answer(doc: dict[str, Any]) -> str:
    """The baseline's answer."""
    return str(doc["answer"])
