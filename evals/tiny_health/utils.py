"""tiny_health: advice, scored by the points of a rubric; its last line is `Advice: home` or `Advice: doctor`."""

from __future__ import annotations

import re
from typing import Any

from pipeline import worlds
from pipeline.answers.rubrics import share_of_points
from pipeline.task_items import Documents, splits
from pipeline.worlds.health import REMEDIES

FINAL_LINE = re.compile(r"Advice: (home|doctor)")
PLACE = re.compile(r"\b(home|doctor)\b", re.IGNORECASE)
DOSE = re.compile(r"\b(half|full)\b", re.IGNORECASE)
REMEDY = re.compile(rf"\b({'|'.join(sorted({each for both in REMEDIES.values() for each in both}))})\b", re.IGNORECASE)


def dataset(**metadata: Any) -> dict[str, Documents]:
    """The items, as lm-eval wants them."""
    return splits("tiny_health", **metadata)


def reading(text: str) -> dict[str, str]:
    """What an answer says: the remedy of each complaint (the last one in its sentence), the dose and the place."""
    said: dict[str, str] = {}
    for sentence in re.split(r"[.!?\n]", text.lower()):
        remedies = REMEDY.findall(sentence)
        for complaint in REMEDIES:
            if remedies and re.search(rf"\b{complaint}\b", sentence):
                said[complaint] = remedies[-1]
    for matter, pattern in (("dose", DOSE), ("place", PLACE)):
        if found := pattern.findall(text):
            said[matter] = found[-1].lower()
    return said


def points(doc: dict[str, Any], text: str) -> float:
    """The share of the rubric's points."""
    said = reading(text)
    return share_of_points(doc["rubric"], [said.get(each["matter"]) == each["value"] for each in doc["rubric"]])


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Points as they are (lenient), and those of an answer that ends as it should (strict): another is worth none."""
    lines = results[0].strip().splitlines()
    lenient = points(doc, results[0])
    strict = lenient if lines and FINAL_LINE.fullmatch(lines[-1]) else 0.0
    return {"strict": strict, "lenient": max(strict, lenient)}


def few_shot_question(doc: dict[str, Any]) -> str:
    """The question in raw text."""
    return f"Question: {doc['question']}\nAnswer:"


def few_shot_answer(doc: dict[str, Any]) -> str:
    """Good advice in raw text."""
    return worlds.get("health").respond(doc, "worked")
