"""Calls in three styles, and whether they are the accepted ones."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.answers.call_match import fault, same_call
from pipeline.answers.calls import Call, lenient_calls, strict_calls

AREA = {
    "name": "geo.area",
    "parameters": {
        "type": "dict",
        "properties": {
            "base": {"type": "integer"}, "height": {"type": "float"}, "unit": {"type": "string"},
            "round": {"type": "boolean"}, "points": {"type": "array", "items": {"type": "integer"}},
            "style": {"type": "dict", "properties": {"colour": {"type": "string"}}},
        },
        "required": ["base", "height"],
    },
}  # fmt: skip
ACCEPTED = {
    "geo.area": {
        "base": [10], "height": [5.0, 5.5], "unit": ["square metres", "m2", ""], "round": [True, ""],
        "points": [[1, 2], ""], "style": [{"colour": ["red", "blue"]}, ""],
    }
}  # fmt: skip
RIGHT = {"base": 10, "height": 5.0}


@pytest.mark.parametrize("read", [strict_calls, lenient_calls])
@pytest.mark.parametrize(
    "text",
    [
        '{"name": "geo.area", "arguments": {"base": 10, "height": 5.0}}',
        '[{"name": "geo.area", "arguments": {"base": 10, "height": 5.0}}]',
        '{"geo.area": {"base": 10, "height": 5.0}}',
        '{"type": "function", "function": {"name": "geo.area", "arguments": "{\\"base\\": 10, \\"height\\": 5.0}"}}',
        '<tool_call>\n{"name": "geo.area", "arguments": {"base": 10, "height": 5.0}}\n</tool_call>',
        "geo.area(base=10, height=5.0)",
        "[geo.area(base=10, height=5.0)]",
        '```json\n{"name": "geo.area", "arguments": {"base": 10, "height": 5.0}}\n```',
        '<think>geo.area(1)</think>\n{"name": "geo.area", "arguments": {"base": 10, "height": 5.0}}',
    ],
)
def test_one_call_is_read_in_every_style(text, read):
    assert read(text) == [Call("geo.area", RIGHT)]


@pytest.mark.parametrize(
    "text",
    [
        'I call it: {"name": "geo.area", "arguments": {"base": 10, "height": 5.0}}. Done',
        "The call is geo.area(base=10, height=5.0), as asked.",
        "Sure:\n```python\ngeo.area(base=10, height=5.0)\n```",
        'Now\n<tool_call>{"name": "geo.area", "arguments": {"base": 10, "height": 5.0}}</tool_call>',
    ],
)
def test_a_call_among_words_counts_leniently_only(text):
    assert lenient_calls(text) == [Call("geo.area", RIGHT)] and strict_calls(text) is None


@pytest.mark.parametrize(
    "text", ["", "no", "{}", "[]", "1", '{"name": 3}', '{"a": 1, "a": 2}', "f(", "f(**x)", "x = f(1)"]
)
def test_what_is_no_call_is_none(text):
    assert strict_calls(text) is None


@given(st.text())
def test_any_text_is_read_without_an_error(text):
    strict_calls(text), lenient_calls(text)


@pytest.mark.parametrize(
    "arguments",
    [
        RIGHT,
        {"base": 10, "height": 5},
        {**RIGHT, "unit": "Square-Metres"},
        {**RIGHT, "round": True, "points": [1, 2]},
        {**RIGHT, "style": {"colour": "Blue"}},
    ],
)
def test_accepted_arguments(arguments):
    assert fault([Call("geo.area", arguments)], [ACCEPTED], [AREA]) is None


NEAR = [
    {"base": 10},
    {"base": 10.0, "height": 5.0},
    {"base": "10", "height": 5.0},
    {"base": True, "height": 5.0},
    {"base": 11, "height": 5.0},
    {"base": 10, "height": 5.25},
    {"base": 10, "height": "5.0"},
    {"base": 10, "height": None},
    {"base": [10], "height": 5.0},
    {**RIGHT, "unit": "feet"},
    {**RIGHT, "unit": 2},
    {**RIGHT, "round": False},
    {**RIGHT, "round": "true"},
    {**RIGHT, "round": 1},
    {**RIGHT, "points": [2, 1]},
    {**RIGHT, "points": [1]},
    {**RIGHT, "points": [1, "2"]},
    {**RIGHT, "points": "1, 2"},
    {**RIGHT, "style": {"colour": "green"}},
    {**RIGHT, "style": {"colour": "red", "size": 1}},
    {**RIGHT, "style": {}},
    {**RIGHT, "more": 1},
    {"Base": 10, "height": 5.0},
]


@pytest.mark.parametrize("arguments", NEAR, ids=json.dumps)
def test_near_misses(arguments):
    assert fault([Call("geo.area", arguments)], [ACCEPTED], [AREA]) is not None


def test_calls_come_in_any_order_and_each_counts_once():
    other = {"geo.area": {"base": [3], "height": [4.0]}}
    one, two = Call("geo.area", RIGHT), Call("geo.area", {"base": 3, "height": 4.0})
    assert fault([two, one], [ACCEPTED, other], [AREA]) is None
    assert fault([one, one], [ACCEPTED, other], [AREA]) is not None
    assert fault([one], [ACCEPTED, other], [AREA]) == "1 calls, 2 wanted"
    assert fault([one, two, two], [ACCEPTED, other], [AREA]) is not None
    assert fault([], [ACCEPTED], [AREA]) == fault(None, [ACCEPTED], [AREA]) == "no call"
    assert fault([Call("area", RIGHT)], [ACCEPTED], [AREA]) == "area called, geo.area wanted"


def test_the_matching_of_calls_is_not_greedy():
    loose = {"geo.area": {"base": [1, 2], "height": [1.0]}}
    tight = {"geo.area": {"base": [1], "height": [1.0]}}
    calls = [Call("geo.area", {"base": 1, "height": 1.0}), Call("geo.area", {"base": 2, "height": 1.0})]
    assert fault(calls, [loose, tight], [AREA]) is None


def test_arguments_without_names_are_named_by_the_schema():
    assert fault(strict_calls("geo.area(10, height=5.0)"), [ACCEPTED], [AREA]) is None
    assert fault(strict_calls("geo.area(10, 5.0, 'm2', True, [1, 2], {}, 7)"), [ACCEPTED], [AREA]) is not None


def test_identical_calls_are_identical_by_value():
    gold = Call("geo.area", RIGHT)
    assert same_call(Call("geo.area", {"height": 5, "base": 10}), gold, [AREA])
    assert not same_call(Call("geo.area", {**RIGHT, "unit": "m2"}), gold, [AREA])
    points = Call("geo.area", {**RIGHT, "points": [1, [2]]})
    assert same_call(Call("geo.area", {**RIGHT, "points": [1.0, [2]]}), points, [AREA])
    assert not same_call(Call("geo.area", {**RIGHT, "points": [1, [True]]}), points, [AREA])
    assert not same_call(Call("geo.area", {"base": 10, "height": "5.0"}), gold, [AREA]) and not same_call(
        None, gold, []
    )


BOOK = {
    "name": "book",
    "parameters": {
        "type": "dict",
        "properties": {
            "city": {"type": "string"}, "n": {"type": "integer"}, "price": {"type": "float"},
            "ok": {"type": "boolean"}, "tags": {"type": "array", "items": {"type": "string"}},
            "opt": {"type": "integer"},
            "more": {"type": "dict", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}},
            "at": {"type": "tuple", "items": {"type": "float"}}, "any": {"type": "any"},
        },
        "required": ["city", "n", "price", "ok", "tags", "more"],
    },
}  # fmt: skip
BOOKED = {
    "book": {
        "city": ["New York", "NYC"], "n": [3], "price": [2.0, 2.5], "ok": [True], "tags": [["a", "b"]], "opt": [7, ""],
        "more": [{"a": [1], "b": ["z", ""]}], "at": [[1.0, 2.0], ""], "any": [5, ""],
    }
}  # fmt: skip
GIVEN = {"city": "New York", "n": 3, "price": 2.5, "ok": True, "tags": ["a", "b"], "more": {"a": 1, "b": "z"}}
SAID = "city='New York', n=3, price=2.5, ok=True, tags=['a', 'b'], more={'a': 1, 'b': 'z'}"


def booked(text: str) -> str | None:
    return fault(strict_calls(text), [BOOKED], [BOOK])


def as_json(arguments: dict) -> str:
    return json.dumps([{"name": "book", "arguments": arguments}])


@pytest.mark.parametrize(
    "text",
    [
        as_json(GIVEN), as_json({**GIVEN, "price": 2}), as_json({**GIVEN, "city": "nyc"}), as_json({**GIVEN, "opt": 7}),
        as_json({**GIVEN, "more": {"a": 1}}), as_json({**GIVEN, "at": [1, 2]}), f"book({SAID})", f"[book({SAID})]",
        f"```python\nbook({SAID})\n```", f"```json\n{as_json(GIVEN)}\n```",
        f"<tool_call>{as_json(GIVEN)}</tool_call>",
        json.dumps({"tool_calls": [{"function": {"name": "book", "arguments": json.dumps(GIVEN)}}]}),
        "book('New York', 3, 2.5, True, ['a', 'b'], more=dict(a=1, b='z'))",
    ],
)  # fmt: skip
def test_a_call_counts_in_every_style_and_with_every_accepted_value(text):
    assert booked(text) is None


@pytest.mark.parametrize(
    "change",
    [
        {"n": "3"}, {"n": 3.0}, {"n": True}, {"n": None}, {"n": [3]}, {"price": "2.5"}, {"price": 2.51}, {"ok": "true"},
        {"ok": 1}, {"ok": False}, {"tags": ["b", "a"]}, {"tags": "a,b"}, {"tags": ["a", "b", "b"]}, {"opt": 8},
        {"tags": [["a", "b"]]}, {"opt": None}, {"opt": ""}, {"more": {"a": "1"}}, {"more": {"a": 1, "c": 1}},
        {"more": {"b": "z"}}, {"more": '{"a": 1}'}, {"more": [{"a": 1}]}, {"extra": 1}, {"city": "Boston"}, {"any": 6},
        {"city": ["New York"]}, {"city": ""}, {"city": "New York City"}, {"at": [2.0, 1.0]}, {"at": "(1, 2)"},
        {"any": "5"}, {"price": float("nan")},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_one_wrong_argument_is_a_near_miss(change):
    assert booked(as_json({**GIVEN, **change}))


@pytest.mark.parametrize(
    "text",
    [
        f"book({SAID}, n=3)", f"book('New York', {SAID})", f"Book({SAID})", f"api.book({SAID})", f"book(**{GIVEN!r})",
        f"book({SAID.replace('3', '1 + 2')})", f"book({SAID}), book({SAID})", f"<think>book({SAID})</think>Done.",
        "book()", as_json(GIVEN)[:-2], as_json(GIVEN).replace('"n": 3', '"n": 3, "n": 3'), "[]", "",
        f"book({SAID.replace(chr(123), 'dict(a=2, **' + chr(123)).replace(chr(125), chr(125) + ')')})",
    ],
)  # fmt: skip
def test_a_call_that_python_or_the_function_would_refuse_does_not_count(text):
    assert booked(text)
