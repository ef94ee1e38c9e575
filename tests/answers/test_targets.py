"""Answers of a user's own task: what counts strictly, what leniently, and what never."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.answers.targets import METRICS, canonical, fold, is_number, scores

LABELS = ("card_arrival", "card_linking", "card", "C++", "C", "-5", "5", "Ja", "Nein")
STRICT, LENIENT, WRONG = (1.0, 1.0), (0.0, 1.0), (0.0, 0.0)


@pytest.mark.parametrize(
    ("metric", "text", "target", "found"),
    [
        ("choice", "card_arrival", "card_arrival", STRICT),
        ("choice", " card_arrival\n", "card_arrival", STRICT),
        ("choice", "Card arrival.", "card_arrival", LENIENT),
        ("choice", "The answer is: **card_arrival**", "card_arrival", LENIENT),
        ("choice", "It asks where a card is.\ncard_arrival", "card_arrival", LENIENT),
        ("choice", "I would say card arrival here", "card_arrival", LENIENT),
        ("choice", "card_arrival or card_linking", "card_arrival", WRONG),
        ("choice", "card_linking", "card_arrival", WRONG),
        ("choice", "<think>card_linking?</think>card_arrival", "card_arrival", STRICT),
        ("choice", "", "card_arrival", WRONG),
        ("choice", "C", "C++", WRONG),
        ("choice", "5", "-5", WRONG),
        ("choice", "ja", "Ja", LENIENT),
        ("choice", "neither", "Nein", WRONG),
        ("exact", "Paris", "Paris", STRICT),
        ("exact", "paris.", "Paris", LENIENT),
        ("exact", "Answer: Paris\n\nQuestion: next?", "Paris", LENIENT),
        ("exact", "Paris, of course", "Paris", WRONG),
        ("exact", "two\r\nlines", "two\nlines", STRICT),
        ("exact", "-5", "5", WRONG),
        ("number", "43", "43.0", STRICT),
        ("number", "1,234", "1234", STRICT),
        ("number", "$12.50", "12.5", STRICT),
        ("number", "They have 43 in all", "43", LENIENT),
        ("number", "70 - 27 = 43", "43", LENIENT),
        ("number", "#### 43", "43", STRICT),
        ("number", "42", "43", WRONG),
        ("number", "many", "43", WRONG),
        ("contains", "The capital is Paris.", "Paris", STRICT),
        ("contains", "the capital is PARIS", "Paris", LENIENT),
        ("contains", "Parisian", "Paris", WRONG),
        ("contains", "we got -5", "5", STRICT),  # it stands there, as the metric says
        ("json", '{"b": 1.0, "a": [true]}', '{"a": [true], "b": 1}', STRICT),
        ("json", 'Sure:\n```json\n{"a": [true], "b": 1}\n```', '{"a": [true], "b": 1}', LENIENT),
        ("json", 'Here: {"a": 1} done', '{"a": 1}', LENIENT),
        ("json", '{"a": "1"}', '{"a": 1}', WRONG),
        ("json", '{"a": 1, "a": 1}', '{"a": 1}', WRONG),
        ("json", "[1, 2", "[1, 2]", WRONG),
        ("json", "[" * 5000, "[1]", WRONG),
        ("json", "[" * 900 + "1" + "]" * 900, "[1]", WRONG),
        ("json", '{"a": NaN}', '{"a": 1}', WRONG),
    ],
)
def test_each_metric_reads_strictly_and_leniently(metric, text, target, found):
    read = scores(metric, text, target, LABELS)
    assert (read["strict"], read["lenient"]) == found


def test_labels_that_differ_in_case_alone_have_to_be_written_out():
    assert scores("choice", "Yes", "Yes", ("Yes", "yes")) == {"strict": 1.0, "lenient": 1.0}
    assert scores("choice", "YES", "Yes", ("Yes", "yes")) == {"strict": 0.0, "lenient": 0.0}


def test_an_echoed_list_of_labels_chooses_none():
    echo = "Answer with one of: card_arrival, card_linking, card."
    assert scores("choice", echo, "card", LABELS)["lenient"] == 0.0


@pytest.mark.parametrize("metric", ["choice", "exact"])
def test_a_model_that_loops_is_read_in_no_time(metric):
    begun = time.process_time()
    assert scores(metric, "answer: " * 2500, "Ja", LABELS)["lenient"] == 0.0
    assert time.process_time() - begun < 2.0


@given(st.text(), st.text(min_size=1))
def test_any_answer_to_any_target_is_scored_and_strict_implies_lenient(text, target):
    for metric in ("choice", "exact", "contains"):
        found = scores(metric, text, target, (target, "other"))
        assert found["strict"] <= found["lenient"] and set(found.values()) <= {0.0, 1.0}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_as_it_is_taught_is_read_strictly(value):
    target = json.dumps(value)
    assert scores("json", canonical("json", target), target)["strict"] == 1.0


def test_what_is_no_target_of_a_metric_is_refused():
    with pytest.raises(ValueError):
        canonical("json", "{")
    with pytest.raises(ValueError):
        canonical("number", "two or three")
    assert canonical("number", "1,000") == "1,000" and set(METRICS) == {"choice", "exact", "number", "contains", "json"}


def test_a_number_alone_is_told_from_one_among_words():
    assert all(map(is_number, ["43", "-4.5e3", "50%", "1/2", "$1,200"]))
    assert not any(map(is_number, ["43 apples", "2020-01-02", "", "-", "x"]))


def test_folding_keeps_what_makes_another_label():
    assert fold("Card-Arrival!") == fold("card_arrival") == "card arrival"
    assert fold("C++") != fold("C") and fold("-5") != fold("5") and fold("...") == "..."
