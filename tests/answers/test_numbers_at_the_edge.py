"""Numbers of which only a part is read by a careless reader, and those that stay what they are."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.answers.numbers import lenient_number, number_scores, parse, strict_number
from pipeline.answers.targets import scores

PARTS = [
    r"\sqrt{49}", "√49", r"\boxed{\sqrt{49}}", r"\sqrt[3]{49}", "10!", "10 !", "18²", "18 ³", "18¹⁰", "18π", r"18\pi",
    r"18 \pi", "18pi", "18x", "18 x", "18n", "18i", "18*x", r"\frac{18}{x}", r"\frac{x}{18}", r"\log 18", r"\pm 18",
    r"18^n", "18^{n}", r"\lfloor 18 \rfloor", r"18 \pmod n", "≤ 18", "≥18", "±18", "not 18", "isn't 18", "more than 18",
    "less than $18", "at least 18", "half of 18", "twice 18", "square root of 18", "18 or nineteen", "18 or so",
    "18 dollars or nineteen", "18 to twenty", "18 plus two", "3 and a half", "3 and a quarter", "2 dozen", "2-dozen",
    "18 squared", "twenty minus 18", "2 thousand five hundred", "2 million and one", "1_234", "1_8", "0x12", "0b11",
    "18h30", "1 000!", "1 000 or so", "-1 000²",
]  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_what_is_written_is_not_the_number(part):
    assert strict_number(f"So.\nANSWER: {part}") is None and strict_number(f"#### {part}") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18k", 18_000), ("$18K", 18_000), ("$2M", 2_000_000), ("1.5k", 1500), ("minus 18", -18), ("negative $18", -18),
        ("\u201018", -18), ("\u201118", -18), ("\u201418", -18), ("-1 000", -1000), ("\u22121 000", -1000),
        ("18m", 18), ("18km", 18), ("18 kg", 18), ("18cm", 18), ("18h", 18), ("18%", 18), (r"18\%", 18), ("18th", 18),
        ("18m2", 18), ("18 m²", 18), ("18°", 18), (r"18^\circ", 18), (r"18^{\circ}", 18), ("18 apples", 18),
        ("18 dollars!", 18), ("**18**", 18), ("*18* apples", 18), ("$18$.", 18), ("18 (eighteen)", 18), ("18/day", 18),
        ("18 a day", 18), ("about 18", 18), ("≈18", 18), ("x = 18", 18), (r"\sqrt{x} = 18", 18),
        ("18 half-dollars", 18),
        ("5 thousand", 5000), ("$5 thousand dollars", 5000), (r"3 \times 10^4", 30_000), (r"\boxed{18}", 18),
        (r"\left(18\right)", 18), ("€18", 18), ("18€", 18), ("18 USD", 18), ("<18>", 18), (r"\frac34", "3/4"),
        ("2½", "5/2"),
    ],
)  # fmt: skip
def test_a_number_with_its_unit_sign_or_scale_is_one(text, value):
    assert strict_number(f"So.\nANSWER: {text}") == lenient_number(f"The answer is {text}") == Fraction(value)


@pytest.mark.parametrize("text", ["18!", "√18", "1_8"])
def test_in_an_own_task_they_are_not_strictly_the_target_either(text):
    assert scores("number", text, "1" if text == "1_8" else "18")["strict"] == 0.0


def test_an_exclamation_mark_in_prose_is_emphasis():
    assert lenient_number("The answer is 18!") == 18 and strict_number("ANSWER: 18 apples!") == 18


@given(st.text("0123456789 .,!²^_\\{}√kKMxmhπ-‐—+/%$*()orandsqt", max_size=30))
def test_any_number_with_anything_around_it_is_read_without_an_error(text):
    number_scores(f"ANSWER: {text}", "18"), parse(text), scores("number", text, "18")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("So, the final answer for the 3 sprints is 540.", 540),
        ("The final answer, rounded to 2 decimal places, is 18.", 18),
        ("Final answer: 18, which is 2 more than 16.", 18),
        ("The answer is not 20, but 18.", 18),
        ("The answer is not 20 but rather 18.", 18),
        ("# Answer\n\n18\n\nHope that helps with question 2!", 18),
        ("**Answer**\n18\nThat was exercise 3.", 18),
        (r"\boxed{\frac34}", "3/4"),
        ("The answer is minus 18.", -18),
    ],
)
def test_what_is_said_to_be_the_answer_is_found(text, value):
    assert lenient_number(text) == Fraction(value)
