"""Letters of options."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.answers.choices import lenient_choice, strict_choice

OPTIONS = ["saw", "rope", "a long nail", "knife"]


@pytest.mark.parametrize(
    ("text", "lenient", "strict"),
    [
        ("ANSWER: C", "C", "C"),
        ("so\n**ANSWER: C**\n", "C", "C"),
        ("answer: (c)", "C", "C"),
        ("The answer is C.", "C", None),
        ("The correct answer is **(C)** a long nail", "C", None),
        ("\\boxed{\\text{C}}", "C", None),
        ("I think it is a long nail", "C", None),
        ("C) a long nail", "C", None),
        ("Option C is best. A is wrong", "C", None),
        ("A is not right. It must be B", "B", None),
        ("The answer is C because A and B fail", "C", None),
        ("<think>A</think> Answer: D", "D", "D"),
        ("ANSWER: E", None, None),
        ("nothing", None, None),
        ("", None, None),
    ],
)
def test_a_letter_is_read_strictly_and_as_a_person_would(text, lenient, strict):
    assert (lenient_choice(text, OPTIONS), strict_choice(text, len(OPTIONS))) == (lenient, strict)


@given(st.text(), st.integers(2, 10))
def test_any_text_is_read_without_an_error(text, n):
    strict_choice(text, n), lenient_choice(text, [f"option {i}" for i in range(n)])


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("The answer is option (b).", "B"),
        ("the answer is a red one", "C"),
        ("B is wrong. A is right.", "A"),
        ("(D) is correct, though A is tempting.", "D"),
        ("$\\boxed{\\textbf{(B)}\\ 10}$", "B"),
        ("ANSWER: B) 10 m/s", "B"),
        ("ANSWER: Option B", "B"),
        ("ANSWER:\nB", "B"),
        ("A car goes at a speed of 10 m/s", "B"),
        ("C'est la vie", None),
    ],
)
def test_a_choice_as_people_write_it(text, chosen):
    assert lenient_choice(text, ["5 m/s", "10 m/s", "red", "all of these"]) == chosen


@pytest.mark.parametrize(
    "text", ["[" * 60_000, "answer: " + "[" * 60_000, "answer (" * 8_000, "A\n" * 30_000, "\n" * 60_000]
)
def test_a_model_that_loops_is_read_in_no_time(text):
    begun = time.process_time()
    lenient_choice(text, ["one", "two", "three", "four"])
    assert time.process_time() - begun < 3.0
