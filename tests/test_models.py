"""Model names become folders."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from pipeline import models
from pipeline.errors import InputError


def test_a_local_folder_is_taken_as_it_is(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    save_file({"w": np.ones(2)}, tmp_path / "model.safetensors")
    assert models.resolve(str(tmp_path)) == tmp_path.resolve()


def test_a_folder_with_damaged_weights_is_refused_before_anything_loads_them(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"\x10" + bytes(40))
    with pytest.raises(InputError, match=r"model\.safetensors: not a whole safetensors file: copy it anew"):
        models.check(str(tmp_path))


def test_an_adapter_folder_is_a_model_too(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.bin").touch()
    models.check(str(tmp_path))


def test_a_folder_without_weights_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no weights"):
        models.check(str(tmp_path))


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"config\.json"):
        models.check(str(tmp_path))


@pytest.mark.parametrize("name", ["", "qwen3", "./nowhere", "/nowhere", "~/nowhere", "a/b/c", "lab/", "lab/qwen3-bas"])
def test_a_name_that_leads_nowhere_is_refused_with_what_exists(name):
    with pytest.raises(InputError, match="lab/qwen3-base"):
        models.check(name)


def test_a_hub_id_without_a_hub_is_one_line_that_says_what_to_do():
    with pytest.raises(InputError, match="cannot be reached.*a folder") as caught:
        models.resolve("Qwen/Qwen3-0.6B-Base")
    assert "\n" not in str(caught.value)


def test_the_sibling_of_a_base_is_known_for_the_lab_and_the_families():
    assert models.sibling("lab/gemma3-base") == "lab/gemma3"
    assert models.sibling("Qwen/Qwen3-1.7B-Base") == "Qwen/Qwen3-1.7B"
    assert models.sibling("someone/else") is None
