"""Numbers as people write them, and which one a text ends up with."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.answers.numbers import lenient_number, parse, same_number, strict_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("So we get \\boxed{18}", 18),
        ("The answer is 18.", 18),
        ("It costs $1,234.50 in total", "1234.5"),
        ("the answer is -5", -5),
        ("x = \u22123", -3),
        ("= \\frac{1}{2}", "1/2"),
        ("The answer is 1/2 of a cake", "1/2"),
        ("2 1/2 hours", "5/2"),
        ("<think>it is 7, no, 8</think>\nThe answer is 9", 9),
        ("it is 7</think>The answer is 9", 9),
        ("3+4=7. Then 7*2=14", 14),
        ("**Answer:** 42 apples", 42),
        ("Final answer:\n\n42", 42),
        ("The answer is 3 + 4 = 7.", 7),
        ("70%", 70),
        ("\\[ \\boxed{\\text{18 dollars}} \\]", 18),
        ("\\boxed{\\$18}", 18),
        ("$\\boxed{1{,}234}$", 1234),
        ("It takes 5 minutes and 20 seconds. The answer is 5.", 5),
        ("The final answer is $\\boxed{5}$. I hope 3 is fine", 5),
        ("There are eighteen apples.", 18),
        ("one hundred and five", 105),
        ("1.5e3", 1500),
        ("3 \\times 10^4", 30_000),
        ("45 miles/hour", 45),
        ("It's 10:30, so 3", 3),
        ("I cannot say", None),
        ("<think>perhaps 7", None),
        ("", None),
    ],
)
def test_a_number_is_read_as_a_person_would(text, value):
    assert lenient_number(text) == (None if value is None else Fraction(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("steps\nANSWER: 18", 18),
        ("steps\n**ANSWER: $1,234**", 1234),
        ("steps\nANSWER: \\boxed{-3}\n```", -3),
        ("2 + 3 = 5\n#### 5", 5),
        ("The answer is 18.", None),
        ("ANSWER: 18\nor 19", None),
        ("ANSWER: 18 or 19", None),
        ("ANSWER:", None),
        ("ANSWER: many", None),
    ],
)
def test_strictly_only_the_last_line_in_the_form_asked_for_counts(text, value):
    assert strict_number(text) == (None if value is None else Fraction(value))


@given(st.integers(-(10**12), 10**12))
def test_a_whole_number_is_read_back_in_any_of_the_usual_forms(number):
    forms = [f"{number}", f"{number:,}", f"{number}.00", f"\\boxed{{{number}}}", f"{number:,} dollars", f"**{number}**"]
    for form in forms:
        assert same_number(lenient_number(f"First 3, then 4. The answer is {form}"), number), form
        assert same_number(strict_number(f"ANSWER: {form}"), str(number)), form


@given(st.text())
def test_any_text_is_read_without_an_error(text):
    lenient_number(text), strict_number(text), parse(text)
