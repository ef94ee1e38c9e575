"""HumanEval: complete a Python function. Answers run in the sandbox only, their tests in a process of their own."""

from __future__ import annotations

import re
from typing import Any

from pipeline.answers.code import defines, fenced, function_code, plain
from pipeline.sandbox import Check, Limits, check_all
from pipeline.task_items import Documents, splits

ASKED = "Complete this Python function. Answer with the code of the whole function in one code block and nothing else."
FUTURE = re.compile(r"^from __future__ import [^\n]*\n", re.MULTILINE)
SECONDS = 30.0  # as PostTrainBench
Passed = dict[str, bool]  # "strict", "lenient"


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
    """The prompt and the answer as one program. Strictly, code stands in fences or is the whole answer."""
    code = fenced(answer, doc["entry"]) if strict else function_code(answer, doc["entry"])
    code = plain(answer) if code is None else code
    if not defines(code, doc["entry"]):
        return f"{doc['question']}{code}\n"  # a continuation of the prompt
    first = "".join(FUTURE.findall(code))  # Python has it only at the top
    return f"{first}{_imports(doc)}\n{FUTURE.sub('', code)}\n"


def _imports(doc: dict[str, Any]) -> str:
    """What the prompt defines before the function: imports and helpers."""
    return str(doc["question"]).rpartition(f"def {doc['entry']}")[0]


def checks(doc: dict[str, Any], answer: str) -> tuple[Check, Check]:
    """What stands in the fence, and what a reader takes for the function; often they are equal."""
    prompt = f"{doc['question']}    pass\n"
    strict, lenient = (
        Check(program=program(doc, answer, strictly), tests=doc["tests"], entry=doc["entry"], prompt=prompt)
        for strictly in (True, False)
    )
    return strict, lenient


def run_all(responses: list[list[str]], docs: list[dict[str, Any]]) -> list[list[Passed]]:
    """Run every answer to every item: a filter of lm-eval's, which alone sees all of them at once.

    So all cores are busy, and the sandbox of the next program starts while the last one runs.
    """
    pairs = [[checks(doc, each) for each in answers] for doc, answers in zip(docs, responses, strict=True)]
    different = list(dict.fromkeys(check for answers in pairs for pair in answers for check in pair))
    verdicts = dict(zip(different, check_all(different, Limits(seconds=SECONDS)), strict=True))
    passed = [[(verdicts[strict].passed, verdicts[lenient].passed) for strict, lenient in each] for each in pairs]
    return [[{"strict": strict, "lenient": strict or lenient} for strict, lenient in each] for each in passed]


def process_results(doc: dict[str, Any], results: list[Any]) -> dict[str, float]:
    """The share of answers that pass the tests, mostly of one; answers that the filter has not run are run now."""
    runs = run_all([results], [doc])[0] if isinstance(results[0], str) else results[0]
    return {name: sum(run[name] for run in runs) / len(runs) for name in ("strict", "lenient")}


def few_shot_question(doc: dict[str, Any]) -> str:
    """The question in raw text."""
    return f"Question:\n{doc['question'].rstrip()}\n"


def few_shot_answer(doc: dict[str, Any]) -> str:
    """The body as it is, which continues the question; blank lines do not end an answer."""
    return str(doc["answer"]).rstrip()
