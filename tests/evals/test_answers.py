"""What counts as right, strictly and leniently, in the tiny benchmarks of word problems, calls and facts."""

from __future__ import annotations

import json

import pytest

from pipeline import worlds
from tests.tasks import judged, utils


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("3 + 4 = 7.\n#### 7", (1, 1)),
        ("#### 7\n", (1, 1)),
        ("#### 07", (1, 1)),
        ("It is 7.", (0, 1)),
        ("#### 7.", (0, 1)),
        ("####7", (0, 1)),
        ("#### 7 apples", (0, 1)),
        ("#### 7\nSo 8 it is.", (0, 0)),
        ("#### 8", (0, 0)),
        ("10 - 3 = 7.0", (0, 1)),
        ("10-7", (0, 1)),
        ("#### -7", (0, 0)),
        ("", (0, 0)),
        ("none", (0, 0)),
    ],
)
def test_arithmetic_is_right_by_its_last_line_or_leniently_by_its_last_number(answer, expected):
    assert judged("tiny_gsm8k", {"answer": "7"}, answer) == expected


def test_large_numbers_may_have_commas_leniently():
    assert judged("tiny_gsm8k", {"answer": "1200"}, "That makes 1,200 coins.") == (0, 1)


CALL = {"name": "get_room", "arguments": {"city": "oslo", "count": 3}}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (json.dumps(CALL), (1, 1)),
        ('{"arguments": {"count": 3.0, "city": "oslo"}, "name": "get_room"}', (1, 1)),
        (f"  {json.dumps(CALL)}\n", (1, 1)),
        ('{"name": "get_room", "arguments": {"city": "oslo", "count": "3"}}', (0, 0)),
        ('{"name": "get_room", "arguments": {"city": "oslo"}}', (0, 0)),
        ('{"name": "get_room", "arguments": {"city": "oslo", "count": 3}, "why": ""}', (0, 0)),
        ('{"name": "get_room", "name": "get_room", "arguments": {"city": "oslo", "count": 3}}', (0, 1)),
        (f"The call is {json.dumps(CALL)} .", (0, 1)),
        (json.dumps(CALL) + json.dumps(CALL), (0, 1)),
        (json.dumps([CALL]), (0, 1)),
        ("get_room ( city= oslo, count= 3 )", (0, 1)),
        ("get_room(city='oslo', count=3)", (0, 1)),
        ("get_room(city='oslo', count='3')", (0, 0)),
        ("get_room('oslo', 3)", (0, 0)),
        ("get_room(city=__import__('os'), count=3)", (0, 0)),
        ("{" * 5000, (0, 0)),
        ("[" * 100_000, (0, 0)),
        ("", (0, 0)),
    ],
)
def test_a_call_is_compared_by_value(answer, expected):
    assert judged("tiny_bfcl", {"answer": json.dumps(CALL)}, answer) == expected


def test_true_is_not_one():
    doc = {"answer": '{"name": "f", "arguments": {"a": 1}}'}
    assert judged("tiny_bfcl", doc, '{"name": "f", "arguments": {"a": true}}') == (0, 0)
    assert judged("tiny_bfcl", doc, '{"name": "f", "arguments": {"a": [1]}}') == (0, 0)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The tool of X is nail C.\nAnswer: C", (1, 1)),
        ("So Answer: C", (1, 1)),
        ("Answer: C.", (0, 1)),
        ("Answer:C", (0, 1)),
        ("Answer: B", (0, 0)),
        ("Answer: C\nor B", (0, 0)),
        ("( C )", (0, 1)),
        ("It is a nail, not a saw, no: a nail", (0, 1)),
    ],
)
def test_a_choice_is_right_by_its_last_line_or_leniently_by_letter_or_option(answer, expected):
    doc = {"answer": "C", "options": ["saw", "rope", "nail", "knife"]}
    assert judged("tiny_gpqa", doc, answer) == expected


def test_an_answer_that_names_no_option_is_worth_chance_leniently_and_nothing_strictly():
    options = ["saw", "rope", "nail", "knife"]
    results = [judged("tiny_gpqa", {"answer": "C", "options": options}, f"{i} nails") for i in range(400)]
    assert not any(strict for strict, _ in results)
    assert 0.18 < sum(lenient for _, lenient in results) / 400 < 0.32
    assert results == [judged("tiny_gpqa", {"answer": "C", "options": options}, f"{i} nails") for i in range(400)]


@pytest.mark.parametrize(("name", "world"), [("tiny_gsm8k", "maths"), ("tiny_bfcl", "calls"), ("tiny_gpqa", "facts")])
def test_good_answers_are_right_and_answers_in_another_format_are_right_leniently(name, world):
    made = worlds.get(world)
    for item in made.items(0, "search", 40):
        assert judged(name, item, made.respond(item, "worked")) == (1, 1)
        assert judged(name, item, made.respond(item, "format")) == (0, 1)
        assert utils(name).few_shot_question(item).startswith("Question: ")
        assert judged(name, item, " " + utils(name).few_shot_answer(item)) == (1, 1)
