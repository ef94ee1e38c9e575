"""Answers made elsewhere: by index or id, samples, what is missing, what is not asked for."""

from __future__ import annotations

import gzip
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
    assert texts(engine.generate([asked(0), asked(1)])) == [["zero"], ["one"]] and engine.unused == set()


def test_the_id_counts_where_both_are_given_and_may_be_a_number(recorded):
    engine = recorded(
        {"id": 7, "index": 0, "response": "seven"},
        {"id": None, "index": 1, "response": "one"},
        {"id": "0", "response": "?"},
    )
    assert texts(engine.generate([asked(3, "7"), asked(1)])) == [["seven"], ["one"]] and engine.unused == {3}
    with pytest.raises(DataError, match="item-0"):
        engine.generate([asked(0)])


def test_a_line_may_name_its_benchmark_and_a_part_has_its_whole_s_answers_by_id(recorded):
    engine = recorded(
        {"id": "x", "benchmark": "b", "response": "of b"}, {"index": 0, "benchmark": "c", "response": "of c"}
    )
    assert texts(engine.generate([asked(0, benchmark="c"), asked(0, "x", "b:part")])) == [["of c"], ["of b"]]


def test_an_index_beside_the_whole_s_name_counts_in_the_whole_where_a_part_is_asked_for(tmp_path, recorded):
    rows = [{"index": number, "benchmark": "b", "response": f"to {number}"} for number in range(4)]
    with pytest.raises(DataError, match="1 of 1 items have no answer: item-0"):
        recorded(*rows).generate([asked(0, benchmark="b:part")])
    engine = open_engine("any label", str(tmp_path / "answers.jsonl"), places={"x": 2, "y": 3})
    found = engine.generate([asked(0, "x", "b:part"), asked(1, "y", "b:part")])
    assert texts(found) == [["to 2"], ["to 3"]] and engine.unused == {1, 2}
    assert texts(engine.generate([asked(0), asked(1)])) == [["to 0"], ["to 1"]]


def test_an_answer_by_its_number_is_one_of_the_samples(tmp_path, recorded):
    engine = recorded(*({"index": 0, "response": text} for text in "abc"))
    one = asked(0).model_copy(update={"copy_number": 1})
    assert texts(engine.generate([one])) == [["b"]]
    with pytest.raises(DataError, match="fewer than 4 answers"):
        engine.generate([one.model_copy(update={"copy_number": 3})])
    whatever = open_engine("any label", str(tmp_path / "answers.jsonl"), all_samples=True)
    assert texts(whatever.generate([one, one.model_copy(update={"copy_number": 3})])) == [["b"], []]


def test_a_whole_has_the_answers_of_its_parts_by_id_but_not_by_index(recorded):
    engine = recorded({"id": "item-3", "benchmark": "b:part", "response": "of b"})
    assert texts(engine.generate([asked(3)])) == texts(engine.generate([asked(0, "item-3", "b:part")])) == [["of b"]]
    with pytest.raises(DataError, match="item-3"):
        engine.generate([asked(3, benchmark="b:other")])
    with pytest.raises(DataError, match="item-3"):
        recorded({"index": 3, "benchmark": "b:part", "response": "of b"}).generate([asked(3)])


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
    assert texts(engine.generate([asked(0)])) == [["a"]] and engine.unused == {2}
    with pytest.raises(DataError, match="7 of 8 items have no answer: item-1, .*item-5 and 2 more"):
        engine.generate([asked(index) for index in range(8)])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"response": "a"}, '"index" .a whole number from 0. or "id"'),
        ({"index": True, "response": "a"}, "whole number"),
        ({"index": "0", "response": "a"}, "whole number"),
        ({"index": 0.0, "response": "a"}, "whole number"),
        ({"index": -1, "response": "a"}, "from 0"),
        ({"id": 1.5, "response": "a"}, '"id" must be'),
        ({"index": 0}, '"response" must be a text: it is missing'),
        ({"index": 0, "response": 3}, "found int"),
        ({"index": 0, "response": None}, "found NoneType"),
        ({"index": 0, "response": ["a"]}, "found list"),
        ({"index": 0, "response": "a", "benchmark": 3}, '"benchmark" must be'),
        ({"index": 1, "response": "a", "stopped": "yes"}, '"stopped" must be'),
        ({"index": 1, "response": "a", "stopped": 1}, '"stopped" must be'),
    ],
)
def test_a_line_of_another_form_is_named(recorded, row, said):
    with pytest.raises(DataError, match=f"row 2: .*{said}"):
        recorded({"index": 0, "response": "a"}, row)


ROWS = '{"index": 0, "response": "a\u2028b"}\r\n\r\n{"index": 1, "response": "c"}\r\n'


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("plain.jsonl", ROWS.encode()),
        ("mark.jsonl", b"\xef\xbb\xbf" + ROWS.encode()),
        ("packed.jsonl.gz", gzip.compress(ROWS.encode(), mtime=0)),
        ("list.json", f"[{','.join(filter(None, ROWS.split(chr(13) + chr(10))))}]".encode()),
    ],
)
def test_files_as_they_come_from_elsewhere_are_read(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    answers = open_engine("any label", str(tmp_path / name)).generate([asked(0), asked(1)])
    assert texts(answers) == [["a\u2028b"], ["c"]]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("empty.jsonl", b"", "has no rows"),
        ("blank.jsonl", b"\n\n", "has no rows"),
        ("broken.jsonl", ROWS.encode() + b"so: 3", "line 4: not JSON"),
        ("list.jsonl", b"[1]", "line 1: an object is needed"),
        ("latin.jsonl", '{"index": 0, "response": "\u00e9"}'.encode("latin-1"), "line 1: not UTF-8"),
        ("cut.jsonl.gz", gzip.compress(ROWS.encode(), mtime=0)[:-9], "not a whole gzip file"),
        ("answers.txt", ROWS.encode(), "cannot read '.txt' files"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=said) as caught:
        open_engine("any label", str(tmp_path / name))
    assert "\n" not in str(caught.value) and name in str(caught.value)
    with pytest.raises(DataError, match="no such file"):
        open_engine("any label", str(tmp_path / "nowhere.jsonl"))


def test_the_file_must_be_named():
    with pytest.raises(InputError, match="recorded:answers.jsonl"):
        open_engine("any label")
