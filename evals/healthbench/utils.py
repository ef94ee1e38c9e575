"""HealthBench easy: the assistant's next turn of a conversation, held against physicians' criteria by a judge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.judges import rubric
from pipeline.judges.ask import Question
from pipeline.task_items import Documents, splits, unjudged

OUTPUT_TOKENS = rubric.OUTPUT_TOKENS
TURNS, NEGATIVE = 5, 2  # PostTrainBench's easy subset: at least so many turns, at most so many negative criteria
COMPLETENESS = "axis:completeness"  # and at least one criterion of this kind
read = rubric.read


def dataset(**metadata: Any) -> dict[str, Documents]:
    """The items, as lm-eval wants them."""
    return splits("healthbench", **metadata)


def belongs(row: dict[str, Any]) -> bool:
    """Whether a row of openai/healthbench is one of the easy ones (all 245 of PostTrainBench's copy are)."""
    criteria = row["rubrics"]
    negative = sum(each["points"] < 0 for each in criteria)
    is_on_completeness = any(COMPLETENESS in each["tags"] for each in criteria)
    return len(row["prompt"]) >= TURNS and negative <= NEGATIVE and is_on_completeness and negative < len(criteria)


def item(row: dict[str, Any], number: int, seed: int) -> dict[str, Any]:
    """An item of a conversation: `messages`, and its criteria with their points.

    `question` is the longest thing that the user says, by which the conversation is recognised in training data;
    `answer` the physicians' own, where the data set has one.
    """
    messages = [{"role": turn["role"], "content": turn["content"]} for turn in row["prompt"]]
    ideal = row.get("ideal_completions_data") or {}
    return {
        "id": row["prompt_id"],
        "question": max((turn["content"] for turn in messages if turn["role"] == "user"), key=len),
        "about": [turn["content"] for turn in messages],
        "messages": messages,
        "criteria": [{"criterion": each["criterion"], "points": each["points"]} for each in row["rubrics"]],
        "answer": (ideal.get("ideal_completion") or "").strip(),
    }


def question(doc: dict[str, Any]) -> str:
    """The conversation in one text, for lm-eval alone; our engines get its `messages`."""
    return "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in doc["messages"])


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Nothing is known yet: see `questions` and `result`."""
    return unjudged()


def questions(doc: dict[str, Any], answer: str) -> list[Question]:
    """One question per criterion."""
    return rubric.questions(doc["messages"], answer, doc["criteria"])


def result(doc: dict[str, Any], verdicts: Sequence[bool | None]) -> dict[str, Any]:
    """The points of the criteria that are met over the positive points."""
    return rubric.result(doc["criteria"], verdicts)


def few_shot_question(doc: dict[str, Any]) -> str:
    """The conversation in raw text."""
    return f"Conversation:\n{question(doc)}\n\nassistant:"


def few_shot_answer(doc: dict[str, Any]) -> str:
    """The physicians' answer, or what the assistant said before where there is none."""
    return str(doc["answer"]) or next(turn["content"] for turn in doc["messages"] if turn["role"] == "assistant")
