"""What a lab is taught, and what that decides: its benchmarks, its identity."""

from __future__ import annotations

import pytest

from pipeline import benchmarks, lab, plugins, worlds
from pipeline.commands import options
from pipeline.lab.scale import FULL, MICRO, THREE, scale

SEVEN = {"tiny_aime", "tiny_arena", "tiny_bfcl", "tiny_gpqa", "tiny_gsm8k", "tiny_health", "tiny_humaneval"}


def test_the_seven_worlds_are_all_there_are_and_each_has_a_benchmark() -> None:
    assert sorted(FULL.passages) == worlds.names()
    assert set(benchmarks.tiny_names()) == SEVEN and sorted(benchmarks.tiny_names().values()) == worlds.names()
    assert THREE.passages.items() <= FULL.passages.items()


@pytest.mark.parametrize("name", ["full", "three", "micro"])
def test_all_means_the_benchmarks_whose_worlds_the_lab_was_taught(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("POSTTRAIN_LAB", name)
    taught = [each for each, world in benchmarks.tiny_names().items() if world in scale().passages]
    assert options.benchmarks(["all"]) == taught and (name == "three" or set(taught) == SEVEN)
    assert options.benchmarks(["tiny_aime"]) == ["tiny_aime"]  # by name they can be had in any case
    assert not SEVEN & set(options.benchmarks(["all"], model="some/model"))


def test_nothing_asked_for_is_the_full_lab_and_the_micro_lab_is_taught_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("POSTTRAIN_LAB", raising=False)
    assert scale() is FULL
    assert set(MICRO.passages) == set(FULL.passages)


def test_a_world_that_a_lab_is_not_taught_does_not_change_it(monkeypatch: pytest.MonkeyPatch) -> None:
    family = plugins.load("families", "qwen3").FAMILY
    before = {each.name: lab.fingerprint(family, each, 0) for each in (THREE, FULL)}
    meaning = lab._meaning
    monkeypatch.setattr(lab, "_meaning", lambda path: "changed" if path.stem == "prose" else meaning(path))
    assert lab.fingerprint(family, THREE, 0) == before["three"]
    assert lab.fingerprint(family, FULL, 0) != before["full"]
    monkeypatch.setattr(lab, "_meaning", lambda path: "changed" if path.stem == "maths" else meaning(path))
    assert lab.fingerprint(family, FULL, 0) != before["full"]
