"""Files in somebody's folder: whole, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.cage import folders
from pipeline.cage.folders import put, size


def test_a_file_is_put_with_its_folders_and_its_mode(tmp_path: Path) -> None:
    put(tmp_path, "a/b/c.txt", "text", 0, mode=0o755)
    assert (tmp_path / "a/b/c.txt").read_text() == "text" and os.access(tmp_path / "a/b/c.txt", os.X_OK)
    put(tmp_path, "a/b/c.txt", b"more", 0)
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["c.txt"]


@pytest.mark.parametrize("kind", ["link to a file", "link to a folder", "folder", "pipe"])
def test_whatever_is_in_the_way_of_a_file_gives_way(tmp_path: Path, kind: str) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "file").write_text("precious")
    make = {
        "link to a file": lambda: (root / "x").symlink_to(outside / "file"),
        "link to a folder": lambda: (root / "x").symlink_to(outside),
        "folder": lambda: (root / "x" / "inner").mkdir(parents=True),
        "pipe": lambda: os.mkfifo(root / "x"),
    }
    make[kind]()
    put(root, "x", "ours", 0)
    assert (root / "x").read_text() == "ours" and not (root / "x").is_symlink()
    assert [path.name for path in outside.iterdir()] == ["file"] and (outside / "file").read_text() == "precious"


@pytest.mark.parametrize("is_link", [True, False])
def test_whatever_is_in_the_way_of_a_folder_gives_way(tmp_path: Path, is_link: bool) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    if is_link:
        (root / "sub").symlink_to(outside)
    else:
        (root / "sub").write_text("a file")
    put(root, "sub/x", "ours", 0)
    assert (root / "sub" / "x").read_text() == "ours" and not list(outside.iterdir())


def test_size_follows_no_link_and_gives_up_on_very_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x" * 1000)
    before = size(tmp_path)
    (tmp_path / "link").symlink_to("/usr")
    assert 1000 <= before <= size(tmp_path) < 20_000
    monkeypatch.setattr(folders, "MOST_ENTRIES", 2)
    assert size(tmp_path) > 2**60
