"""HumanEval as it is asked and run: bodies continue raw text, and programs of several items run at the same time."""

from __future__ import annotations

import ast
import os
import shutil
import threading
from collections.abc import Sequence

import pytest

from pipeline import benchmarks
from pipeline.sandbox import checks
from pipeline.scorers import harness
from pipeline.set_items import utils
from pipeline.types import Completion, Request
from tests.answers.test_real_items import humaneval

BENCHMARK = benchmarks.load_benchmark("humaneval")
TASK = utils(BENCHMARK.folder)
sandboxed = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


class Scripted:
    """An engine that gives known answers, and ends those to raw text where the task says so."""

    def __init__(self, answers: Sequence[str]) -> None:
        self.answers = answers
        self.asked: list[Request] = []
        self.given: list[str] = []

    def generate(self, requests: Sequence[Request]) -> list[list[Completion]]:
        self.asked = list(requests)
        for text, request in zip(self.answers, requests, strict=True):
            self.given.append(text[: min([text.find(stop) for stop in request.until if stop in text], default=None)])
        return [[Completion(text=text, stopped=True, tokens=9)] for text in self.given]


def item(number: int) -> dict:
    """A function that adds its number; its body holds a blank line and the word that begins a question."""
    return {
        "id": f"HumanEval/{number}",
        "question": f'import math\n\n\ndef add_{number}(x):\n    """Adds {number}."""\n',
        "answer": f"    text = 'Question: {number}'\n\n    return x + math.floor({number}.5)\n",
        "tests": f"def check(candidate):\n    assert candidate(1) == {number + 1}\n",
        "entry": f"add_{number}",
    }


ITEMS = [item(number) for number in range(7)]
GOES_ON = (
    "\n\nQuestion:\nimport", "\n\n\ndef main():\n    pass", "\nclass A:", "\nif __name__ == '__main__':\n    add",
    "\nprint(1"
)  # fmt: skip


def examples(engine: Scripted) -> list[str]:
    """The worked examples before the first question."""
    return engine.asked[0].text.split("Question:\n")[1:-1]


@sandboxed
def test_a_base_model_s_answer_is_the_whole_body_and_nothing_after_it():
    bodies = [each["answer"].rstrip() for each in ITEMS[2:]]
    engine = Scripted([body + after for body, after in zip(bodies, GOES_ON, strict=True)])
    results = harness.score(engine, BENCHMARK, ITEMS[2:], few_shot=2, shots=ITEMS[:2])
    assert [text.rstrip() for text in engine.given] == bodies
    assert [result["strict"] for result in results] == [1.0] * 5
    assert [example.rstrip() for example in examples(engine)] == [
        each["question"] + each["answer"].rstrip() for each in ITEMS[:2]
    ]


def test_canonical_bodies_survive_the_stop_texts_and_examples_are_python(monkeypatch):
    items = humaneval()
    bodies = [each["answer"].rstrip() for each in items[3:]]
    engine = Scripted([body + GOES_ON[0] for body in bodies])
    monkeypatch.setattr(checks, "_examine", lambda *_: checks.Verdict(passed=False))  # only what is asked and given
    monkeypatch.setattr(checks, "Guest", lambda *_: None)
    harness.score(engine, BENCHMARK, items[3:], few_shot=3, shots=items[:3])
    assert [text.rstrip() for text in engine.given] == bodies and sum("\n\n" in body for body in bodies) > 30
    assert len(examples(engine)) == 3 and all(ast.parse(example) for example in examples(engine))


@sandboxed
def test_programs_of_several_items_run_at_the_same_time_and_each_item_gets_its_own_verdict(monkeypatch):
    programs = [f"```python\n{each['question']}{each['answer']}```" for each in ITEMS]
    answers = [*programs[:4], f"{ITEMS[4]['question']}{ITEMS[4]['answer']}\nThat is all.", "no idea", programs[0]]
    alone = [TASK.process_results(each, [answer]) for each, answer in zip(ITEMS, answers, strict=True)]
    met, examine, ran = threading.Barrier(2), checks._examine, []

    def together(asked, *guests):
        ran.append(asked)
        if len(ran) <= 2:
            met.wait(60)  # for the other one's: raises where programs run one after the other
        return examine(asked, *guests)

    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    monkeypatch.setattr(checks, "_examine", together)
    results = harness.score(Scripted(answers), BENCHMARK, ITEMS)
    assert [(each["strict"], each["lenient"]) for each in results] == [(1, 1)] * 4 + [(0, 1), (0, 0), (0, 0)]
    assert [{name: each[name] for name in ("strict", "lenient")} for each in results] == alone
    assert len(ran) == len(set(ran)) == 8  # a program that is the same strictly and leniently runs once
    assert ran[0].entry != ran[1].entry


@sandboxed
def test_of_several_answers_to_one_item_the_share_that_passes_counts():
    body = ITEMS[1]["answer"]
    found = TASK.process_results(ITEMS[1], [body, "no", f"Here:\n{ITEMS[1]['question']}{body}\nThat is all.", "no"])
    assert found == {"strict": 0.25, "lenient": 0.5}


DOUBLE = {
    "question": 'from typing import List\n\n\ndef twice(xs: List[int]) -> List[int]:\n    """Each one twice."""\n',
    "tests": "def check(candidate):\n    assert candidate([1, 2]) == [2, 4]\n",
    "entry": "twice",
}
BODY = (
    "    def twice_one(x):\n        return 2 * x\n    # def twice stands above\n    return [twice_one(x) for x in xs]\n"
)
WHOLE = "def twice(xs: List[int]) -> List[int]:\n    return [2 * x for x in xs]\n"
FENCE = f"```python\n{WHOLE}```"


@sandboxed
def test_a_right_program_counts_however_it_is_written_and_a_wrong_one_never():
    right = [
        BODY,
        f"```python\n{BODY}```",
        f"from __future__ import annotations\n{WHOLE}",
        f"```python\nfrom __future__ import annotations\nimport sys\n\n\n{WHOLE}```",
        f"1. The function:\n   ```python\n   {WHOLE.replace(chr(10), chr(10) + '   ')}\n   ```\n2. Done.",
        f"{FENCE}\nDone.\n".replace("\n", "\r\n"),
        f"{FENCE}\n\n```python\nprint(twice([int(input())]))\n```",
        f"```python\ndef one(x):\n    return 2 * x\n```\n```python\n{WHOLE.replace('2 * x', 'one(x)')}```",
        f"{FENCE}<|im_end|>",
        f"\ufeff{WHOLE}",
        f"<think>\nHm.\n</think>\n{WHOLE}",
        f"{WHOLE}\nif __name__ == '__main__':\n    print(twice([int(input())]))\n",
    ]
    wrong = [answer.replace("2 * x", "3 * x") for answer in right]
    passed = TASK.run_all([right, [f"{WHOLE}\nDone"], wrong], [DOUBLE] * 3)
    assert passed[0] == [{"strict": True, "lenient": True}] * len(right)
    assert passed[1] == [{"strict": False, "lenient": True}]
    assert passed[2] == [{"strict": False, "lenient": False}] * len(right)
