"""Families derived from models' own files: what is found, and what is said to be missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline import chat, derived
from pipeline.errors import InputError
from pipeline.paths import read_json, write_json
from tests import foreign_models
from tests.foreign_models import CHATML, real_template

TALK = [{"role": "user", "content": "Two?"}, {"role": "assistant", "content": "2."}]
LLAMA3 = ("<|end_of_text|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
PHI3 = ("<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>", "<|system|>")
TURN = ("<eos>", "<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>")
THINKS = (*foreign_models.SPECIAL, "<think>", "</think>")
MISTRAL = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}"
)
ALPACA = (
    "{% for m in messages %}{{ '### ' + m.role + ':\n' + m.content + '\n\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '### assistant:\n' }}{% endif %}"
)


@pytest.mark.parametrize(
    ("template", "special", "end"),
    [
        (CHATML, foreign_models.SPECIAL, "<|im_end|>"),
        (real_template("llama3"), LLAMA3, "<|eot_id|>"),
        (real_template("llama3_2"), LLAMA3, "<|eot_id|>"),
        (real_template("phi3"), PHI3, "<|end|>"),
        (real_template("cohere"), TURN, "<|END_OF_TURN_TOKEN|>"),
        (real_template("qwen2_5"), foreign_models.SPECIAL, "<|im_end|>"),
        (MISTRAL, ("</s>", "[INST]", "[/INST]"), "</s>"),
    ],
    ids=["chatml", "llama3", "llama3.2", "phi3", "cohere", "qwen2.5", "mistral"],
)
def test_the_end_of_a_turn_is_found_by_rendering(tmp_path, template, special, end):
    folder = foreign_models.llama(tmp_path / "m", foreign_models.tokenizer(template, special, bos_token=special[1]))
    family = chat.family_of(folder)
    assert (family.name, family.end_of_turn, family.pad) == ("auto", end, special[0])
    chat.check_trainable(folder)
    from pipeline import weights

    tokens = weights.load_tokenizer(folder)
    assert tokens.eos_token == end
    prompt = chat.render(tokens, family, TALK[:1], generation=True)
    assert chat.render(tokens, family, TALK, generation=False).startswith(prompt)


def test_a_template_that_writes_the_date_writes_the_same_one_every_day(tmp_path):
    special = foreign_models.tokenizer(real_template("llama3_2"), LLAMA3, bos_token=LLAMA3[1])
    folder = foreign_models.llama(tmp_path / "m", special)
    from pipeline import weights

    tokens = weights.load_tokenizer(folder)
    assert "Today Date: 1 January 2025" in chat.render(tokens, chat.family_of(folder), TALK, generation=False)
    tokens.save_pretrained(folder)  # as training does
    again = chat.family_of(folder)
    assert chat.render(weights.load_tokenizer(folder), again, TALK, False).count("1 January 2025") == 1


def test_thinking_is_off_unless_asked_for_and_refused_where_there_is_none(tmp_path):
    folder = foreign_models.llama(tmp_path / "m", foreign_models.tokenizer(real_template("qwen3"), THINKS))
    family = chat.family_of(folder)
    assert family.template_kwargs == {"enable_thinking": False}
    assert chat.with_thinking(family).template_kwargs == {"enable_thinking": True}
    plain = chat.family_of(foreign_models.llama(tmp_path / "plain", foreign_models.tokenizer(CHATML)))
    with pytest.raises(InputError, match="knows no thinking: omit it"):
        chat.with_thinking(plain)


def test_a_family_is_the_same_in_another_process(tmp_path):
    folder = foreign_models.llama(tmp_path / "m", foreign_models.tokenizer(CHATML))
    code = "import sys; from pipeline import chat; print(chat.family_of(sys.argv[1]).model_dump_json())"
    told = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True).stdout
    assert told.strip() == chat.family_of(folder).model_dump_json()


def test_text_that_begins_with_a_token_is_told_from_text_that_does_not(tmp_path):
    from tokenizers import processors

    tokens = foreign_models.tokenizer(CHATML, bos_token="<|endoftext|>")
    assert chat.family_of(foreign_models.llama(tmp_path / "without", tokens)).bos is None
    tokens.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    assert chat.family_of(foreign_models.llama(tmp_path / "with", tokens)).bos == "<|endoftext|>"


def test_what_changed_in_the_folder_is_seen(tmp_path):
    folder = foreign_models.llama(tmp_path / "m", foreign_models.tokenizer(CHATML))
    assert chat.family_of(folder).end_of_turn == "<|im_end|>"
    foreign_models.tokenizer(CHATML.replace("<|im_end|>", "<|endoftext|>")).save_pretrained(folder)
    assert chat.family_of(folder).end_of_turn == "<|endoftext|>"


def broken(tmp_path, config=None, template=CHATML, special=foreign_models.SPECIAL, without=()):
    folder = foreign_models.llama(tmp_path / "m", foreign_models.tokenizer(template, special))
    if config is not None:
        write_json(folder / "config.json", config if not config else read_json(folder / "config.json") | config)
    for name in without:
        (folder / name).unlink()
    return folder


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"template": None}, "has no chat template: name an instruct-tuned sibling"),
        ({"template": ALPACA}, r"no end-of-turn token: after its chat template an answer is followed by '\\n\\n'"),
        ({"template": "{{ messages[0].content }}"}, "leaves the assistant's answer out"),
        ({"template": "{{ raise_exception('never') }}"}, r"does not render a question and an answer \(never\)"),
        ({"template": "{% for %}"}, "does not render a question and an answer"),
        ({"without": ["tokenizer.json"]}, "no tokenizer.json in it"),
        ({"config": {"architectures": ["BertForMaskedLM"], "model_type": "bert"}}, "is not a causal language model"),
        ({"config": {"architectures": ["T5ForConditionalGeneration"], "model_type": "t5"}}, "not a causal language"),
        ({"config": {"architectures": ["NewForCausalLM"], "model_type": "new"}}, "the installed transformers knows"),
        ({"config": {"architectures": ["X"], "model_type": "x", "auto_map": {"AutoModel": "x.X"}}}, "code of its own"),
        ({"config": {"architectures": None}}, "names no architecture"),
        ({"config": {}}, "names no architecture"),
    ],
)
def test_what_is_missing_is_said_in_one_line(tmp_path, wrong, told):
    with pytest.raises(InputError, match=told) as caught:
        chat.family_of(broken(tmp_path, **wrong))
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_damaged_tokenizer_is_told_in_one_line(tmp_path):
    folder = broken(tmp_path)
    (folder / "tokenizer.json").write_text('{"version": 1}')
    with pytest.raises(InputError, match="its tokenizer cannot be loaded") as caught:
        chat.family_of(folder)
    assert "\n" not in str(caught.value)


def test_a_template_whose_prompt_is_no_beginning_of_an_answer_can_be_evaluated_but_not_trained(tmp_path):
    special = ("<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<｜begin▁of▁sentence｜>")
    tokens = foreign_models.tokenizer(real_template("deepseek_r1_distill"), special)
    folder = foreign_models.llama(tmp_path / "m", tokens)
    assert chat.family_of(folder).end_of_turn == special[0]
    with pytest.raises(InputError, match="none can be trained where it is asked for"):
        chat.check_trainable(folder)


def test_an_architecture_that_a_family_knows_is_derived_where_its_tokens_are_missing(tmp_path):
    special = ("<|end|>", "<|turn|>")
    template = CHATML.replace("<|im_end|>", "<|end|>").replace("<|im_start|>", "<|turn|>")
    folder = foreign_models.llama(tmp_path / "m", foreign_models.tokenizer(template, special))
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", config | {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"})
    assert chat.family_of(folder).name == derived.NAME
