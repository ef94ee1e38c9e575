"""What counts in the tiny benchmarks of puzzles, code, notes and advice."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from pipeline import benchmarks, evaluate, gain, noise, worlds
from pipeline.scorers import harness
from pipeline.types import Completion, ItemsKey
from pipeline.worlds.health import rubric
from tests.tasks import judged, utils

sandboxed = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
KEY = ItemsKey(lab_seed=2)


class Scripted:
    """An engine that gives known answers."""

    def __init__(self, answers: list[str]) -> None:
        self.answers = answers

    def generate(self, requests: list) -> list[list[Completion]]:
        return [[Completion(text=text, stopped=True, tokens=9)] for text in self.answers]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("a + b: 3 + 4 = 7.\nANSWER: 7", (1, 1)),
        ("ANSWER: 007\n", (1, 1)),
        ("The answer is 7.", (0, 1)),
        ("ANSWER: 7.", (0, 1)),
        ("answer: 7", (0, 1)),
        ("\\boxed{7}", (0, 1)),
        ("ANSWER: 7\nor not", (0, 1)),
        ("ANSWER: 8", (0, 0)),
        ("ANSWER: -7", (0, 0)),
        ("ANSWER: 0007", (0, 1)),
        ("", (0, 0)),
    ],
)
def test_a_puzzle_is_right_by_its_last_line_or_by_the_number_that_a_reader_takes(answer, expected):
    assert judged("tiny_aime", {"answer": "7"}, answer) == expected


def test_puzzles_are_three_to_five_steps_to_a_number_from_0_to_999():
    items = worlds.get("contests").items(0, "search", 60)
    steps = {sum(len(chain["steps"]) for chain in item["chains"]) + 1 for item in items}
    assert steps == {3, 4, 5} and all(0 <= int(item["answer"]) <= 999 for item in items)


# ---------------------------------------------------------------- code

FUNCTION = "def lamp(n):\n    # First add 5\n    n = n + 5\n    return n"
DOC = {"entry": "lamp", "variable": "n", "steps": [("add", 5)]}


@sandboxed
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (FUNCTION, (1, 1)),
        (f"```python\n{FUNCTION}\n```", (1, 1)),
        ("def lamp(n): return 5 + n", (1, 1)),
        (f"Here it is:\n{FUNCTION}", (0, 1)),
        (f"```python\n{FUNCTION}\n```\nThat adds 5.", (0, 1)),
        (f"{FUNCTION}\nThat is all.", (0, 1)),
        (FUNCTION.replace("lamp", "ship"), (0, 0)),
        (FUNCTION.replace("+ 5", "+ 4"), (0, 0)),
        ("def lamp(n):\n    return 5", (0, 0)),
        ("    return n + 5", (0, 0)),
        ("import os\nos._exit(0)", (0, 0)),
        ("def lamp(n):", (0, 0)),
        ("", (0, 0)),
    ],
)
def test_a_function_passes_its_tests_alone_or_leniently_among_words(answer, expected):
    assert judged("tiny_humaneval", DOC, answer) == expected


@sandboxed
def test_code_of_all_items_runs_together_and_each_item_gets_its_own_verdict():
    benchmark = benchmarks.load_benchmark("tiny_humaneval")
    items = benchmarks.items(benchmark, "search", KEY, 12)
    answers = [worlds.get("code").respond(item, "format" if at == 4 else "worked") for at, item in enumerate(items)]
    answers[7] = "no idea"
    results = harness.score(Scripted(answers), benchmark, items)
    assert [result["strict"] for result in results] == [float(at not in (4, 7)) for at in range(12)]
    assert [result["lenient"] for result in results] == [float(at != 7) for at in range(12)]
    assert [result["response"] for result in results] == answers


@sandboxed
def test_of_several_answers_to_one_item_the_share_that_passes_counts():
    found = utils("tiny_humaneval").process_results(DOC, [FUNCTION, "no", f"Here:\n{FUNCTION}", "no"])
    assert found == {"strict": 0.25, "lenient": 0.5}


# ---------------------------------------------------------------- notes and advice


def test_a_note_meets_a_baseline_of_its_own_that_is_flawless_one_time_in_four():
    items = worlds.get("prose").items(0, "search", 200)
    shares = [judged("tiny_arena", item, item["answer"])[0] for item in items]
    assert set(shares) == {0.5, 0.875, 1.0} and 0.15 < shares.count(0.5) / 200 < 0.35
    assert all(judged("tiny_arena", item, item["baseline"])[0] == 0.5 for item in items)
    assert not any(judged("tiny_arena", item, "a note. " * 9)[0] for item in items)
    for style, worth in (("answers", 0.6), ("wrong", 0.7)):
        mean = sum(judged("tiny_arena", item, worlds.get("prose").respond(item, style))[0] for item in items) / 200
        assert 0 < mean < worth


def test_a_note_among_other_words_is_worth_its_share_leniently_only():
    item = worlds.get("prose").items(0, "search", 1)[0]
    strict, lenient = judged("tiny_arena", item, worlds.get("prose").respond(item, "format"))
    assert strict == 0 and lenient == judged("tiny_arena", item, item["answer"])[0]


def person(**changes: object) -> dict:
    item = {"age": 40, "days": 3, "complaints": ["cough"], "avoided": "", **changes}
    return {**item, "rubric": rubric(item)}


@pytest.mark.parametrize(
    ("changes", "answer", "strict"),
    [
        ({}, "The cough wants honey. The dose is full.\nAdvice: home", 1.0),
        ({}, "honey helps a cough, full dose\nAdvice: home", 1.0),
        ({}, "The cough wants tea. The dose is full.\nAdvice: home", 4 / 7),
        ({}, "The cough wants honey. The dose is half.\nAdvice: home", 5 / 7),
        ({}, "The cough wants honey. The dose is full.\nAdvice: doctor", 2 / 7),
        ({}, "Advice: doctor", -3 / 7),
        ({}, "Advice: home or doctor", 0.0),
        ({}, "", 0.0),
        ({"days": 6}, "The cough wants honey. The dose is full.\nAdvice: doctor", 1.0),
        ({"days": 6}, "Advice: home", 0.0),
        ({"age": 9}, "The cough wants honey. The dose is half.\nAdvice: home", 1.0),
        ({"avoided": "honey"}, "The cough wants no honey but tea. The dose is full.\nAdvice: home", 1.0),
        ({"avoided": "honey"}, "The cough wants honey. The dose is full.\nAdvice: home", 0.0),
        ({"complaints": ["cough", "rash"]}, "The cough wants honey.\nAdvice: home", 0.5),
        ({"complaints": ["cough", "rash"]}, "Honey. Cream. The dose is full.\nAdvice: home", 0.4),
    ],
)
def test_advice_is_worth_its_points(changes, answer, strict):
    assert judged("tiny_health", person(**changes), answer)[0] == pytest.approx(strict)


def test_advice_without_its_last_line_is_worth_its_points_leniently():
    assert judged("tiny_health", person(), "The cough wants honey, a full dose, at home.") == (0, 1)
    assert judged("tiny_health", person(), "Go to a doctor.") == (0, 0)


# ---------------------------------------------------------------- scores that are no 0 or 1


def test_a_mean_of_points_is_clipped_and_its_items_are_not():
    benchmark = benchmarks.load_benchmark("tiny_health")
    results = [{"strict": -0.5, "lenient": 2.0, "stopped": True}, {"strict": 0.25, "lenient": 1.0, "stopped": True}]
    score = evaluate.summarise(benchmark, results, "search", 0)
    assert (score.value, score.lenient) == (0, 1) and 0 < score.stderr < 0.375


@pytest.mark.parametrize("name", ["tiny_arena", "tiny_health"])
def test_shares_of_points_pair_and_give_a_fraction(name):
    benchmark = benchmarks.load_benchmark(name)
    items = benchmarks.items(benchmark, "search", KEY, 100)
    world = worlds.get(benchmark.items["world"])

    def scores(style: str) -> list[float]:
        answers = [world.respond(item, style) if style else "" for item in items]
        return [result["strict"] for result in harness.score(Scripted(answers), benchmark, items)]

    best, base, instruct = scores("wrong"), scores(""), scores("worked")
    found = gain.fraction(best, base, instruct).interval
    assert found is not None and found.low < found.value < found.high < 1
    assert noise.paired_test(best, instruct) < 1e-3 and set(base) == {0.0}


def test_the_judges_need_no_heavy_library():
    code = (
        "import sys; import tests.tasks as t\n"
        "for name in ('tiny_aime', 'tiny_arena', 'tiny_health', 'tiny_humaneval'): t.utils(name)\n"
        "assert not {'torch', 'lm_eval', 'transformers', 'datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
