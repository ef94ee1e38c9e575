"""Generated function calls: right by construction, varied, and none of a benchmark's."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from pipeline import catalogue, generators
from pipeline.answers.call_match import fault
from pipeline.answers.calls import strict_calls
from pipeline.errors import InputError
from pipeline.generators._words import words
from pipeline.generators.function_calls import STYLES, rows
from pipeline.guards.contamination import on_source
from pipeline.params import SftParams
from pipeline.recipe import load_recipe
from pipeline.rowfiles import read_rows
from pipeline.types import ItemsKey
from tests.generators.calls import KINDS, called, offered

REAL = Path(__file__).parents[3] / "shared" / "data" / "bfcl"
PARTS = ("simple_python", "multiple", "parallel", "parallel_multiple")


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


def test_beside_a_pair_nothing_else_is_of_its_kind():
    routes = 0
    for row in rows(seed=12, count=3000):
        properties = offered(row)[0]["parameters"]["properties"]
        if {"from_city", "to_city"} <= set(properties) or {"start_location", "end_location"} <= set(properties):
            routes += 1
            assert not any(schema["description"].startswith("The name of the city") for schema in properties.values())
    assert routes > 20


def test_an_example_in_a_description_is_seldom_what_the_request_means():
    same = other = 0
    for row in rows(seed=14, count=2000):
        for name, value in called(row)[0]["arguments"].items():
            about = offered(row)[0]["parameters"]["properties"][name]["description"]
            if found := re.search(r"(?:E\.g\.|For example,|Such as) (.+)\.$", about):
                same, other = same + (found[1] == str(value)), other + (found[1] != str(value))
    assert other > 100 and same < 0.1 * other


def test_what_may_be_chosen_is_an_enumeration_or_told_in_words():
    kinds = set()
    for row in rows(seed=10, count=500):
        for name, value in called(row)[0]["arguments"].items():
            schema = offered(row)[0]["parameters"]["properties"][name]
            if schema["type"] != "string":
                continue
            listed = re.findall(r"Options: (.+)\.", schema["description"])
            if "enum" in schema or listed:
                assert value in (schema.get("enum") or listed[0]), schema
                kinds.add("enum" in schema)
    assert kinds == {True, False}


def test_some_optional_arguments_tell_their_default_and_are_left_out_when_it_is_not_asked_for_otherwise():
    told = [
        (function, call, name)
        for row in rows(seed=8, count=2000)
        for function, call in zip(offered(row), called(row), strict=True)
        for name, schema in function["parameters"]["properties"].items()
        if re.search(r"[Dd]efaults? (is|to) ", schema["description"])
    ]
    assert all(name not in function["parameters"]["required"] for function, _, name in told)
    left_out = sum(name not in call["arguments"] for _, call, name in told)
    assert len(told) > 100 and 0.3 < left_out / len(told) < 0.7


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


def test_so_many_rows_in_turn_ask_for_the_same_function_in_other_words():
    found = rows(seed=0, count=41, requests=4)
    assert len(found) == 41 and len({row["_group"] for row in found}) == 11
    for begin in range(0, 40, 4):
        some = found[begin : begin + 4]
        assert len({row["_group"] for row in some}) == 1
        assert all(offered(row) == offered(some[0]) for row in some)
        assert len({row["messages"][0]["content"] for row in some}) > 1
    assert found[0]["_group"] != found[4]["_group"] and offered(found[0]) != offered(found[4])
    assert not any("_group" in row for row in rows(seed=0, count=5))


def test_a_step_of_the_small_recipe_is_a_group():
    stage = load_recipe("bfcl_ast_single_small").stages[0]
    params = SftParams(**stage.params)
    (group, *_) = Counter(row["_group"] for row in catalogue.rows(stage.data[0].name, ItemsKey())).values()
    assert (params.device_batch or params.batch_size) == group == 4 and params.sort_window is None


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
    assert len(names) == 5
    for name in names:
        found = catalogue.rows(name, ItemsKey(lab_seed=0))
        assert on_source(name, found, pool).ok
        assert not theirs & {function["name"] for row in found for function in offered(row)}


@pytest.mark.skipif(not REAL.is_dir(), reason="real benchmark items are not beside this checkout")
def test_no_seed_can_make_a_function_of_bfcl():
    theirs = {
        function["name"]
        for part in PARTS
        for row in read_rows(REAL / f"BFCL_v4_{part}.jsonl")
        for function in row["function"]
    }
    acts = [act for domain in words().domains.values() for act in domain.acts]
    verbs = "|".join(verb for act in acts for verb in act.verbs)
    heads, tails = ("|".join(act.noun.split("_")[place] for act in acts) for place in (0, -1))
    whole, domains = "|".join(act.noun for act in acts), "|".join(words().domains)
    noun = f"(?:(?:{heads})_(?:{tails})|{whole})"
    made = [
        ("{verb}_{noun}" if style == "camel" else style.replace(".", r"\."))
        .replace("{verb}", f"(?:{verbs})")
        .replace("{noun}", noun)
        .replace("{domain}", f"(?:{domains})")
        for style in STYLES
    ]
    assert re.fullmatch(made[0], "calculate_trimmed_rows") and re.fullmatch(made[2], "home.lock_side_gate")
    for name in theirs:
        parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
        assert not any(re.fullmatch(pattern, each) for pattern in made for each in (name, parted)), name
