"""What repeats without end is cut, what repeats a little is left."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.answers.repetition import cut_repetitions


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("ha " * 50, "ha " * 5),
        ("So: " + "ab" * 6 + ".", "So: " + "ab" * 5 + "."),
        ("line one\nline two\n" * 9 + "line o", "line one\nline two\n" * 5),
        ("ha ha ha ha ha ha ha ha hat", "ha ha ha ha ha hat"),
        (" ".join(["ha"] * 9), "ha " * 5),
        ("x" * 100, "x" * 5),
        ("好的" * 30, "好的" * 5),
        ("ha " * 5, "ha " * 5),
        ("1000000 " + "-" * 20, "1000000 " + "-" * 20),
        ("a\n\n" + " " * 12 + "b", "a\n\n" + " " * 12 + "b"),
        ("", ""),
    ],
)
def test_more_than_five_in_a_row_are_cut_to_five(text, cut):
    assert cut_repetitions(text) == cut


@given(st.text(st.sampled_from("ab \n"), max_size=80), st.text(min_size=1, max_size=8), st.integers(6, 40))
def test_cutting_is_done_after_one_time_and_never_makes_a_text_longer(before, piece, n):
    text = before + piece * n
    found = cut_repetitions(text)
    assert len(found) <= len(text) and cut_repetitions(found) == found


@given(st.lists(st.integers(0, 10**6), unique=True, max_size=40))
def test_what_does_not_repeat_is_left(numbers):
    text = " ".join(f"w{number:07d}." for number in sorted(numbers)[:5])
    assert cut_repetitions(text) == text


def test_a_long_answer_takes_a_moment_only():
    begun = time.process_time()
    cut_repetitions("".join(f"word{i} " for i in range(3000)) + "the end of it all " * 500)
    assert time.process_time() - begun < 5.0
