"""A GGUF file becomes a model's folder that computes, tokenises and stops as the model that it was made from."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipeline import chat, models, tensors, weights
from pipeline.errors import InputError
from pipeline.gguf_files import convert
from pipeline.gguf_files import weights as gguf_weights
from pipeline.paths import read_json
from tests import foreign_models, gguf_models, tiny_models
from tests.foreign_models import CHATML

SYSTEM_FIRST = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou help.<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
IDS = torch.tensor([[5, 17, 9, 300, 41, 8, 8, 120]])


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A cache of the test's own."""
    monkeypatch.setenv("POSTTRAIN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def llama(tmp_path):
    """A tiny llama whose template puts a system turn in front."""
    return foreign_models.llama(tmp_path / "llama", foreign_models.tokenizer(SYSTEM_FIRST, eos_token="<|im_end|>"))


def logits(folder, **how):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **how).eval()
    with torch.inference_mode():
        return model(IDS).logits


def randomise_biases(folder):
    model = AutoModelForCausalLM.from_pretrained(folder)
    for name, values in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(values)
    model.save_pretrained(folder)


@pytest.mark.parametrize("kind", ["llama", "llama untied", "llama biased", "qwen3", "smollm3", "gemma3"])
def test_the_converted_model_computes_what_the_original_does(tmp_path, kind):
    if kind.startswith("llama"):
        sizes = {"attention_bias": True} if "biased" in kind else {}
        tokens = foreign_models.tokenizer(CHATML)
        original = foreign_models.llama(tmp_path / "m", tokens, tied="untied" not in kind, **sizes)
        randomise_biases(original)
    elif kind == "smollm3":  # every fourth layer without positions: the file does not say so
        original = foreign_models.smollm3(tmp_path / "m")
    else:
        original = tiny_models.untrained(kind)
    file = gguf_models.write(original, tmp_path / "m.gguf")
    folder = convert.convert(file)
    assert torch.allclose(logits(folder), logits(original), atol=1e-5)
    assert tensors.same_weights(folder, original)


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_1"])
def test_packed_numbers_are_unpacked_as_transformers_unpacks_them(tmp_path, llama, kind):
    file = gguf_models.write(llama, tmp_path / "packed.gguf", kind)
    folder = convert.convert(file)
    direct = logits(tmp_path, gguf_file=file.name)
    assert torch.allclose(logits(folder), direct, atol=1e-5)
    assert not torch.allclose(direct, logits(llama), atol=1e-5)
    assert read_json(folder / convert.FACTS)["quantisation"] == kind
    assert read_json(folder / "config.json")["dtype"] == "float32"


def test_half_numbers_stay_as_they_are_stored(tmp_path, llama):
    folder = convert.convert(gguf_models.write(llama, tmp_path / "half.gguf", "F16"))
    assert {tensor.dtype for tensor in tensors.tensors(folder).values()} == {"F16", "F32"}
    assert read_json(folder / "config.json")["dtype"] == "float16"


def test_packed_numbers_of_a_large_model_become_bfloat16(tmp_path, llama, monkeypatch):
    monkeypatch.setattr(gguf_weights, "LARGE", 1000)
    file = gguf_models.write(llama, tmp_path / "packed.gguf", "Q8_0")
    folder = convert.convert(file)
    found, direct = logits(folder), logits(tmp_path, gguf_file=file.name)
    assert not torch.equal(found, direct) and torch.allclose(found, direct, atol=0.02)
    rounded = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=file.name, dtype=torch.bfloat16)
    own = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    assert all(torch.equal(a, b) for a, b in zip(own.parameters(), rounded.parameters(), strict=True))


def test_tensors_are_written_slice_by_slice(tmp_path, llama, monkeypatch):
    whole = convert.convert(gguf_models.write(llama, tmp_path / "whole.gguf", "Q8_0"))
    monkeypatch.setattr(gguf_weights, "SLICE", 64)
    monkeypatch.setattr(convert, "VERSION", -1)
    sliced = convert.convert(tmp_path / "whole.gguf")
    assert sliced != whole
    assert (sliced / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_training_and_evaluation_render_the_same_although_the_template_begins_with_a_system_turn(tmp_path, llama):
    from pipeline.engines.hf import open_engine
    from pipeline.training_rows import tokenise
    from pipeline.types import Request

    folder = convert.convert(gguf_models.write(llama, tmp_path / "m.gguf"))
    family = chat.family_of(folder)
    tokenizer = weights.load_tokenizer(folder, family)
    messages = [{"role": "user", "content": "2 + 2 ?"}, {"role": "assistant", "content": "4"}]
    found = tokenise([{"messages": messages}], tokenizer, family)
    prompt = open_engine(str(folder), dtype="float32")._encode([Request(messages=tuple(messages[:1]))])[0]
    ids, labels = found.row(0, answers_only=True)
    assert list(ids[: len(prompt)]) == prompt and tokenizer.decode(prompt).startswith("<|im_start|>system\nYou help.")
    assert tokenizer.decode([int(i) for i in labels if i >= 0]) == "4<|im_end|>"
    assert all(label == -100 for label in labels[: len(prompt)])


def test_the_tokenizer_template_and_stop_tokens_come_along(tmp_path, llama):
    file = gguf_models.write(llama, tmp_path / "m.gguf", **{"tokenizer.ggml.eot_token_id": 0})
    folder = convert.convert(file)
    ours, theirs = AutoTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(llama)
    text = "<|im_start|>user\nWhat is 12 plus  345?\n\n7 é ☃<|im_end|>"
    assert ours(text)["input_ids"] == theirs(text)["input_ids"] and ours.decode(ours(text)["input_ids"]) == text
    assert ours.chat_template == SYSTEM_FIRST and ours.eos_token == "<|im_end|>"
    assert ours.model_max_length == 1024
    ends = read_json(folder / "generation_config.json")["eos_token_id"]
    assert ends == [ours.convert_tokens_to_ids("<|im_end|>"), 0]
    assert chat.family_of(folder).end_of_turn == "<|im_end|>"


def test_smollm_s_digits_are_cut_apart_before_spaces_are_joined(tmp_path, llama):
    file = gguf_models.write(llama, tmp_path / "m.gguf", **{"tokenizer.ggml.pre": "smollm"})
    cut = AutoTokenizer.from_pretrained(convert.convert(file)).backend_tokenizer.pre_tokenizer
    pieces = [piece for piece, _ in cut.pre_tokenize_str("a\n\n12  3")]
    assert pieces == ["a", "ĊĊ", "1", "2", "ĠĠ", "3"]


def test_llama3_s_stretched_positions_are_recognised(tmp_path, llama):
    from pipeline.gguf_files.config import LLAMA3_STRETCHES, stretch_factors

    made = stretch_factors(4, 10000.0, *LLAMA3_STRETCHES[0])
    import gguf as package

    add = package.GGUFWriter.write_header_to_file

    def with_factors(writer, *rest):
        writer.add_tensor("rope_freqs.weight", np.array(made, np.float32))
        add(writer, *rest)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(package.GGUFWriter, "write_header_to_file", with_factors)
        file = gguf_models.write(llama, tmp_path / "stretched.gguf")
    model = AutoModelForCausalLM.from_pretrained(convert.convert(file))
    plain = AutoModelForCausalLM.from_pretrained(llama)
    expected = plain.model.rotary_emb.inv_freq / torch.tensor(made)
    assert torch.allclose(model.model.rotary_emb.inv_freq, expected, rtol=1e-5)


def test_a_file_is_converted_once_and_known_by_its_content(tmp_path, llama):
    file = gguf_models.write(llama, tmp_path / "m.gguf")
    first = models.resolve(str(file))
    written = (first / "model.safetensors").stat().st_mtime_ns
    moved = file.rename(tmp_path / "other.gguf")
    assert models.resolve(str(moved)) == first and (first / "model.safetensors").stat().st_mtime_ns == written
    assert [found["file"] for found in convert.listing()] == ["m.gguf"]
    other = gguf_models.write(llama, tmp_path / "q8.gguf", "Q8_0")
    assert models.resolve(str(other)) != first
    assert models.parameters(str(other)) == models.parameters(str(first)) == models.parameters(str(llama))


@pytest.mark.slow
def test_two_processes_that_want_the_same_file_make_it_once(tmp_path, llama):
    file = gguf_models.write(llama, tmp_path / "m.gguf")
    code = f"from pipeline import models; print(models.resolve({str(file)!r}))"
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    folders = [each.communicate()[0] for each in both]
    assert folders[0] == folders[1] != "" and len(convert.listing()) == 1
    left = [path.name for path in convert.root().iterdir() if path.name.startswith(".")]
    assert left == []


def test_a_conversion_that_fails_leaves_nothing(tmp_path, llama):
    file = gguf_models.write(llama, tmp_path / "m.gguf")

    def full(*_):
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gguf_weights, "write", full)
        with pytest.raises(InputError, match="No space left on device.*make room"):
            convert.convert(file)
    assert not convert.listing() and not [path for path in convert.root().iterdir() if path.is_dir()]


def test_reading_a_header_needs_no_heavy_library():
    code = "import sys; from pipeline.gguf_files import convert; assert not {'torch', 'transformers'} & {*sys.modules}"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_base_without_a_template_is_converted_and_asks_for_its_sibling_later(tmp_path):
    base = foreign_models.llama(tmp_path / "base", foreign_models.tokenizer(None))
    folder = convert.convert(gguf_models.write(base, tmp_path / "base.gguf"))
    with pytest.raises(InputError, match="no chat template"):
        chat.family_of(folder)
