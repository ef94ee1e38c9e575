"""Kept bytes: bounded, shared by processes, missed rather than trusted where they are damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from pipeline.byte_store import CHECKSUM_BYTES, LOCK, TOTAL, ByteStore
from pipeline.paths import PACKAGE


def size(folder: Path) -> int:
    """Bytes of all that is kept."""
    return sum(path.stat().st_size for path in folder.glob("*/*"))


def used(store: ByteStore, key: str, seconds: int) -> None:
    """Say that a key was read last so many seconds after 1970."""
    os.utime(store.folder / "g" / key, (seconds, seconds))


def test_what_is_written_is_read_back_by_group_and_key(tmp_path):
    store = ByteStore(tmp_path / "new", 10_000)
    store.write("g", {"a": b"one", "b": b""})
    store.write("h", {"a": b"other"})
    assert (store.read("g", "a"), store.read("g", "b"), store.read("h", "a")) == (b"one", b"", b"other")
    assert store.read("g", "c") is None and store.read("i", "a") is None


def test_what_was_read_longest_ago_goes_first_and_the_bound_holds(tmp_path):
    store = ByteStore(tmp_path, 1000)
    for number in range(9):
        store.write("g", {f"k{number}": bytes(100)})
        used(store, f"k{number}", 1000 + number)
    assert store.read("g", "k0") is not None  # a use: now the last one of all
    store.write("g", {"more": bytes(100)})
    assert size(tmp_path) <= 1000
    assert store.read("g", "k0") is not None and store.read("g", "more") is not None
    assert store.read("g", "k1") is None and store.read("g", "k8") is not None


def test_the_bound_is_that_of_all_groups_and_empty_ones_go(tmp_path):
    store = ByteStore(tmp_path, 500)
    for number in range(20):
        store.write(f"g{number}", {"k": bytes(90)})
        assert size(tmp_path) <= 500
    groups = {path.parent.name for path in tmp_path.glob("*/*")}
    assert "g19" in groups and {path.name for path in tmp_path.iterdir() if path.is_dir()} == groups


def test_what_does_not_fit_at_all_is_not_kept_and_removes_nothing(tmp_path):
    store = ByteStore(tmp_path, 100)
    store.write("g", {"a": bytes(50)})
    store.write("g", {"b": bytes(100 - CHECKSUM_BYTES + 1)})
    assert store.read("g", "b") is None and store.read("g", "a") == bytes(50)


@pytest.mark.parametrize("damage", [b"", b"abc", bytes(54), b"x" * 54])
def test_a_damaged_file_is_missed_and_written_anew(tmp_path, damage):
    store = ByteStore(tmp_path, 1000)
    store.write("g", {"a": b"y" * 50})
    (tmp_path / "g" / "a").write_bytes(damage)
    assert store.read("g", "a") is None
    store.write("g", {"a": b"y" * 50})
    assert store.read("g", "a") == b"y" * 50


@pytest.mark.parametrize("told", [None, "", "many", "0", "999999999"])
def test_a_lost_or_wrong_total_does_not_matter(tmp_path, told):
    store = ByteStore(tmp_path, 300)
    store.write("g", {"a": bytes(90)})
    (tmp_path / TOTAL).unlink()
    if told is not None:
        (tmp_path / TOTAL).write_text(told)
    store.write("g", {"b": bytes(90)})
    assert store.read("g", "b") is not None


def test_half_written_files_of_killed_processes_go_when_room_is_made(tmp_path):
    store = ByteStore(tmp_path, 300)
    store.write("g", {"a": bytes(90)})
    (tmp_path / "g" / ".b.1234").write_bytes(bytes(10_000))
    store.write("g", {"c": bytes(150), "d": bytes(100)})
    assert size(tmp_path) <= 300 and not (tmp_path / "g" / ".b.1234").exists()


def test_a_folder_that_cannot_be_written_keeps_nothing_and_raises_nothing(tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = ByteStore(tmp_path / "file", 1000)
    store.write("g", {"a": b"one"})
    assert store.read("g", "a") is None


IMPATIENT = """
import sys
from pathlib import Path
from pipeline import byte_store
byte_store.LOCK_SECONDS = 0.05
byte_store.ByteStore(Path(sys.argv[1]), 1000).write("g", {"a": b"one"})
"""


def test_who_cannot_have_the_lock_does_without(tmp_path):
    store = ByteStore(tmp_path, 1000)
    with filelock.FileLock(tmp_path / LOCK):
        holder = subprocess.run(
            [sys.executable, "-c", IMPATIENT, str(tmp_path)],
            cwd=PACKAGE.parent, capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert holder.stderr == "" and not list(tmp_path.glob("*/*"))
    store.write("g", {"a": b"one"})
    assert store.read("g", "a") == b"one"


WRITER = """
import sys
from pathlib import Path
import filelock
from pipeline import byte_store
byte_store.LOCK_SECONDS = 300.0
folder, limit, name, count = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
store = byte_store.ByteStore(folder, limit)
for number in range(count):
    shared, own = f"s{number % 7}", f"{name}{number}"
    store.write("g", {shared: shared.encode() * 40, own: own.encode() * 30})
    found = store.read("g", shared)
    assert found is None or found == shared.encode() * 40
    with filelock.FileLock(folder / byte_store.LOCK):
        seen = sum(path.stat().st_size for path in folder.glob("g/*"))
    assert seen <= limit, seen
"""


def test_processes_that_write_at_once_keep_to_the_bound_together_and_read_whole_files(tmp_path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), "2000", name, "60"],
            cwd=PACKAGE.parent, stderr=subprocess.PIPE, text=True,
        )
        for name in ("a", "b", "c")
    ]  # fmt: skip
    for writer in writers:
        _, errors = writer.communicate(timeout=300)
        assert writer.returncode == 0, errors
    assert 0 < size(tmp_path) <= 2000
