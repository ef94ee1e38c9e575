"""Criteria with points: what is asked, how replies are read, what an answer gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.judges import rubric
from tests.scripted_judge import section

CRITERIA = [{"criterion": "Says {x}.", "points": 6}, {"criterion": "Is rude.", "points": -4}]


@pytest.mark.parametrize(
    ("reply", "met"),
    [
        ('{"explanation": "yes", "criteria_met": true}', True),
        ('```json\n{"explanation": "no {really}", "criteria_met": false}\n```', False),
        ('I think: {"criteria_met": true} ... no: {"criteria_met": false}', False),
        ('{"explanation": "line\nbreak", "criteria_met": true}', True),
        ('{ not json {"criteria_met": true}', True),
        ('{"criteria_met": "true"}', None),
        ('{"criteria_met": 1}', None),
        ('{"met": true}', None),
        ("true", None),
        ("{" * 5000, None),
        ('{"n": ' + "9" * 5000 + '} {"criteria_met": true}', True),
        ("", None),
    ],
)
def test_a_decision_is_a_boolean_in_a_json_object(reply, met):
    assert rubric.read(reply) is met


def test_each_criterion_is_a_question_with_the_conversation_and_the_answer():
    messages = [{"role": "user", "content": "It {hurts}."}]
    first, second = rubric.questions(messages, "Rest {it}.", CRITERIA)
    assert section(first.prompt, "conversation") == "user: It {hurts}." and '"criteria_met": true}' in first.prompt
    assert section(first.prompt, "last_turn") == "Rest {it}." and section(first.prompt, "criterion") == "Says {x}."
    assert '<criterion points="-4">' in second.prompt


@pytest.mark.parametrize(
    ("met", "score"),
    [([True, False], 1.0), ([True, True], 2 / 6), ([False, True], -4 / 6), ([False, False], 0.0), ([None, None], 0.0)],
)
def test_points_of_what_is_met_over_the_positive_points(met, score):
    assert rubric.result(CRITERIA, met)["strict"] == pytest.approx(score)


@given(st.lists(st.tuples(st.integers(-10, 10), st.booleans()), max_size=12))
def test_no_answer_gets_more_than_one_and_meeting_good_ones_only_gets_one(pairs):
    criteria = [{"points": 5}, *({"points": points} for points, _ in pairs)]
    met = [True, *(met for _, met in pairs)]
    assert rubric.result(criteria, met)["strict"] <= 1.0
    assert rubric.result(criteria, [each["points"] > 0 for each in criteria])["strict"] == 1.0
