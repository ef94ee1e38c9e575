from __future__ import annotations

import pytest

from pipeline.errors import DataError
from pipeline.formats import IncompleteRow, to_messages

PAIR = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": PAIR},
        {"messages": '[{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]'},
        {"messages": [{"role": "User", "content": [{"type": "text", "text": "Q"}]}, PAIR[1]]},
        {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]},
        {"conversation": PAIR},
        {"prompt": "Q", "completion": "A"},
        {"prompt": PAIR[:1], "completion": PAIR[1:]},
        {"prompt": PAIR[:1], "completion": "A"},
        {"prompt": "Q", "response": "A"},
        {"instruction": "Q", "output": "A"},
        {"instruction": "Q", "input": "", "output": "A"},
        {"instruction": "Q", "input": None, "response": "A"},
        {"input": "Q", "output": "A"},
        {"question": "Q", "answer": "A"},
        {"Question": "Q", "Answer": "A", "id": 7},
        {"problem": "Q", "solution": "A", "answer": "B"},
        {"query": "Q", "response": "A"},
        {"messages": None, "question": "Q", "answer": "A"},  # as a table of mixed rows has it
    ],
)
def test_every_common_layout_becomes_the_same_messages(row):
    assert to_messages(row) == PAIR


def test_an_input_column_belongs_to_the_question():
    row = {"system": "Be brief.", "instruction": "Add.", "input": "1 2", "output": "3"}
    assert to_messages(row) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Add.\n\n1 2"},
        {"role": "assistant", "content": "3"},
    ]


def test_a_text_column_is_trained_as_it_is():
    assert to_messages({"text": "Once upon a time"}) == [{"role": "text", "content": "Once upon a time"}]


def test_a_number_is_an_answer():
    assert to_messages({"question": "Q", "answer": 42})[-1]["content"] == "42"


def test_tool_calls_are_kept():
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}
    assert to_messages({"messages": [PAIR[0], call]})[1] == {**call, "content": ""}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "Q", "answer": None}, "column answer is empty"),
        ({"question": "Q", "answer": " \n"}, "column answer is empty"),
        ({"question": "", "answer": "A"}, "column question is empty"),
        ({"messages": []}, "column messages is empty"),
        ({"messages": PAIR[:1]}, "the last message is of the user"),
        ({"messages": [PAIR[0], {"role": "assistant", "content": ""}]}, "the answer is empty"),
        ({"messages": PAIR[1:]}, "the question is empty"),
        ({"text": None}, "column text is empty"),
    ],
)
def test_a_row_without_question_or_answer_is_incomplete(row, said):
    with pytest.raises(IncompleteRow, match=said):
        to_messages(row)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"q": "Q", "a": "A"}, "no known layout in the columns q, a: known are messages, prompt"),
        ({}, "in the columns none"),
        ({"question": "Q"}, "in the columns question"),
        ({"input_ids": [1, 2]}, "in the columns input_ids"),
        ({"messages": "hello"}, "a list of messages is needed, found text"),
        ({"messages": {"role": "user"}}, "a list of messages is needed, found dict"),
        ({"messages": ["Q", "A"]}, "a message must be an object, found str"),
        ({"messages": [{"role": "teacher", "content": "Q"}]}, "unknown role 'teacher'"),
        ({"question": "Q", "answer": {"value": 3}}, "column answer: text is needed, found dict"),
    ],
)
def test_what_cannot_be_read_is_named(row, said):
    with pytest.raises(DataError, match=said) as caught:
        to_messages(row)
    assert not isinstance(caught.value, IncompleteRow)
    assert "\n" not in str(caught.value)
