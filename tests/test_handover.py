"""A final model in its place: whole at every moment, whatever was there before."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pipeline import handover


def model(place: Path, text: str) -> Path:
    place.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (place / name).write_text(text)
    return place


def texts(folder: Path) -> set[str]:
    return {path.read_text() for path in folder.iterdir()}


def test_a_copy_is_in_place_with_its_links_followed_and_nothing_beside_it(tmp_path):
    blob = tmp_path / "blob"
    blob.write_text("weights")
    source = model(tmp_path / "source", "one")
    (source / "linked.bin").symlink_to(blob)
    (source / ".cache").write_text("hidden")
    (source / "inside").mkdir()
    target = tmp_path / "task" / "final_model"
    handover.copy(source, target)
    assert {path.name for path in target.iterdir()} == {"config.json", "model.safetensors", "linked.bin"}
    assert not (target / "linked.bin").is_symlink() and [path.name for path in target.parent.iterdir()] == [target.name]


@pytest.mark.parametrize("atomic", [True, False])
def test_what_was_there_is_replaced_as_a_whole(tmp_path, monkeypatch, atomic):
    if not atomic:
        monkeypatch.setattr(handover, "_exchanged", lambda one, other: False)
    target = model(tmp_path / "task" / "final_model", "old")
    (target / "only_old.json").write_text("old")
    handover.copy(model(tmp_path / "source", "new"), target)
    assert texts(target) == {"new"} and [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_file_or_a_link_in_its_place_is_replaced_too(tmp_path):
    source = model(tmp_path / "source", "new")
    elsewhere = model(tmp_path / "elsewhere", "old")
    (tmp_path / "link").symlink_to(elsewhere)
    (tmp_path / "file").write_text("old")
    for name in ("link", "file"):
        handover.copy(source, tmp_path / name)
        assert texts(tmp_path / name) == {"new"}
    assert texts(elsewhere) == {"old"}


def test_what_an_interrupted_copy_left_is_no_hindrance(tmp_path):
    target = tmp_path / "final_model"
    model(handover.fresh(target), "half")
    handover.copy(model(tmp_path / "source", "new"), target)
    assert texts(target) == {"new"}


def test_a_reader_never_finds_it_missing_or_mixed(tmp_path):
    if not handover._exchanged(model(tmp_path / "a", "a"), model(tmp_path / "b", "b")):
        pytest.skip("this file system cannot exchange names")
    sources = [model(tmp_path / name, name) for name in ("one", "two")]
    target, seen, done = tmp_path / "final_model", [], threading.Event()
    handover.copy(sources[0], target)

    def read() -> None:
        while not done.is_set():
            seen.append((target / "config.json").read_text())  # raises if it is missing

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(60):
        handover.copy(sources[number % 2], target)
    done.set()
    reader.join()
    assert set(seen) <= {"one", "two"} and len(seen) > 10
    assert handover.fresh(target).exists() is False
