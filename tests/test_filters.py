from __future__ import annotations

import pytest

from pipeline.errors import InputError
from pipeline.filters import FILTERS, check, keep, make


def rows(*answers):
    return [[{"role": "user", "content": "Q"}, {"role": "assistant", "content": answer}] for answer in answers]


def test_the_first_of_equal_rows_stays():
    assert keep(rows("a b", "c", "a  b\n"), ["dedupe"]) == [0, 1]


def test_lengths_count_question_and_answer():
    assert keep(rows("1", "12", "123"), ["max_characters:3"]) == [0, 1]
    assert keep(rows("1", "12", "123"), ["min_characters:3", "max_characters:3"]) == [1]


def test_an_answer_line_is_the_last_line():
    answers = ("1 + 1 = 2.\n#### 2", "ANSWER: 2\n", "Answer: C", "#### 2\nbecause", "The answer is 2.", "####", "")
    assert keep(rows(*answers), ["has_answer_line"]) == [0, 1, 2]


def test_a_filter_is_made_anew_for_every_use():
    assert keep(rows("a"), ["dedupe"]) == keep(rows("a"), ["dedupe"]) == [0]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("shortest", "unknown filter 'shortest': known are complete, dedupe"),
        ("max_characters", "a whole number is needed"),
        ("max_characters:many", "a whole number is needed"),
        ("max_characters:-1", "a whole number is needed"),
        ("dedupe:3", "it takes no number"),
    ],
)
def test_a_wrong_filter_says_what_is_right(spec, said):
    with pytest.raises(InputError, match=said):
        make(spec)
    assert len(check([spec, "dedupe"])) == 1


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_can_be_made_and_says_what_it_keeps(name):
    make(f"{name}:5" if FILTERS[name].takes_number else name)(rows("a")[0])
    assert FILTERS[name].summary
