"""Answers of language models: what is understood, what is refused, and that nothing else gets through."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.agents._answer import Answer, Fault, read
from pipeline.agents._schema import form, short_form
from pipeline.agents._strategies import others
from pipeline.guards import bounds
from pipeline.recipe import apply_changes, load_recipe
from pipeline.space import check_space, search_space
from pipeline.types import Brief, Cost, Outcome, Proposal, Score, Trial, Verdict

NAMES = ["maths_1", "maths_2", "maths_3"]
RECIPE = load_recipe("tiny_gsm8k")
BRIEF = Brief(model="m", benchmark="b", recipe=RECIPE, space=search_space(RECIPE, NAMES), cards=())
DATA, RATE = "stages.0.data", "stages.0.params.learning_rate"
ONE = [{"name": "maths_1", "weight": 1.0}]


def trial(name: str, changes: dict[str, Any], value: float = 0.5) -> Trial:
    score = Score(benchmark="b", metric="m", value=value, stderr=0.02, n=300, role="search")
    recipe = apply_changes(RECIPE, changes)
    outcome = Outcome(scores=(score,), cost=Cost(), fidelity=0.5)
    return Trial(id=name, state="scored", recipe=recipe, proposal=Proposal(changes=changes), outcome=outcome)


def answer(trials: list[Trial] | None = None, **fields: Any) -> Answer:
    return read(json.dumps(fields), BRIEF, trials or [], {})


@pytest.mark.parametrize(
    "text",
    [
        '{"changes": {"stages.0.data": [{"name": "maths_1", "weight": 1.0}]}}',
        'Sure! Here {it} is:\n```json\n{"changes": {"stages.0.data": {"maths_1": 1.0}}}\n```\nI hope {this} helps.',
        '<think>{"changes": {"seed": 1}}</think>{"changes": {"data": ["maths_1"]}, "predicted_score": 0.5}',
        '{"stages.0.data": "maths_1"}',
        '{"changes": {"data": {"name": "maths_1", "weight": 1.0}}, "parent": "recipe", "rationale": "a\\u0007b"}',
    ],
)
def test_an_answer_may_stand_in_prose_or_a_fence_and_be_short(text: str) -> None:
    assert read(text, BRIEF, [], {}).changes == {DATA: ONE}


def test_what_is_not_given_is_the_parent_s() -> None:
    before = trial("t001", {RATE: 1e-3, DATA: [{"name": "maths_2", "weight": 1.0}]})
    found = answer([before], changes={DATA: ONE}, parent="t001", rationale="  two\nlines ", predicted_score=0.5)
    assert found == Answer({RATE: 1e-3, DATA: ONE}, "t001", "two lines", 0.5)


def test_stages_share_the_run_s_length_and_keep_the_parent_s_parameters() -> None:
    stages = [{"share": 3, "data": {"maths_1": 1}, "params": {"tokens": 10**12}}, {"share": 1, "data": ["maths_2"]}]
    found = answer([trial("t001", {RATE: 1e-3})], changes={"stages": stages}, parent="t001").changes
    recipe = apply_changes(RECIPE, found)
    assert [stage.params["tokens"] for stage in recipe.stages] == [3_000_000, 1_000_000]
    assert {stage.params["learning_rate"] for stage in recipe.stages} == {1e-3}
    later = answer([trial("t002", found)], changes={"stages.1.params.learning_rate": 1e-4}, parent="t002").changes
    assert list(later) == ["stages"] and later["stages"][1]["params"]["learning_rate"] == 1e-4
    again = answer([trial("t002", found)], changes={"stages": stages[:1]}, parent="t002").changes
    assert again["stages"][0]["params"]["tokens"] == 4_000_000


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rationale": "none"}, "`changes` must be an object"),
        ({"changes": []}, "`changes` must be an object"),
        ({"changes": {"model": "http://evil"}}, "model: is not searched"),
        ({"changes": {"seed": 7}}, "another seed shows noise"),
        ({"changes": {RATE: "fast"}}, "must be a number, not 'fast'"),
        ({"changes": {RATE: float("nan")}}, "must be a number"),
        ({"changes": {RATE: 1.0}}, "must be from 1e-05 to 0.02"),
        ({"changes": {"stages.0.trainer": "os.system"}}, "is not searched"),
        ({"changes": {"stages.7.params.rank": 8}}, "is not searched"),
        ({"changes": {DATA: []}}, "must be a list of sources"),
        ({"changes": {DATA: [{"name": "../../etc/passwd"}]}}, "unknown data source"),
        ({"changes": {DATA: [{"name": "maths_1", "weight": -1}]}}, "weight"),
        ({"changes": {DATA: [{"name": "maths_1", "weight": 0}]}}, "all weights are 0"),
        ({"changes": {DATA: [{"name": "maths_1", "filters": ["; rm -rf /"]}]}}, "unknown filter"),
        ({"changes": {DATA: [{"name": "maths_1", "path": "/tmp"}]}}, "unknown key"),
        ({"changes": {"stages": []}}, "`stages` must be a list of stages"),
        ({"changes": {"stages": [{"data": ["maths_1"]}] * 9}}, "9 are too many"),
        ({"changes": {"stages": [{"share": 0, "data": ["maths_1"]}]}}, "share must be a number above 0"),
        ({"changes": {"stages": [{"share": float("inf"), "data": ["maths_1"]}]}}, "share must be a number above 0"),
        ({"changes": {"stages": [{"data": ["maths_1"], "trainer": "evil.module"}]}}, "unknown trainer"),
        ({"changes": {"stages": [{"data": ["maths_1"], "shell": "ls"}]}}, "unknown key"),
        ({"changes": {DATA: ONE}, "parent": "t999"}, "there is no such trial"),
        ({"changes": {DATA: ONE}, "parent": ["t001"]}, "there is no such trial"),
        ({"changes": {DATA: ONE}, "predicted_score": 45}, "must be a number from 0 to 1"),
        ({"changes": {DATA: ONE}, "predicted_score": True}, "must be a number from 0 to 1"),
    ],
)
def test_what_may_not_be_proposed_is_a_fault_in_words(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(Fault, match=said.replace("(", r"\(")):
        answer(**fields)


def test_what_was_tried_or_refused_is_a_fault_that_names_it() -> None:
    tried = trial("t004", {DATA: ONE}, 0.42)
    with pytest.raises(Fault, match=r"tried already: t004 scored 0\.420"):
        answer([tried], changes={DATA: [{"name": "maths_1", "weight": 1.0}]})
    with pytest.raises(Fault, match=r"tried already"):
        answer([trial("t001", {})], changes={}, parent="t001")
    verdict = Verdict(guard="contamination", ok=False, reason="maths_2: 1 row holds final benchmark items")
    mixture = [{"name": "maths_2"}, {"name": "maths_3"}]
    refused = trial("t005", {DATA: mixture}).model_copy(update={"state": "rejected", "verdicts": (verdict,)})
    with pytest.raises(Fault, match="maths_2 was refused by a guard before"):
        answer([refused], changes={DATA: [{"name": "maths_2"}]})
    assert answer([refused], changes={DATA: [{"name": "maths_3"}]})


def test_a_strategy_is_chosen_by_its_name_and_may_be_taken_as_it_is() -> None:
    named = {each.name: each.example for each in others(BRIEF, [], {"maths_1": 1.0, "maths_3": 0.5})}
    assert {"best_two", "broad_then_best"} <= set(named)
    for name in named:
        changes = read(json.dumps({"strategy": name, "rationale": "why not"}), BRIEF, [], named).changes
        assert check_space(changes, BRIEF.space) == []
    with pytest.raises(Fault, match="unknown strategy 'reconsider': choose one of"):
        read('{"strategy": "reconsider", "changes": {}}', BRIEF, [], named)
    with pytest.raises(Fault, match="no strategy was chosen"):
        read('{"changes": {}}', BRIEF, [], named)


def test_named_strategies_are_those_that_no_trial_has_had() -> None:
    named = others(BRIEF, [], {})
    example = read(json.dumps({"strategy": "all_sources"}), BRIEF, [], {each.name: each.example for each in named})
    left = others(BRIEF, [trial("t001", example.changes)], {})
    assert "all_sources" in {each.name for each in named} - {each.name for each in left}


def test_the_schema_says_what_the_space_says() -> None:
    schema = form(BRIEF, ()).schema["properties"]["changes"]
    assert set(BRIEF.space) | {"stages"} == set(schema["properties"]) and schema["additionalProperties"] is False
    assert schema["properties"][RATE] == {"type": "number", "minimum": 1e-5, "maximum": 0.02}
    assert schema["properties"][DATA]["items"]["properties"]["name"]["enum"] == NAMES


def test_the_parent_is_one_of_the_trials_that_there_are() -> None:
    tried = [trial(f"t{number:03d}", {RATE: number * 1e-4}) for number in range(1, 31)]
    for made in (form(BRIEF, (), tried), short_form(BRIEF, (), tried)):
        parents = made.schema["properties"]["parent"]["enum"]
        assert parents[0] == "recipe" and parents[-1] == "t030" and len(parents) == 21


def test_a_short_form_asks_for_a_mixture_alone_and_every_answer_in_it_can_be_used() -> None:
    schema = short_form(BRIEF, ()).schema["properties"]
    data = schema["changes"]["properties"][DATA]
    assert list(schema["changes"]["properties"]) == [DATA] == schema["changes"]["required"] and data["maxItems"] <= 4
    each = data["items"]["properties"]
    mixture = [{"name": name, "weight": weight} for name, weight in zip(each["name"]["enum"], (0.1, 1.0), strict=False)]
    assert all(one["weight"] in each["weight"]["enum"] for one in mixture)
    said = {"changes": {DATA: mixture}, "parent": "recipe", "predicted_score": schema["predicted_score"]["enum"][4]}
    assert read(json.dumps(said), BRIEF, [], {}).changes == {DATA: mixture}


def test_a_space_without_a_mixture_has_one_form() -> None:
    numbers = BRIEF.model_copy(update={"space": {RATE: BRIEF.space[RATE]}})
    assert short_form(numbers, ()).schema == form(numbers, ()).schema


@pytest.mark.parametrize("end", range(30, 150, 17))
def test_an_answer_that_breaks_off_is_told_so_and_not_read_by_its_parts(end: int) -> None:
    whole = json.dumps({"changes": {DATA: [{"name": NAMES[0], "weight": 0.5}, {"name": NAMES[1], "weight": 0.5}]},
                        "rationale": "more of the same, as it did well, and so on and so on and on"})  # fmt: skip
    with pytest.raises(Fault, match="not complete|no complete JSON object"):
        read(whole[:end], BRIEF, [], {})


def test_a_source_that_is_named_twice_has_both_weights() -> None:
    said = {"changes": {DATA: [{"name": NAMES[0], "weight": 0.5}, {"name": NAMES[1], "weight": 1}, NAMES[0]]}}
    found = read(json.dumps(said), BRIEF, [], {}).changes[DATA]
    assert found == [{"name": NAMES[0], "weight": 1.5}, {"name": NAMES[1], "weight": 1}]


KEYS = st.sampled_from(["name", "weight", "data", "params", "stages", "share", "filters", "limit", RATE])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from([*NAMES, RATE]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
PLACES = st.sampled_from([*BRIEF.space, "stages", "data", "rank", "stages.0.trainer", "model"]) | st.text(max_size=12)


@given(st.dictionaries(PLACES, VALUES, max_size=3), VALUES, VALUES)
def test_whatever_is_said_is_either_a_fault_or_a_proposal_that_the_guards_let_pass(
    changes: dict[str, Any], parent: Any, predicted: Any
) -> None:
    text = json.dumps({"changes": changes, "parent": parent, "predicted_score": predicted})
    try:
        found = read(text, BRIEF, [trial("t001", {RATE: 1e-3})], {})
    except Fault as fault:
        assert str(fault)
        return
    verdict = bounds.on_proposal(Proposal(changes=found.changes), RECIPE, BRIEF.space)
    assert verdict.ok, verdict.reason


@given(st.text() | st.text(alphabet='{}[]":,ae1 \n\\', max_size=300))
def test_any_text_at_all_is_a_fault_or_an_answer(text: str) -> None:
    try:
        assert isinstance(read(text, BRIEF, [], {}), Answer)
    except Fault as fault:
        assert str(fault)


def unbounded(schema: Any, place: str = "") -> list[str]:
    """The places of a schema where an answer could go on for ever."""
    if isinstance(schema, list):
        return [found for each in schema for found in unbounded(each, place)]
    if not isinstance(schema, dict):
        return []
    kind, has = schema.get("type"), set(schema)
    is_open = kind == "array" and "maxItems" not in has
    is_open |= kind == "string" and not has & {"enum", "maxLength", "pattern"}
    below = [found for key, value in schema.items() for found in unbounded(value, f"{place}.{key}")]
    return [place] * is_open + below


def test_an_answer_s_form_lets_nothing_go_on_for_ever() -> None:
    assert unbounded(form(BRIEF, ()).schema) == []
    assert unbounded(form(BRIEF, others(BRIEF, (), {})).schema) == []
    assert unbounded(short_form(BRIEF, others(BRIEF, (), {}), [trial("t001", {})]).schema) == []
    assert unbounded({"a": {"type": "array", "items": {"type": "string"}}}) == [".a", ".a.items"]


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("dedupe", True),
        ("max_characters:200", True),
        ("max_characters", False),
        ("maths_1", False),
        ("dedupe:3", False),
    ],
)
def test_an_answer_s_form_knows_the_filters(name: str, fits: bool) -> None:
    source = form(BRIEF, ()).schema["properties"]["changes"]["properties"][DATA]["items"]
    assert bool(re.search(source["properties"]["filters"]["items"]["pattern"], name)) is fits
