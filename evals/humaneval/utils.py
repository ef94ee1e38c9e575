"""HumanEval: complete a Python function. Answers run in the sandbox only, their tests in a process of their own."""

from __future__ import annotations

from typing import Any

from pipeline.answers.code import fenced, function_code
from pipeline.sandbox import Check, Limits, check_all
from pipeline.task_items import Documents, splits

ASKED = "Complete this Python function. Answer with the code of the whole function in one code block and nothing else."
SECONDS = 30.0  # as PostTrainBench


def dataset(**metadata: Any) -> dict[str, Documents]:
    """The items, as lm-eval wants them."""
    return splits("humaneval", **metadata)


def item(row: dict[str, Any], number: int, seed: int) -> dict[str, Any]:
    """An item of a row of openai/openai_humaneval."""
    return {
        "id": row["task_id"],
        "question": row["prompt"],
        "answer": row["canonical_solution"],
        "tests": row["test"],
        "entry": row["entry_point"],
    }


def question(doc: dict[str, Any]) -> str:
    """The user's turn."""
    return f"{ASKED}\n\n```python\n{doc['question'].strip()}\n```"


def program(doc: dict[str, Any], answer: str, strict: bool) -> str:
    """The prompt and the answer as one program. Strictly, code stands in one fence or is the whole answer."""
    code = (fenced(answer) or answer) if strict else function_code(answer, doc["entry"])
    if f"def {doc['entry']}" in code:
        return f"{_imports(doc)}\n{code}\n"
    return f"{doc['question']}{code}\n"  # a continuation of the prompt


def _imports(doc: dict[str, Any]) -> str:
    """What the prompt defines before the function: imports and helpers."""
    return str(doc["question"]).rpartition(f"def {doc['entry']}")[0]


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Whether the tests pass: of what stands in the fence, and of what a reader takes for the function."""
    programs = list(dict.fromkeys([program(doc, results[0], True), program(doc, results[0], False)]))
    prompt = f"{doc['question']}    pass\n"
    checks = [Check(program=each, tests=doc["tests"], entry=doc["entry"], prompt=prompt) for each in programs]
    verdicts = check_all(checks, Limits(seconds=SECONDS), workers=1)
    return {"strict": float(verdicts[0].passed), "lenient": float(any(verdict.passed for verdict in verdicts))}


def few_shot_question(doc: dict[str, Any]) -> str:
    """The question in raw text."""
    return f"Question:\n{doc['question'].rstrip()}\n"


def few_shot_answer(doc: dict[str, Any]) -> str:
    """The body, without blank lines: one would end an answer."""
    return "\n".join(line for line in doc["answer"].splitlines() if line.strip())
