from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.params import SftParams
from pipeline.recipe import (
    apply_changes,
    check_space,
    dump_recipe,
    fingerprint,
    load_recipe,
    recipe_names,
    search_space,
)
from pipeline.types import DataRef, Proposal, Recipe, Stage

RECIPE = Recipe(model="lab/qwen3-base", stages=(Stage(data=(DataRef(name="maths_1"), DataRef(name="maths_2"))),))
YAML = """\
model: lab/qwen3-base
stages:
  - trainer: sft
    data:
      - {name: maths_1}
      - {name: maths_2, weight: 2}
    params:
      learning_rate: 1e-3
      rank: 8
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        file = tmp_path / "r.yaml"
        file.write_text(text)
        return file

    return write


def refusal(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------- reading and writing


def test_a_recipe_is_read_with_every_parameter_filled_in(written):
    recipe = load_recipe(written(YAML))
    assert recipe.stages[0].params["learning_rate"] == 0.001
    assert recipe.stages[0].params["tokens"] == SftParams().tokens
    assert recipe.stages[0].data == (DataRef(name="maths_1"), DataRef(name="maths_2", weight=2.0))


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "1.0e-3", ".001", "0.001", "+1e-03"])
def test_every_way_to_write_a_float_is_a_float(written, text):
    assert load_recipe(written(YAML.replace("1e-3", text))).stages[0].params["learning_rate"] == 0.001


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("rank: 8", "rank: 0", "r.yaml, line 9: stages.0.params.rank: must be greater than or equal to 1, not 0"),
        ("rank: 8", "rank: '8'", "line 9: stages.0.params.rank: must be an integer, not '8'"),
        ("rank: 8", "rank: 010", "line 9: stages.0.params.rank: must be an integer, not '010'"),
        ("rank: 8", "packing: no", "line 9: stages.0.params.packing: must be true or false, not 'no'"),
        ("rank: 8", "rnk: 8", "line 9: stages.0.params.rnk: unknown key: did you mean rank? known are tuning, rank"),
        ("weight: 2", "wait: 2", "line 6: stages.0.data.1.wait: unknown key: did you mean weight? known are name,"),
        ("weight: 2", "weight: -1", "line 6: stages.0.data.1.weight: must be greater than or equal to 0, not -1"),
        ("maths_2", "maths_1", "line 6: stages.0.data.1.name: 'maths_1' is named twice"),
        ("trainer: sft", "trainer: sfd", "line 3: stages.0.trainer: unknown trainer 'sfd': did you mean sft?"),
        ("model: lab/qwen3-base\n", "", "line 1: model: is missing"),
        ("model: lab/qwen3-base", "base: x", "line 1: model: is missing"),
        ("rank: 8", "rank: 8\n      rank: 16", "line 10: duplicate key 'rank', first on line 9: keep one"),
        ("rank: 8", "rank: [8", "broken YAML: expected ',' or ']'"),
        ("rank: 8", "\trank: 8", "line 9: broken YAML: found character '\\t'"),
        ("rank: 8", "8: rank", "line 9: a key must be text"),
        ("rank: 8", "rank: !!python/object:os.system x", "line 9: broken YAML: could not determine a constructor"),
        ("rank: 8", "targets: &a [*a]", "stages.0.params.targets.0: an alias refers to the value"),
        ("stages:", "seed: 4294967296\nstages:", "line 2: seed: must be at most 4294967295"),
        (YAML, "", "the file is empty"),
        (YAML, "- 1", "line 1: must be a mapping"),
    ],
)
def test_a_wrong_recipe_is_refused_by_file_line_and_key(written, old, new, expected):
    message = refusal(load_recipe, written(YAML.replace(old, new)))
    assert expected in message
    assert "r.yaml" in message


def test_a_missing_file_and_an_unknown_name_are_told_apart(tmp_path):
    assert "no such file" in refusal(load_recipe, tmp_path / "none.yaml")
    assert "unknown recipe 'tiny_gsm8'" in refusal(load_recipe, "tiny_gsm8")


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "r.yaml").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in refusal(load_recipe, tmp_path / "r.yaml")


NAMES = st.one_of(
    st.sampled_from(["1e3", "no", "null", "0x10", "1:30", "a b", "~", "é", "- x", "a\x85b\u2028c"]), st.text(min_size=1)
)
RECIPES = st.builds(
    Recipe,
    model=NAMES,
    seed=st.integers(0, 2**32 - 1),
    stages=st.lists(
        st.builds(
            Stage,
            data=st.lists(
                st.builds(
                    DataRef,
                    name=NAMES,
                    weight=st.floats(1e-6, 1000),
                    limit=st.none() | st.integers(1, 9),
                    filters=st.lists(NAMES, max_size=2).map(tuple),
                ),
                min_size=1,
                max_size=3,
                unique_by=lambda reference: reference.name,
            ).map(tuple),
            params=st.fixed_dictionaries({"learning_rate": st.floats(1e-12, 1.0), "rank": st.integers(1, 1024)}),
        ),
        min_size=1,
        max_size=2,
    ).map(tuple),
)


@given(recipe=RECIPES)
def test_a_recipe_that_is_written_is_read_back_alike(tmp_path_factory, recipe):
    file = tmp_path_factory.mktemp("recipe") / "r.yaml"
    file.write_text(dump_recipe(recipe), encoding="utf-8")
    assert load_recipe(file) == apply_changes(recipe, {})
    assert fingerprint(load_recipe(file)) == fingerprint(recipe)


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_is_complete_and_survives_writing(name, tmp_path):
    recipe = load_recipe(name)
    (tmp_path / "again.yaml").write_text(dump_recipe(recipe))
    assert load_recipe(tmp_path / "again.yaml") == recipe


# ---------------------------------------------------------------- patching


def test_changes_are_applied_and_the_recipe_itself_stays_as_it_is():
    mixture = [{"name": "maths_3", "weight": 0.5}, {"name": "maths_1"}]
    changes = {"stages.0.params.learning_rate": 2e-4, "stages.0.data": mixture, "seed": 7}
    after = apply_changes(RECIPE, changes)
    assert after.stages[0].params["learning_rate"] == 2e-4
    assert after.stages[0].data == (DataRef(name="maths_3", weight=0.5), DataRef(name="maths_1"))
    assert after.seed == 7
    assert RECIPE.seed == 0
    assert after.model == RECIPE.model


def test_stages_are_replaced_as_a_whole():
    stages = [{"data": [{"name": "a"}], "params": {"steps": 5}}, {"data": [{"name": "b"}]}]
    after = apply_changes(RECIPE, {"stages": stages})
    assert [stage.params.get("steps") for stage in after.stages] == [5, None]


def test_a_length_replaces_a_length_of_another_kind():
    after = apply_changes(RECIPE, {"stages.0.params.epochs": 2})
    assert after.stages[0].params["epochs"] == 2.0
    assert "tokens" not in after.stages[0].params
    both = {"stages.0.params.epochs": 2, "stages.0.params.steps": 9}
    assert "steps and epochs both give the length" in refusal(apply_changes, RECIPE, both)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("model", "other", "'model' cannot be changed: the run measures"),
        ("model.name", "other", "'model' cannot be changed"),
        ("sead", 1, "'sead': unknown key: did you mean seed? known are seed, stages"),
        ("stages.1.params.rank", 4, "no such stage: there are stages.0"),
        ("stages.-1.params.rank", 4, "no such stage"),
        ("stages.x.params.rank", 4, "no such stage"),
        ("stages.0.params.rnk", 4, "'stages.0.params.rnk': unknown key: did you mean rank? known are tuning, rank"),
        ("stages.0.params", {"rank": 4}, "known are trainer, format, data, params.tuning"),
        ("stages.0", {}, "known are trainer, format, data, params.tuning"),
        ("stages.0.data.0.weight", 4, "a mixture is replaced as a whole: change 'stages.0.data'"),
        ("stages.0.params.rank", "8", "stages.0.params.rank: must be an integer, not '8'"),
        ("stages.0.params.learning_rate", "1e-3", "stages.0.params.learning_rate: must be a number, not '1e-3'"),
        ("stages.0.params.learning_rate", float("nan"), "must be a finite number, not nan"),
        ("stages.0.params.learning_rate", 5.0, "must be less than or equal to 1, not 5.0"),
        ("stages.0.params.learning_rate", {1, 2}, "not plain data"),
        ("stages.0.data", [], "stages.0.data: must be a list of at least one"),
        ("stages.0.data", {"a": 1}, "stages.0.data: must be a list"),
        ("stages.0.data", [{"name": "a", "weight": "1"}], "stages.0.data.0.weight: must be a number, not '1'"),
        ("stages.0.data", [{"name": "a", "weight": 0}], "stages.0.data: all weights are 0"),
        ("stages.0.data", [{"name": "../secret"}], "'../secret' is not the name of a data source"),
        ("stages.0.data", [{"name": "https://x.org/y"}], "is not the name of a data source"),
        ("stages.0.trainer", "os.system", "unknown trainer 'os.system'"),
        ("stages.0.trainer", "evil:run", "unknown trainer 'evil:run'"),
        ("stages.0.format", "html", "stages.0.format: must be 'chat', not 'html'"),
        ("seed", -1, "seed: must be greater than or equal to 0"),
        ("seed", "1", "seed: must be an integer, not '1'"),
        ("stages", [], "stages: must be a list of at least one"),
        ("stages", "all", "stages: must be a list"),
    ],
)
def test_a_wrong_change_is_refused_in_one_line_that_says_what_would_be_right(path, value, expected):
    assert expected in refusal(apply_changes, RECIPE, {path: value})


def test_stages_and_a_part_of_them_cannot_be_changed_at_once():
    changes = {"stages": [{"data": [{"name": "a"}]}], "stages.0.params.rank": 4}
    assert "put both into 'stages'" in refusal(apply_changes, RECIPE, changes)


def test_the_users_own_dotted_trainer_stays_and_its_parameters_can_be_changed():
    own = Recipe(model="m", stages=(Stage(trainer="my.trainer", data=(DataRef(name="a/b"),), params={"x": 1}),))
    assert apply_changes(own, {"stages.0.params.x": 2}).stages[0].params == {"x": 2}
    assert "known are x" in refusal(apply_changes, own, {"stages.0.params.y": 2})


# ---------------------------------------------------------------- the space


def test_every_searchable_parameter_and_the_mixture_are_in_the_space():
    space = search_space(RECIPE, ["maths_1", "maths_2", "maths_3"])
    assert space["stages.0.data"].choices == ("maths_1", "maths_2", "maths_3")
    assert space["stages.0.params.learning_rate"].log
    assert space["stages.0.params.rank"].kind == "int"
    assert not {path for path in space if path.endswith(("tokens", "steps", "epochs", "dtype")) and "warm" not in path}


def test_what_keeps_to_the_space_has_no_problem():
    space = search_space(RECIPE, ["a", "b"])
    fine = {
        "stages.0.params.learning_rate": 1e-3,
        "stages.0.params.alpha": 16,
        "stages.0.params.dora": True,
        "stages.0.data": [{"name": "b", "weight": 0.1}],
        "seed": 3,
    }
    assert check_space(fine, space) == []
    stages = [{"data": [{"name": "a"}], "params": {"rank": 4, "tokens": 10}}, {"data": [{"name": "b"}]}]
    assert check_space({"stages": stages}, space) == []


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("stages.0.params.learning_rate", 0.5, "must be from 1e-05 to 0.02, not 0.5"),
        ("stages.0.params.learning_rate", "0.001", "must be a number"),
        ("stages.0.params.learning_rate", float("nan"), "must be a number"),
        ("stages.0.params.rank", 8.0, "must be an integer"),
        ("stages.0.params.dora", 1, "must be one of False, True, not 1"),
        ("stages.0.params.tokens", 5, "is not searched"),
        ("stages.0.data", [{"name": "zz"}], "unknown data source 'zz': known are a, b"),
        ("stages.0.data", ["a"], "item 0 has no name"),
        ("stages.0.data", "a", "must be a list of sources"),
        ("stages", [{"data": [{"name": "a"}]}, {"data": [{"name": "c"}]}], "stages.1.data: unknown data source 'c'"),
        ("stages", [{"data": [{"name": "a"}], "params": {"rank": 1000}}], "stages.0.params.rank: must be from 2 to 64"),
        ("stages", "x", "must be a list of stages"),
        ("stages", [{}], "stages.0.data: must be a list"),
    ],
)
def test_what_leaves_the_space_is_named(path, value, expected):
    problems = check_space({path: value}, search_space(RECIPE, ["a", "b"]))
    assert len(problems) == 1
    assert expected in problems[0]


# ---------------------------------------------------------------- telling apart


def test_recipes_that_train_alike_have_one_fingerprint_and_others_have_another():
    spelt_out = apply_changes(RECIPE, {"stages.0.params.alpha": 16})
    assert fingerprint(spelt_out) == fingerprint(RECIPE)
    others = [
        apply_changes(RECIPE, {"seed": 1}),
        apply_changes(RECIPE, {"stages.0.params.rank": 8}),
        apply_changes(RECIPE, {"stages.0.data": [{"name": "maths_1"}]}),
        apply_changes(RECIPE, {"stages.0.data": [{"name": "maths_1"}, {"name": "maths_2", "weight": 2}]}),
        RECIPE.model_copy(update={"model": "other"}),
    ]
    assert len({fingerprint(recipe) for recipe in [RECIPE, *others]}) == len(others) + 1


def test_a_fingerprint_is_the_same_in_another_process():
    code = (
        "import sys; from pipeline.types import Recipe; from pipeline.recipe import fingerprint;"
        "print(fingerprint(Recipe.model_validate_json(sys.stdin.read())))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    run = subprocess.run(
        [sys.executable, "-c", code], input=RECIPE.model_dump_json(), capture_output=True, text=True, env=environment
    )
    assert run.stdout.strip() == fingerprint(RECIPE), run.stderr


@pytest.mark.parametrize("value", [{1, 2}, object(), float("nan")])
def test_a_fingerprint_refuses_what_is_not_stable(value):
    own = Recipe(model="m", stages=(Stage(trainer="my.trainer", data=(DataRef(name="a"),), params={"x": value}),))
    with pytest.raises(TypeError, match="no stable digest"):
        fingerprint(own)


def test_a_proposal_of_plain_json_can_be_applied():
    proposal = Proposal.model_validate_json('{"changes": {"stages.0.params.rank": 4}, "fidelity": 0.5}')
    assert apply_changes(RECIPE, proposal.changes).stages[0].params["rank"] == 4
