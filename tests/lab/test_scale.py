"""What the labs are taught, and what that decides: which lab a name means, a lab's identity."""

from __future__ import annotations

import pytest

from pipeline import benchmarks, lab, models, plugins, worlds
from pipeline.commands import options
from pipeline.commands.scoring import by_lab
from pipeline.errors import InputError
from pipeline.lab.scale import FOUR, SIZES, THREE, labs, scale, teaching

SEVEN = {"tiny_aime", "tiny_arena", "tiny_bfcl", "tiny_gpqa", "tiny_gsm8k", "tiny_health", "tiny_humaneval"}


def test_the_seven_worlds_are_all_there_are_and_each_has_a_benchmark() -> None:
    assert sorted(THREE.passages.keys() | FOUR.passages.keys()) == worlds.names()
    assert set(benchmarks.tiny_names()) == SEVEN and sorted(benchmarks.tiny_names().values()) == worlds.names()


def test_a_lab_model_s_name_means_the_lab_that_is_taught_the_benchmark() -> None:
    three = {
        name for name in SEVEN if models.address("lab/qwen3", benchmarks.load_benchmark(name)) == "lab/qwen3@three"
    }
    assert three == {"tiny_gsm8k", "tiny_bfcl", "tiny_gpqa"}
    aime, real = benchmarks.load_benchmark("tiny_aime"), benchmarks.load_benchmark("gsm8k")
    assert models.address("lab/gemma3-base", aime) == "lab/gemma3-base@four"
    assert models.address("lab/qwen3-base@three", aime) == "lab/qwen3-base@three"  # whoever names one gets it
    assert models.address("lab/qwen3-base", real) == "lab/qwen3-base@three"
    assert models.address("some/model", aime) == "some/model"
    assert models.sibling("lab/qwen3-base@four") == "lab/qwen3@four" and models.sibling("lab/qwen3@four") is None


def test_a_lab_that_does_not_exist_is_refused_with_those_that_do() -> None:
    models.check("lab/qwen3@four")
    with pytest.raises(InputError, match="unknown lab 'five': known are four, three"):
        models.check("lab/qwen3@five")
    with pytest.raises(InputError, match="unknown lab model 'lab/qwen4'"):
        models.check("lab/qwen4@four")


def test_benchmarks_are_grouped_by_the_labs_that_the_models_mean() -> None:
    shelf = [benchmarks.load_benchmark(name) for name in ("tiny_gsm8k", "tiny_aime", "tiny_bfcl")]

    def names(*models_named: str) -> list[list[str]]:
        return [[each.name for each in part] for part in by_lab(shelf, models_named)]

    assert names("./mine", "lab/qwen3") == [["tiny_gsm8k", "tiny_bfcl"], ["tiny_aime"]]
    assert names("./mine", "lab/qwen3@four") == names("some/model") == [["tiny_gsm8k", "tiny_aime", "tiny_bfcl"]]


def test_all_means_all_miniatures_for_a_lab_model_and_none_for_another() -> None:
    assert set(options.benchmarks(["all"])) == SEVEN
    assert not SEVEN & set(options.benchmarks(["all"], model="some/model"))


def test_micro_labs_are_taught_the_same_as_full_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTTRAIN_LAB", raising=False)
    assert labs() == {"three": THREE, "four": FOUR} and scale() is THREE
    assert (teaching("maths"), teaching("code"), teaching(None)) == ("three", "four", "three")
    monkeypatch.setenv("POSTTRAIN_LAB", "micro")
    assert {name: set(each.passages) for name, each in labs().items()} == {
        name: set(each.passages) for name, each in SIZES["full"].items()
    }
    assert all(each.steps < 200 for each in labs().values())


def test_a_world_that_a_lab_is_not_taught_does_not_change_it(monkeypatch: pytest.MonkeyPatch) -> None:
    family = plugins.load("families", "qwen3").FAMILY
    before = {each.name: lab.fingerprint(family, each, 0) for each in (THREE, FOUR)}
    meaning = lab._meaning
    monkeypatch.setattr(lab, "_meaning", lambda path: "changed" if path.stem == "prose" else meaning(path))
    assert lab.fingerprint(family, THREE, 0) == before["three"]
    assert lab.fingerprint(family, FOUR, 0) != before["four"]
    monkeypatch.setattr(lab, "_meaning", lambda path: "changed" if path.stem == "calls" else meaning(path))
    assert lab.fingerprint(family, THREE, 0) != before["three"]
    assert lab.fingerprint(family, FOUR, 0) == before["four"]
