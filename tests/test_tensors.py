"""Weights are the same or not whatever files and types hold them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from pipeline.errors import InputError
from pipeline.tensors import check, same_weights, tensors

A, B = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(4, dtype=np.float32)


def saved(folder: Path, *files: dict[str, np.ndarray]) -> Path:
    folder.mkdir(parents=True)
    for number, held in enumerate(files):
        save_file(held, folder / f"model-{number}.safetensors", metadata={"made by": str(number)})
    return folder


def test_cutting_a_model_into_files_makes_no_other_of_it(tmp_path: Path) -> None:
    one, two = saved(tmp_path / "one", {"a": A, "b": B}), saved(tmp_path / "two", {"b": B}, {"a": A})
    assert same_weights(one, two)


def test_a_single_number_makes_another_model(tmp_path: Path) -> None:
    changed = A.copy()
    changed[1, 2] += 1e-6
    assert not same_weights(saved(tmp_path / "one", {"a": A, "b": B}), saved(tmp_path / "two", {"a": changed, "b": B}))


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_numbers_of_another_type_are_compared_as_numbers(tmp_path: Path, kind: type) -> None:
    assert same_weights(saved(tmp_path / "one", {"a": A}), saved(tmp_path / "two", {"a": A.astype(kind)}))


def test_bfloat16_is_the_upper_half_of_float32(tmp_path: Path) -> None:
    upper = (A.view(np.uint32) >> 16).astype("<u2").tobytes()
    header = json.dumps({"a": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, len(upper)]}}).encode()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + upper)
    assert same_weights(saved(tmp_path / "whole", {"a": A}), tmp_path / "half")


def test_a_tied_output_layer_may_be_left_out_but_not_half_a_model(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole", {"a": A, "b": B, "c": B, "lm_head.weight": A})
    assert same_weights(whole, saved(tmp_path / "tied", {"a": A, "b": B, "c": B}))
    assert not same_weights(whole, saved(tmp_path / "half", {"a": A, "b": B}))


def test_other_shapes_are_another_model(tmp_path: Path) -> None:
    assert not same_weights(saved(tmp_path / "one", {"a": A}), saved(tmp_path / "two", {"a": A.reshape(3, 2)}))


@given(st.binary(max_size=64))
def test_whatever_bytes_a_file_holds_they_are_read_or_refused(tmp_path_factory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "model.safetensors").write_bytes(data)
    try:
        found = tensors(folder)
    except InputError as error:
        assert "not a whole safetensors file" in str(error)
    else:
        assert found and same_weights(folder, folder) in (True, False)


def test_whole_files_pass_and_what_a_file_manager_left_beside_them_is_not_read(tmp_path: Path) -> None:
    folder = saved(tmp_path / "one", {"a": A}, {"b": B})
    (folder / "._model-0.safetensors").write_bytes(b"Mac OS X")
    check(folder)


@pytest.mark.parametrize("left", [0, 7, 30, -1])
def test_a_file_that_was_cut_off_is_named(tmp_path: Path, left: int) -> None:
    folder = saved(tmp_path / "one", {"a": A}, {"b": B})
    file = folder / "model-1.safetensors"
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(InputError, match=f"^{file}: not a whole safetensors file: copy it anew"):
        check(folder)


@pytest.mark.parametrize("text", [b"version https://git-lfs.github.com/spec/v1\n", b"<html>not found</html>"])
def test_what_came_instead_of_a_file_is_named(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(text)
    with pytest.raises(InputError, match=r"model\.safetensors: not a whole safetensors file"):
        check(tmp_path)


def test_a_link_that_leads_nowhere_is_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"model\.safetensors: cannot be read \(No such file"):
        check(tmp_path)
