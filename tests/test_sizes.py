"""Small models get the small variant of a recipe, where there is one, and a prior of their own."""

from __future__ import annotations

import pytest

from pipeline import asking, models, prior, recipe, sizes
from pipeline.types import Budget


@pytest.mark.parametrize(
    ("address", "parameters", "expected"),
    [
        ("bfcl_ast", 134_515_008, "bfcl_ast_small"),
        ("bfcl_ast_single", 134_515_008, "bfcl_ast_single_small"),
        ("bfcl_ast", 500_000_000, "bfcl_ast"),
        ("bfcl_ast", None, "bfcl_ast"),
        ("humaneval", 134_515_008, "humaneval"),
    ],
)
def test_the_small_variant_is_for_small_models_only(address, parameters, expected):
    assert sizes.recipe_for(address, parameters) == expected


def test_a_recipe_file_has_its_small_variant_beside_it(tmp_path):
    own, small = tmp_path / "mine.yaml", tmp_path / "mine_small.yaml"
    own.touch()
    assert sizes.recipe_for(str(own), 10) == str(own)
    small.touch()
    assert sizes.recipe_for(str(own), 10) == str(small) and sizes.recipe_for(str(own), 10**9) == str(own)


def test_a_run_on_a_small_model_starts_from_the_small_recipe(monkeypatch):
    monkeypatch.setattr(models, "check", lambda name: None)

    def started(model):
        return asking.check(asking.Asked(model=model, benchmark="bfcl_ast:simple_python", budget=Budget(seconds=60)))

    small, big = started("smollm2-135m"), started("Qwen/Qwen3-1.7B-Base")
    assert small.stages[0].params["layers"] == 20 and small.stages[0].params["tokens"] == 400_000
    assert big.stages[0].params["layers"] == "all" and big.stages[0].params["tokens"] == 5_000_000
    assert small.model == "smollm2-135m"


def test_the_prior_of_a_small_model_is_of_small_recipes(monkeypatch):
    start = recipe.load_recipe("bfcl_ast_small")
    space = recipe.search_space(start, ["function_calls_single"])
    rates = {patch.get("stages.0.params.learning_rate") for patch in prior.prior_changes(start, space, is_small=True)}
    assert rates == {None, 2e-3, 3e-3}
    big = prior.prior_changes(start, space, is_small=False)
    assert {patch.get("stages.0.params.learning_rate") for patch in big} >= {2e-4, 3e-4}


def test_every_small_recipe_stands_beside_a_big_one_or_in_the_prior():
    names = recipe.recipe_names()
    small = [name for name in names if name.endswith(sizes.SUFFIX)]
    assert {"bfcl_ast_small", "gsm8k_small"} <= set(small)
    for name in small:
        assert name.removesuffix(sizes.SUFFIX) in names or name.startswith("lora_")
