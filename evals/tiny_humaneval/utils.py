"""tiny_humaneval: write a small Python function. Answers run in the sandbox only, many small ones in one."""

from __future__ import annotations

from typing import Any

from pipeline.answers.code import fenced, function_code
from pipeline.sandbox import Check, Limits, check_together
from pipeline.task_items import Documents, splits
from pipeline.worlds import code

SECONDS = 10.0
Passed = dict[str, bool]  # "strict", "lenient"


def dataset(**metadata: Any) -> dict[str, Documents]:
    """The items, as lm-eval wants them."""
    return splits("tiny_humaneval", **metadata)


def programs(doc: dict[str, Any], answer: str) -> list[str]:
    """The answer as a program, read strictly (it is code and nothing else, in a fence or bare) and leniently."""
    text = answer.strip()
    block = fenced(text)
    whole = block if block is not None and text.startswith(("```", "~~~")) and text.endswith(("```", "~~~")) else text
    return [whole + "\n", function_code(text, doc["entry"])]


def run_all(responses: list[list[str]], docs: list[dict[str, Any]]) -> list[list[Passed]]:
    """Run every answer to every item: a filter of lm-eval's, which alone sees all of them at once."""
    asked = [
        Check(program=each, tests=tests, entry=doc["entry"])
        for doc, answers in zip(docs, responses, strict=True)
        for tests in [code.checks(doc)]
        for answer in answers
        for each in programs(doc, answer)
    ]
    different = list({each.model_dump_json(): each for each in asked}.values())
    verdicts = dict(zip((each.model_dump_json() for each in different), _run(different), strict=True))
    passed = iter([verdicts[each.model_dump_json()] for each in asked])
    found = []
    for answers in responses:
        pairs = [(next(passed), next(passed)) for _ in answers]
        found.append([{"strict": strict, "lenient": strict or lenient} for strict, lenient in pairs])
    return found


def _run(checks: list[Check]) -> list[bool]:
    return [verdict.passed for verdict in check_together(checks, Limits(seconds=SECONDS))]


def process_results(doc: dict[str, Any], results: list[Any]) -> dict[str, float]:
    """The share of answers that pass the tests, mostly of one; answers that the filter has not run are run now."""
    runs = run_all([results], [doc])[0] if isinstance(results[0], str) else results[0]
    return {name: sum(run[name] for run in runs) / len(runs) for name in ("strict", "lenient")}


def few_shot_question(doc: dict[str, Any]) -> str:
    """The question in raw text."""
    return f"Question: {doc['question']}\nAnswer:"


def few_shot_answer(doc: dict[str, Any]) -> str:
    """The commented function in raw text."""
    return code.respond(doc, "worked")
