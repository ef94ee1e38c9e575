"""Numbers as people write them, and which one a text ends up with."""

from __future__ import annotations

import re
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.answers.numbers import lenient_number, number_scores, parse, same_number, strict_number
from pipeline.answers.reasoning import spoken


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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ANSWER: 1 000", 1000),
        ("ANSWER: 1.234.567", 1_234_567),
        ("ANSWER: $2 million", 2_000_000),
        ("About 3.5 thousand people.", 3500),
        ("ANSWER: 3\u00bd", 3.5),
        ("ANSWER - 18", 18),
        ("- 18", 18),
        ("x = - 18", -18),
        ("ANSWER: - 18", -18),
        ("It falls to -5 degrees.", -5),
        ("18 is the final answer, not 20.", 18),
        ("Therefore 18 is the answer. She had 20 at first.", 18),
        ("What is the answer? It leaves 0.", 0),
        ("the answer is 7 = 3 + 4", 7),
        ("The answer is 3 + 4 = 7", 7),
        ("\\boxed{7 = 3 + 4}", 7),
        ("ANSWER: " + "9" * 5000, None),
        ("1/0", None),
    ],
)
def test_more_ways_in_which_people_write_numbers(text, value):
    found = lenient_number(text)
    assert found is None if value is None else found == Fraction(value)


@pytest.mark.parametrize(
    "part", ["9", "9 ", "111,", "\\boxed{", "{", "<think>", "the answer is ", "####", "1/", "and "]
)
def test_a_model_that_loops_is_read_in_no_time(part):
    text = part * (60_000 // len(part))
    begun = time.process_time()
    for before in ("", "ANSWER: "):
        number_scores(before + text, "18")
    assert time.process_time() - begun < 6.0


TAGS = ["<think>", "</think>", "<Reasoning>", "</reasoning>", "</THINK>", "a", " b\n", "<thought>", "</thought>"]
BLOCK = re.compile(r"<(think|thinking|thought|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
END = re.compile(r"\A.*</(?:think|thinking|thought|reasoning)>", re.DOTALL | re.IGNORECASE)
BEGIN = re.compile(r"<(?:think|thinking|thought|reasoning)>", re.IGNORECASE)


@given(st.lists(st.sampled_from(TAGS), max_size=10))
def test_one_pass_over_think_blocks_is_what_three_patterns_say(parts):
    text = "".join(parts)
    rest = END.sub("", BLOCK.sub("", text))
    begun = BEGIN.search(rest)
    assert spoken(text) == (rest[: begun.start()] if begun else rest)


@pytest.mark.parametrize("gold", ["2", "18", "999", "57500000", "1000000000"])
def test_the_next_whole_number_is_another_one_however_large(gold):
    assert same_number(Fraction(gold), gold) and same_number(Fraction(int(gold)) + Fraction(1, 10**9), gold)
    for wrong in (int(gold) + 1, int(gold) - 1, -int(gold), int(gold) + Fraction(1, 2)):
        assert not same_number(Fraction(wrong), gold)
