from __future__ import annotations

import pytest

from pipeline import catalogue
from pipeline.guards.bounds import on_proposal
from pipeline.recipe import search_space
from pipeline.types import Proposal, Recipe

RECIPE = Recipe(model="lab/qwen3-base", stages=({"data": [{"name": "maths_1"}], "params": {"tokens": 1000}},))


def verdict(changes, **fields):
    space = search_space(RECIPE, catalogue.names("maths"))
    return on_proposal(Proposal(changes=changes, **fields), RECIPE, space)


def mixture(*references):
    return {"stages.0.data": [dict(reference) for reference in references]}


def test_a_proposal_within_the_space_passes():
    allowed = {
        "seed": 3,
        "stages.0.params.learning_rate": 3e-3,
        "stages.0.data": [
            {"name": "maths_2", "weight": 2.0, "limit": 100, "filters": ["dedupe", "max_characters:300"]},
            {"name": "maths_5", "weight": 0.0},
        ],
    }
    assert verdict(allowed, continues="t12", parent="t3").model_dump(exclude_defaults=True) == {
        "guard": "bounds",
        "ok": True,
    }


def test_replacing_all_stages_within_the_space_passes():
    stage = {"data": [{"name": "maths_3"}], "params": {"tokens": 500, "tuning": "full", "learning_rate": 1e-3}}
    assert verdict({"stages": [stage, stage]}).ok


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "lab/qwen3"}, "model"),
        ({"stages.0.params.max_length": 64}, "is not searched"),
        ({"stages.0.params.learning_rate": 0.5}, "must be from"),
        ({"stages.0.params.learning_rate": float("nan")}, "must be a number"),
        ({"stages.7.data": [{"name": "maths_1"}]}, "is not searched"),
        (mixture({"name": "maths_99"}), "unknown data source 'maths_99'"),
        (mixture({"name": "calls_1"}), "unknown data source 'calls_1'"),
        (mixture({"name": "maths_1", "weight": 0}), "all weights are 0"),
        (mixture({"name": "maths_1", "weight": -1}), "weight"),
        (mixture({"name": "maths_1"}, {"name": "maths_1"}), "named twice"),
        (mixture({"name": "maths_1", "filters": ["shortest"]}), "unknown filter 'shortest'"),
        (mixture({"name": "maths_1", "filters": ["max_characters"]}), "a whole number is needed"),
        ({"stages.0.data": []}, "must be a list"),
        ({"stages": []}, "at least one"),
    ],
)
def test_what_lies_outside_is_refused_with_a_reason(changes, said):
    found = verdict(changes)
    assert not found.ok and said in found.reason


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../items.jsonl",
        "data/items.jsonl",
        "https://example.org/x",
        "C:\\items",
        "~root",
        "x; rm -rf .",
        "a\nb",
        "",
    ],
)
def test_a_path_an_address_or_a_shell_line_is_no_name(name):
    for changes in (
        mixture({"name": name}),
        {"stages": [{"data": [{"name": "maths_1"}], "params": {"tokens": 5}, "trainer": name}]},
        {"stages.0.params.targets": name},
        mixture({"name": "maths_1", "filters": [name]}),
    ):
        found = verdict(changes)
        assert not found.ok and "is not a plain name" in found.reason


def test_a_trainer_by_its_dotted_address_is_for_the_command_line_only():
    stage = {"data": [{"name": "maths_1"}], "params": {}, "trainer": "os.path:join"}
    assert not verdict({"stages": [stage]}).ok


@pytest.mark.parametrize("field", ["continues", "parent"])
def test_another_trial_is_named_by_its_id_never_by_a_folder(field):
    found = verdict({}, **{field: "../../other/trials/t1"})
    assert not found.ok and "is not a trial's id" in found.reason


def test_a_source_of_the_space_must_also_be_in_the_catalogue():
    space = search_space(RECIPE, ["maths_1", "ghost"])
    found = on_proposal(Proposal(changes=mixture({"name": "ghost"})), RECIPE, space)
    assert not found.ok and "not a source of the catalogue" in found.reason


def test_all_problems_are_in_the_evidence():
    found = verdict({"model": "x", "stages.0.params.rank": -1})
    assert len(found.evidence) == 2 and found.reason.endswith("(and 1 more)")
