"""Calls that a model writes oddly, wrongly, or without end: read as a person would, and never with an error."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.answers.call_forms import Call
from pipeline.answers.call_match import fault
from pipeline.answers.calls import lenient_calls, strict_calls
from tests.tasks import judged

F = {"name": "f", "parameters": {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}
WANTED = [{"f": {"a": [1]}}]
ONE, TWO = Call("f", {"a": 1}), Call("f", {"a": 2})

BRACKETS = st.text("(){}[]'\"\\=,:*f1 \n<>#`", max_size=60)
NESTED = st.builds(lambda sign, n, end: sign * n + "1" + end * n, st.sampled_from(["[", "{", "(", "f(a=[", "{'a':"]),
                   st.integers(0, 1200), st.sampled_from(["]", "}", ")", "])"]))  # fmt: skip
NUMBERS = st.builds(lambda sign, digit, n: f"f(a={sign}{digit * n})", st.sampled_from(["", "-", "0x"]),
                    st.sampled_from("1f_"), st.sampled_from([1, 300, 3600, 5000]))  # fmt: skip


@settings(max_examples=60)
@given(st.lists(BRACKETS | NESTED | NUMBERS, max_size=3).map("".join))
def test_whatever_brackets_and_numbers_a_model_writes_it_is_scored(text):
    for calls in (strict_calls(text), lenient_calls(text)):
        fault(calls, WANTED, [F])
    assert fault([ONE], WANTED, [F]) is None


@pytest.mark.parametrize(
    "text",
    [
        'I call it: f({{"base": 10}})',
        "f(a={[1]})",
        "f(a={{}: 1})",
        "Sure: " + "[" * 400 + "1" + "]" * 400,
        "f(a=0x" + "f" * 3600 + ")",
        "f(a=[0x" + "f" * 3600 + "])",
        "f(a=" + "9" * 5000 + ")",
        '{"name": "f", "arguments": {"a": ' + "9" * 5000 + "}}",
        "f(a=" + "[" * 90 + "]" * 90 + ")",
    ],
    ids=range(9),
)
def test_an_argument_that_python_cannot_hold_is_a_wrong_answer(text):
    for calls in (strict_calls(text), lenient_calls(text)):
        assert fault(calls, WANTED, [F])


@pytest.mark.parametrize(
    "answer", ["f(a={[1]})", "f(a={{}: 1})", "f(a=" + "-" * 5000 + "1)", "f(a=" + "9" * 5000 + ")"]
)
def test_so_it_is_in_the_tiny_benchmark(answer):
    assert judged("tiny_bfcl", {"answer": json.dumps({"name": "f", "arguments": {"a": 1}})}, answer) == (0, 0)


def test_a_number_of_thousands_of_digits_is_a_wrong_answer_in_the_tiny_benchmark():
    assert judged("tiny_gsm8k", {"answer": "7"}, "#### " + "9" * 5000) == (0, 0)


@pytest.mark.parametrize("argument", ["{'k': 2, 'k': 1}", "{**{}, 'k': 1}", "{'k': {**{'a': 1}}}", "{1: 0, '1': 1}"])
def test_an_object_with_a_repeated_key_or_another_unpacked_in_it_is_no_argument(argument):
    assert strict_calls(f"f(a={argument})") is None
    assert strict_calls("f(a={'k': 1, 'l': {}})") == [Call("f", {"a": {"k": 1, "l": {}}})]


FENCED = "```python\nf(a={})\n```\n"


@pytest.mark.parametrize(
    ("text", "wanted", "calls"),
    [
        (FENCED.format(1) + "and\n" + FENCED.format(2), 2, [ONE, TWO]),
        (FENCED.format(2) + "No, rather:\n" + FENCED.format(1), 1, [ONE]),
        ("```\nf(a=1), f(a=1)\n```\nNo:\n```\nf(a=1), f(a=2)\n```", 2, [ONE, TWO]),
        (FENCED.format(1) + FENCED.format(2), 3, [ONE, TWO]),
        ("Like so: {'name': 'f', 'arguments': {'a': 1}}.", 1, [ONE]),
        ("{'name': 'f', 'arguments': {'a': 1}}", 1, [ONE]),
        ("```\n[{'f': {'a': 1}}, {'f': {'a': 2}}]\n```", 2, [ONE, TWO]),
        ('<tool_call>\n```json\n{"name": "f", "arguments": {"a": 1}}\n```\n</tool_call>', 1, [ONE]),
        ("<tool_call>{'name': 'f', 'arguments': {'a': 1}}</tool_call>", 1, [ONE]),
        ('<function=f>{"a": 1}</function>', 1, [ONE]),
        ('Now <function=f>{"a": 1}<function=f>{"a": 2}', 2, [ONE, TWO]),
        ("def f(a=1): pass", 1, None),
        ("```python\ndef f(a=1):\n    pass\n```", 1, None),
        ("You should not call f(a=1).", 1, None),
        ("Don't use `f(a=1)`, but f(a=2).", 1, [TWO]),
        ("Don't forget the unit: f(a=1)", 1, [ONE]),
        ("I'd call f(it's: f(a=1)", 1, [ONE]),
    ],
)
def test_calls_are_found_as_a_reader_finds_them(text, wanted, calls):
    assert lenient_calls(text, wanted) == calls


@pytest.mark.parametrize(
    "part", ["f(", "f('", 'f("\\"', "[", "{'a':", "f(a=[", "f(f())", "(" * 99 + "f(" + ")" * 99, "a"]
)
def test_a_model_that_loops_is_read_in_no_time(part):
    text = part * (20_000 // len(part))
    begun = time.process_time()
    strict_calls(text), lenient_calls(text)
    assert time.process_time() - begun < 3.0
