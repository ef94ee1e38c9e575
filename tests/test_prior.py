from __future__ import annotations

import pytest

from pipeline import benchmarks, prior
from pipeline.prior import prior_changes
from pipeline.recipe import apply_changes, check_space, load_recipe, search_space
from pipeline.types import DataRef, Recipe, Stage

SOURCES = [f"calls_{number}" for number in range(1, 8)]


@pytest.mark.parametrize("name", benchmarks.tiny_names())
def test_the_prior_of_a_benchmark_is_its_recipe_first_and_patches_within_the_space(name):
    recipe = load_recipe(name)
    space = search_space(recipe, SOURCES)
    patches = prior_changes(recipe, space)
    assert patches[0] == {}
    assert len(patches) > 4
    results = [apply_changes(recipe, changes) for changes in patches]
    assert all(check_space(changes, space) == [] for changes in patches)
    assert all(result.stages[0].data == recipe.stages[0].data for result in results)
    assert len({result.model_dump_json() for result in results}) == len(patches)


def test_the_default_recipes_mix_all_seven_sources_in_equal_parts():
    for name, kind in benchmarks.tiny_names().items():
        (stage,) = load_recipe(name).stages
        assert [(reference.name, reference.weight) for reference in stage.data] == [
            (f"{kind}_{i}", 1.0) for i in range(1, 8)
        ]


def test_lab_recipes_are_no_prior_for_real_models_nor_for_other_structures(monkeypatch):
    monkeypatch.setattr(prior, "recipe_names", lambda: ["lora_default", "full_fast"])
    stage = Stage(data=(DataRef(name="a"),))
    for recipe in (
        Recipe(model="Qwen/Qwen3-1.7B-Base", stages=(stage,)),
        Recipe(model="lab/qwen3-base", stages=(stage, stage)),
    ):
        assert prior_changes(recipe, search_space(recipe, ["a"])) == ({},)
