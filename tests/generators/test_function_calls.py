"""Generated function calls: right by construction, varied, and none of a benchmark's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import catalogue, generators
from pipeline.answers.call_match import fault
from pipeline.answers.calls import strict_calls
from pipeline.errors import InputError
from pipeline.generators.function_calls import rows
from pipeline.guards.contamination import on_source
from pipeline.rowfiles import read_rows
from pipeline.types import ItemsKey

REAL = Path(__file__).parents[3] / "shared" / "data" / "bfcl"
PARTS = ("simple_python", "multiple", "parallel", "parallel_multiple")


def offered(row) -> list[dict]:
    if "tools" in row:
        return [tool["function"] for tool in row["tools"]]
    return [json.loads(line) for line in row["messages"][0]["content"].splitlines() if line.startswith('{"name"')]


def called(row) -> list[dict]:
    answer = row["messages"][1]
    if "tools" in row:
        return [call["function"] for call in answer["tool_calls"]]
    return json.loads(answer["content"])


@pytest.mark.parametrize(("candidates", "calls"), [(1, 1), (4, 1), (4, 3), (1, 2)])
def test_every_answer_is_accepted_by_bfcl_s_own_comparison(candidates, calls):
    for row in rows(seed=3, count=200, candidates=candidates, calls=calls):
        answer = row["messages"][1]["content"]
        accepted = [
            {call["name"]: {key: [_options(value)] for key, value in call["arguments"].items()}} for call in called(row)
        ]
        assert fault(strict_calls(answer), accepted, offered(row)) is None, row


def _options(value):
    """A value as an answer key has it: the members of an object are lists of what is accepted."""
    return {key: [_options(each)] for key, each in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("form", ["written", "tools"])
def test_calls_fit_their_schema_and_give_all_that_is_required(form):
    for row in rows(seed=1, count=300, candidates=3, calls=2, form=form):
        schemas = {function["name"]: function["parameters"] for function in offered(row)}
        for call in called(row):
            wanted = schemas[call["name"]]
            assert set(wanted["required"]) <= set(call["arguments"]) <= set(wanted["properties"])
            for name, value in call["arguments"].items():
                assert isinstance(value, KINDS[wanted["properties"][name]["type"]]), (call, name)


KINDS = {
    "integer": int, "float": float, "number": float, "string": str, "boolean": bool, "array": list, "dict": dict,
    "object": dict,
}  # fmt: skip


def test_every_value_stands_in_its_request():
    for row in rows(seed=2, count=300, candidates=2, calls=2):
        request = row["messages"][0]["content"].partition("Request: ")[2]
        for value in (value for call in called(row) for value in call["arguments"].values()):
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                assert str(value) in request, row
            elif isinstance(value, list):
                assert all(str(each) in request for each in value), row


def test_there_are_as_many_calls_and_candidates_as_asked_for():
    several = rows(seed=0, count=200, candidates=4, calls=3)
    assert {len(offered(row)) for row in several} == {2, 3, 4} and {len(called(row)) for row in several} == {2, 3}
    assert all(len(offered(row)) == len(called(row)) == 1 for row in rows(seed=0, count=50))


def test_thousands_of_functions_differ_and_optional_and_nested_arguments_come_up():
    found = [(function, call) for row in rows(seed=0, count=3000) for function in offered(row) for call in called(row)]
    assert len({json.dumps(function) for function, _ in found}) > 2500
    assert len({function["name"] for function, _ in found}) > 1500
    left_out = [set(f["parameters"]["properties"]) - set(call["arguments"]) for f, call in found]
    assert 0.05 < sum(map(bool, left_out)) / len(found) < 0.6
    nested = [any(isinstance(value, dict) for value in call["arguments"].values()) for _, call in found]
    assert 0.02 < sum(nested) / len(found) < 0.3


def test_rows_hang_on_the_seed_and_the_name_alone():
    assert rows(seed=5, count=20) == rows(seed=5, count=20)
    assert rows(seed=5, count=20)[:7] == rows(seed=5, count=7)
    assert rows(seed=5, count=20) != rows(seed=6, count=20) != rows(seed=6, count=20, name="other")


def test_an_unknown_generator_lists_what_exists():
    with pytest.raises(InputError, match="unknown generator 'function_cals': did you mean function_calls"):
        generators.rows("function_cals", 0, 1, {})


@pytest.mark.skipif(not REAL.is_dir(), reason="real benchmark items are not beside this checkout")
def test_no_item_and_no_function_of_bfcl_is_in_it():
    items = [row for part in PARTS for row in read_rows(REAL / f"BFCL_v4_{part}.jsonl")]
    theirs = {function["name"] for row in items for function in row["function"]}
    pool = [{"id": row["id"], "question": row["question"][0][0]["content"]} for row in items]
    names = [name for name in catalogue.names("function calls") if name.startswith("function_calls")]
    assert len(names) == 4
    for name in names:
        found = catalogue.rows(name, ItemsKey(lab_seed=0))
        assert on_source(name, found, pool).ok
        assert not theirs & {function["name"] for row in found for function in offered(row)}
