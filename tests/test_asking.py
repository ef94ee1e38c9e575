"""From what a user typed to a run's request: here, which recipe a real benchmark starts from."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import asking, opening
from pipeline.asking import Asked
from pipeline.errors import InputError
from pipeline.fakes import fake_request
from pipeline.protocols import benchmark
from pipeline.recipe import load_recipe
from pipeline.types import Budget

GSM8K = Asked(model="some/model", benchmark="gsm8k", budget=Budget(trials=1))


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of local copies, empty."""
    monkeypatch.setenv("POSTTRAIN_DATA_ROOT", str(tmp_path / "copies"))
    return tmp_path / "copies"


def put(copies: Path, name: str) -> None:
    (copies / name).parent.mkdir(parents=True, exist_ok=True)
    (copies / name).write_text('{"question": "1 + 1", "answer": "#### 2"}\n')


def names(recipe) -> list[str]:
    return [reference.name for stage in recipe.stages for reference in stage.data]


def test_a_real_benchmark_starts_from_its_own_data_set(monkeypatch):
    monkeypatch.delenv("POSTTRAIN_DATA_ROOT", raising=False)
    recipe = asking.check(GSM8K)
    assert names(recipe) == ["gsm8k_train"] and recipe.model == "some/model"


def test_of_a_default_recipe_what_no_local_copy_gives_is_left_out(copies):
    put(copies, "magicoder_oss/train.jsonl")
    with pytest.raises(InputError, match=r"gsm8k: none of its recipe's data is at hand: put a copy at .*train\.jsonl"):
        asking.check(GSM8K)
    put(copies, "gsm8k/train.jsonl")
    assert names(asking.check(GSM8K)) == ["gsm8k_train"]
    assert names(load_recipe("humaneval")) == ["magicoder_oss", "self_oss"]
    assert names(asking._own_recipe(benchmark("humaneval", "own"))) == ["magicoder_oss"]


def test_a_recipe_of_the_user_s_own_is_taken_as_it_is(copies):
    assert names(asking.check(GSM8K.model_copy(update={"recipe": "humaneval"}))) == ["magicoder_oss", "self_oss"]


def test_sources_that_are_not_at_hand_are_not_searched_unless_the_recipe_names_them(copies, tmp_path):
    put(copies, "gsm8k/train.jsonl")
    request = fake_request(tmp_path, benchmark="gsm8k", recipe=asking.check(GSM8K), sources=None)
    assert opening.sources(request, benchmark("gsm8k", "own")) == ["gsm8k_train"]
