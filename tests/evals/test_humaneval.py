"""HumanEval as it is asked and run: programs of several items run at the same time."""

from __future__ import annotations

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
