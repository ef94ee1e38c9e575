from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import paths
from pipeline.errors import InputError
from pipeline.types import Cost

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_home_is_what_the_environment_says_and_else_the_platforms_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("POSTTRAIN_HOME", str(tmp_path / "here"))
    assert paths.home() == tmp_path / "here"
    monkeypatch.delenv("POSTTRAIN_HOME")
    assert paths.home().name == "posttrain"


def test_share_is_the_checkouts_folder_here_and_the_wheels_copy_where_no_checkout_is(monkeypatch, tmp_path):
    assert paths.share("recipes") == Path(paths.__file__).parent.parent / "recipes"
    package = tmp_path / "site-packages" / "pipeline"
    (package / "_share" / "evals").mkdir(parents=True)
    (package.parent / "evals").mkdir()  # another distribution's folder of the same name
    monkeypatch.setattr(paths, "PACKAGE", package)
    assert paths.share("evals") == package / "_share" / "evals"


@pytest.mark.parametrize("name", ["here", "new", "new/inner"])
def test_asking_whether_a_folder_can_be_written_leaves_nothing(tmp_path, name):
    (tmp_path / "here").mkdir()
    paths.check_writable(tmp_path / name, "--out")
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


def test_a_folder_that_cannot_be_written_is_refused_with_the_part_that_is_in_the_way(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "leads nowhere").symlink_to(tmp_path / "gone")
    for wrong in ("file/out", "leads nowhere"):
        part = tmp_path / wrong.partition("/")[0]
        with pytest.raises(InputError, match=f"^--out {wrong}: {part} cannot be written in .*: name another folder$"):
            paths.check_writable(tmp_path / wrong, f"--out {wrong}")


def test_a_file_is_written_whole_with_its_folder_and_without_leftovers(tmp_path):
    target = tmp_path / "a" / "b.txt"
    paths.write_atomic(target, "one")
    paths.write_atomic(target, b"two")
    assert target.read_bytes() == b"two"
    assert [entry.name for entry in target.parent.iterdir()] == ["b.txt"]


def test_a_failed_write_leaves_the_old_file_and_no_leftovers(tmp_path, monkeypatch):
    target = tmp_path / "a.txt"
    paths.write_atomic(target, "old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError):
        paths.write_atomic(target, "new")
    assert target.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_private_file_is_its_owners_alone(tmp_path):
    paths.write_json(tmp_path / "sealed.json", {"salt": "s"}, mode=0o600)
    assert stat.S_IMODE((tmp_path / "sealed.json").stat().st_mode) == 0o600


@given(value=JSON)
def test_json_that_is_written_is_read_back_alike(tmp_path_factory, value):
    file = tmp_path_factory.mktemp("json") / "x.json"
    paths.write_json(file, value)
    assert paths.read_json(file) == value


def test_models_tuples_paths_and_nan_become_strict_json(tmp_path):
    paths.write_json(tmp_path / "x.json", {"c": Cost(tokens=3), "t": (1, 2), "p": Path("a/b"), "nan": float("nan")})
    back = paths.read_json(tmp_path / "x.json")
    assert back["c"]["tokens"] == 3
    assert (back["t"], back["p"], back["nan"]) == ([1, 2], "a/b", None)


def test_rows_round_trip_and_broken_ones_are_named_by_file_and_line(tmp_path):
    file = tmp_path / "rows.jsonl"
    rows = [{"a": "line\nbreak\u2028"}, {"a": 2}]
    paths.write_jsonl(file, rows)
    assert paths.read_jsonl(file) == rows
    file.write_text('{"a": 1}\n\n{"a": \n')
    with pytest.raises(InputError, match=r"rows\.jsonl, line 3: not JSON"):
        paths.read_jsonl(file)
    file.write_text('{"a": 1}\n[1]\n')
    with pytest.raises(InputError, match="line 2: a JSON object is needed, found list"):
        paths.read_jsonl(file)


def test_a_digest_does_not_depend_on_the_order_of_keys_and_distinguishes_values():
    assert paths.digest({"a": 1, "b": [1.5, None]}) == paths.digest({"b": (1.5, None), "a": 1})
    assert len(paths.digest({})) == 16
    different = [{}, [], None, False, 0, "", "0", {"a": 1}, {"a": "1"}]
    assert len({paths.digest(value) for value in different}) == len(different)


def test_a_digest_is_the_same_in_another_process():
    code = "from pipeline.paths import digest; print(digest({'b': 'ä', 'a': [1e-3, True]}))"
    environment = {**os.environ, "PYTHONHASHSEED": "123"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.strip() == paths.digest({"a": [1e-3, True], "b": "ä"})


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), float("inf"), b"x", object(), {1: 2}, Path("x"), Cost()])
def test_a_digest_refuses_what_is_not_stable_and_says_where(value):
    with pytest.raises(TypeError, match=r"value\['deep'\]\[0\]"):
        paths.digest({"deep": [value]})
