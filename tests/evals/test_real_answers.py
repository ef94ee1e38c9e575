"""What counts as right in the benchmarks from data sets, on small items of their form."""

from __future__ import annotations

import shutil

import pytest

from pipeline import benchmarks, evaluate
from pipeline.sandbox import Unavailable, guests
from pipeline.set_items import utils


def judged(name: str, doc: dict, answer: str) -> tuple[float, float]:
    result = utils(benchmarks.load_benchmark(name).folder).process_results(doc, [answer])
    return result["strict"], result["lenient"]


@pytest.mark.parametrize("name", ["gsm8k", "aime2025"])
def test_a_number_on_the_last_line(name):
    doc = {"answer": "18"}
    assert judged(name, doc, "So 9 * 2 = 18.\nANSWER: 18") == (1, 1)
    assert judged(name, doc, "The answer is $18.00 a day.") == (0, 1)
    assert judged(name, doc, "ANSWER: 19") == judged(name, doc, "") == (0, 0)


def test_a_letter_on_the_last_line():
    doc = {"answer": "B", "options": ["one", "two", "three", "four"]}
    assert judged("gpqamain", doc, "Because.\nANSWER: B") == (1, 1)
    assert judged("gpqamain", doc, "It is (B), two.") == (0, 1)
    assert judged("gpqamain", doc, "ANSWER: C") == judged("gpqamain", doc, "") == (0, 0)


def test_calls_and_nothing_else():
    function = {
        "name": "f",
        "parameters": {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    }
    doc = {"accepted": [{"f": {"a": [1]}}], "functions": [function]}
    assert judged("bfcl_ast", doc, '[{"name": "f", "arguments": {"a": 1}}]') == (1, 1)
    assert judged("bfcl_ast", doc, "I call f(a=1) for you.") == (0, 1)
    assert judged("bfcl_ast", doc, '[{"name": "f", "arguments": {"a": 2}}]') == judged("bfcl_ast", doc, "") == (0, 0)


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_code_that_passes_its_tests():
    doc = {
        "question": 'import math\n\n\ndef up(x):\n    """One more."""\n',
        "entry": "up",
        "tests": "def check(candidate):\n    assert candidate(1) == 2\n",
    }
    whole = "def up(x):\n    return math.floor(x) + 1\n"
    assert judged("humaneval", doc, f"```python\n{whole}```") == (1, 1)
    assert judged("humaneval", doc, "    return x + 1\n") == (1, 1)  # a continuation
    assert judged("humaneval", doc, f"Here it is:\n{whole}\nThat adds one.") == (0, 1)
    assert judged("humaneval", doc, "```python\nimport os\nos._exit(0)\n```") == (0, 0)


def test_where_there_is_no_sandbox_nothing_is_generated(monkeypatch):
    monkeypatch.setattr(guests, "_why_not", lambda: "bwrap is not installed")
    with pytest.raises(Unavailable, match="install bubblewrap"):
        evaluate.evaluate("/no/model", benchmarks.load_benchmark("humaneval"), [{"id": "x"}], "search")
