"""The real model of the catalogue: converted, it is what transformers loads from its GGUF file directly."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import chat, model_catalogue, tensors
from pipeline.gguf_files import convert
from tests import real_parts

MODEL = "smollm2-135m"
pytestmark = pytest.mark.real(MODEL)
QUESTIONS = {"What is the capital of France?": "Paris", "Name three colours.": ""}


@pytest.fixture(scope="module")
def file():
    return real_parts.folder(MODEL) / Path(model_catalogue.get(MODEL).member).name


@pytest.fixture(scope="module")
def converted(file):
    return convert.convert(file)


def test_it_is_the_catalogue_s_model(converted):
    assert model_catalogue.cached(model_catalogue.get(MODEL)) == converted
    size = sum(tensor.size for tensor in tensors.tensors(converted).values())
    assert size == model_catalogue.get(MODEL).parameters


def test_its_greedy_answers_are_those_of_the_file_loaded_directly(file, converted):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    direct = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    own = AutoModelForCausalLM.from_pretrained(converted, dtype=torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(own.parameters(), direct.parameters(), strict=True))
    tokenizer = AutoTokenizer.from_pretrained(converted)
    for question, told in QUESTIONS.items():
        asked = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        answers = [model.generate(**asked, max_new_tokens=16, do_sample=False) for model in (own, direct)]
        assert torch.equal(*answers)
        assert told in tokenizer.decode(answers[0][0, asked["input_ids"].shape[1] :])


def test_its_turns_end_and_begin_as_its_makers_had_them(converted):
    from transformers import AutoTokenizer

    family, tokenizer = chat.family_of(converted), AutoTokenizer.from_pretrained(converted)
    assert family.end_of_turn == "<|im_end|>" and family.template_kwargs == {}
    text = chat.render(tokenizer, family, [{"role": "user", "content": "Hi"}], True)
    assert text.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face")
    assert tokenizer.convert_ids_to_tokens(tokenizer("Steps:\n\n1. a  12")["input_ids"])[2:4] == ["ĊĊ", "1"]
