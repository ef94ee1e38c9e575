"""A choice among what else is said of options: reasons, doubts, corrections."""

from __future__ import annotations

import time

import pytest

from pipeline.answers.choices import lenient_choice, strict_choice

OPTIONS = ["5 m/s", "10 m/s", "a red one", "$\\frac{1}{2}$ of all"]


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("The correct answer is B, because option C ignores friction.", "B"),
        ("The answer is B, A is wrong, and D as well.", "B"),
        ("Option A: no. Option B: yes. Option C: no. Option D: no.\n\n**B**", "B"),
        ("Option A: no. Option B: yes. Option C: no. Option D: no.\n\nSo it is (B).", "B"),
        ("Option D is wrong. So B is correct.", "B"),
        ("Option B fits. Option D is tempting but wrong.", "B"),
        ("Option B fits. Option D is clearly incorrect.", "B"),
        ("ANSWER: B\n\nOption D is tempting but wrong.", "B"),
        ("B is the correct answer. A is not.", "B"),
        ("Thus (B) is the answer. A fails.", "B"),
        ("The answer is A. Wait, no, B is correct.", "B"),
        ("Wait. A? No. The answer is B", "B"),
        ("The answer is B. Actually, option A ignores friction.", "B"),
        ("b", "B"),
        ("(b)", "B"),
        ("**b.**", "B"),
        ("answer: b", "B"),
        ("ANSWER: b\n\nIt is fast.", "B"),
        ("\\boxed{b}", "B"),
        ("\\boxed{\\text{(b)}}", "B"),
        ("The answer is 'B'", "B"),
        ("The answer is \u201cB\u201d.", "B"),
        ("\\boxed{10 \\text{ m/s}}", "B"),
        ("$10\\text{ m/s}$.", "B"),
        ("10 M/S", "B"),
        ("\\frac{1}{2} of all", "D"),
        ("a red one", "C"),
        ("The answer is a red one", "C"),
        ("I pick a red one", "C"),
        ("Options A, C and D are wrong, so B", "B"),
        ("It can't be A or C. Pick B.", "B"),
    ],
)
def test_a_reader_takes_what_is_said_to_be_the_answer(text, chosen):
    assert lenient_choice(text, OPTIONS) == chosen


@pytest.mark.parametrize(
    "text",
    [
        "The answer is A or B",
        "The answer is A or B.",
        "The answer is (A) and (C).",
        "ANSWER: A B C D",
        "ANSWER: A/B",
        "ANSWER: A, B",
        "\\boxed{A, B}",
        "\\boxed{A \\text{ or } B}",
        "A, B, C, D",
        "(A) or (B)",
        "Option B is wrong.",
    ],
)
def test_who_names_several_options_or_none_has_chosen_none(text):
    assert lenient_choice(text, OPTIONS) is None and strict_choice(text, len(OPTIONS)) is None


@pytest.mark.parametrize(
    "part", ["A or ", "A, B, ", "wait ", "answer is ", "option A is ", "'(", "\\text{", "it is a "]
)
def test_a_model_that_loops_is_read_in_no_time(part):
    begun = time.process_time()
    lenient_choice(part * (60_000 // len(part)), OPTIONS)
    assert time.process_time() - begun < 3.0
