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
from pipeline.tensors import same_weights, tensors

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
