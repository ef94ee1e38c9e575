"""Answers made elsewhere: by index or id, samples, what is missing, what is not asked for."""

from __future__ import annotations

import json

import pytest

from pipeline.engines.recorded import open_engine
from pipeline.errors import DataError, InputError
from pipeline.types import Request


@pytest.fixture
def recorded(tmp_path):
    def make(*rows):
        path = tmp_path / "answers.jsonl"
        path.write_text("\n".join(json.dumps(row) for row in rows))
        return open_engine("any label", str(path))

    return make


def asked(index, item="", benchmark="b", n=1):
    return Request(benchmark=benchmark, item=item or f"item-{index}", index=index, n=n)


def texts(answers):
    return [[completion.text for completion in completions] for completions in answers]


def test_answers_are_found_by_index_and_by_id(recorded):
    engine = recorded({"id": "item-1", "response": "one"}, {"index": 0, "response": "zero"})
    assert texts(engine.generate([asked(0), asked(1)])) == [["zero"], ["one"]] and engine.ignored == 0


def test_a_line_may_name_its_benchmark_and_a_part_has_its_whole_s_answers(recorded):
    engine = recorded(
        {"index": 0, "benchmark": "b", "response": "of b"}, {"index": 0, "benchmark": "c", "response": "of c"}
    )
    assert texts(engine.generate([asked(0, benchmark="c"), asked(0, benchmark="b:part")])) == [["of c"], ["of b"]]


def test_the_same_index_again_is_another_sample(recorded):
    engine = recorded(*({"index": 0, "response": text} for text in "abc"))
    assert texts(engine.generate([asked(0, n=2)])) == [["a", "b"]]
    with pytest.raises(DataError, match="1 of 1 items have fewer than 4 answers: item-0"):
        engine.generate([asked(0, n=4)])


def test_whether_an_answer_stopped_is_not_known_unless_the_line_says_so(recorded):
    engine = recorded({"index": 0, "response": "a"}, {"index": 1, "response": "b", "stopped": False})
    assert [answer[0].stopped for answer in engine.generate([asked(0), asked(1)])] == [None, False]


def test_items_without_an_answer_are_listed_and_answers_to_others_counted(recorded):
    engine = recorded({"index": 0, "response": "a"}, {"id": "of another split", "response": "b"})
    assert texts(engine.generate([asked(0)])) == [["a"]] and engine.ignored == 1
    with pytest.raises(DataError, match="7 of 8 items have fewer than 1 answers: item-1, .*item-5 and 2 more"):
        engine.generate([asked(index) for index in range(8)])


@pytest.mark.parametrize(
    "row",
    [
        {"response": "a"},
        {"index": 0},
        {"index": 0, "response": 3},
        {"index": True, "response": "a"},
        {"id": 1.5},
        {"index": 1, "response": "a", "stopped": "yes"},
        {"index": 1, "response": "a", "stopped": "yes"},
    ],
)
def test_a_line_of_another_form_is_named(recorded, row):
    with pytest.raises(DataError, match='row 2: needs "response"'):
        recorded({"index": 0, "response": "a"}, row)


def test_the_file_must_be_named():
    with pytest.raises(InputError, match="recorded:answers.jsonl"):
        open_engine("any label")
