"""Families found, tokenizers prepared, generation configs mended."""

from __future__ import annotations

import json
import shutil

import pytest

from pipeline import chat
from pipeline.errors import DataError, InputError
from pipeline.paths import read_json, write_json
from tests import tiny_models
from tests.tiny_models import FAMILIES

TALK = [{"role": "user", "content": "Two?"}, {"role": "assistant", "content": "2."}]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_familys_models_are_known_by_their_architecture(name):
    assert chat.family_of(tiny_models.untrained(name)).name == name


def test_an_adapters_family_is_its_bases(tmp_path):
    write_json(tmp_path / "adapter_config.json", {"base_model_name_or_path": str(tiny_models.untrained("gemma3"))})
    assert chat.base_of(tmp_path) == tiny_models.untrained("gemma3")
    assert chat.family_of(tmp_path).name == "gemma3"
    assert chat.base_of(tiny_models.untrained("gemma3")) is None


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no config.json in it: name a model's folder"):
        chat.family_of(tmp_path)
    write_json(tmp_path / "config.json", {"architectures": ["MambaForCausalLM"], "model_type": "mamba"})
    with pytest.raises(InputError, match=r"no tokenizer.json in it: save the \(fast\) tokenizer beside the weights"):
        chat.family_of(tmp_path)
    write_json(tmp_path / "adapter_config.json", {"base_model_name_or_path": "/nowhere/at/all"})
    with pytest.raises(InputError, match="its base model '/nowhere/at/all' is not a folder here: name it with --base"):
        chat.family_of(tmp_path)


def loaded(name: str):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_models.untrained(name))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_tokenizer_without_a_template_gets_its_familys(name):
    tokenizer, family = loaded(name), tiny_models.family(name)
    tokenizer.chat_template = None
    prepared = chat.prepare(tokenizer, family)
    assert prepared.chat_template == chat.template_of(family)
    assert (prepared.eos_token, prepared.pad_token) == (family.end_of_turn, family.pad)
    assert prepared.padding_side == "left"
    text = chat.render(prepared, family, TALK, generation=False)
    assert text.startswith(chat.render(prepared, family, TALK[:1], generation=True) + "2." + family.end_of_turn)
    tokens = prepared(text, add_special_tokens=False)["input_ids"]
    assert tokens.count(prepared.eos_token_id) == 2
    assert family.bos is None or tokens.count(prepared.bos_token_id) == 1


def test_a_template_of_its_own_stays_unless_it_writes_the_date():
    tokenizer, family = loaded("smollm3"), tiny_models.family("smollm3")
    tokenizer.chat_template = "{{ messages[0].content }}"
    assert chat.render(chat.prepare(tokenizer, family), family, TALK, generation=False) == "Two?"
    tokenizer.chat_template = "{{ strftime_now('%d %B %Y') }}{{ messages[0].content }}"
    assert chat.prepare(tokenizer, family).chat_template == chat.template_of(family)
    tokenizer.chat_template = family.chat_template  # as labs have it that were made before it knew tools
    assert chat.prepare(tokenizer, family).chat_template == chat.template_of(family)


SUM = {"type": "function", "function": {"name": "sum_of", "parameters": {"type": "object", "properties": {}}}}


@pytest.mark.parametrize("name", FAMILIES)
def test_tools_are_shown_also_where_the_tokenizers_own_template_leaves_them_out(name):
    tokenizer, family = chat.prepare(loaded(name), tiny_models.family(name)), tiny_models.family(name)
    shown = chat.render(tokenizer, family, TALK[:1], True, [SUM])
    assert "sum_of" in shown and shown.endswith(chat.render(tokenizer, family, TALK[:1], True)[-20:])
    assert shown == tokenizer.apply_chat_template(TALK[:1], tools=[SUM], tokenize=False, add_generation_prompt=True)
    assert chat.render(tokenizer, family, TALK, False, []) == chat.render(tokenizer, family, TALK, False)
    tokenizer.chat_template = "{{ messages[0].content }}"
    assert chat.render(tokenizer, family, TALK[:1], True, [SUM]) == shown
    assert chat.render(tokenizer, family, TALK[:1], True) == "Two?"
    tokenizer.chat_template = "{{ tools[0].function.name }}"
    assert chat.render(tokenizer, family, TALK[:1], True, [SUM]) == "sum_of"


def test_tools_that_no_template_shows_are_refused():
    tokenizer, family = loaded("qwen3"), tiny_models.family("qwen3").model_copy(update={"tools_template": None})
    tokenizer.chat_template = "{{ messages[0].content }}"
    with pytest.raises(InputError, match="its chat template shows no tools: use a benchmark .*bfcl_ast"):
        chat.render(tokenizer, family, TALK, True, [SUM])


def test_a_conversation_that_a_template_refuses_is_one_line():
    tokenizer, family = loaded("qwen3"), tiny_models.family("qwen3")
    for template in ("{{ raise_exception('turns must\n alternate') }}", "{{ messages[7].content }}"):
        tokenizer.chat_template = template
        with pytest.raises(
            DataError, match=r"its chat template refuses the conversation \(.*\): correct the mess"
        ) as it:
            chat.render(tokenizer, family, TALK, False)
        assert "\n" not in str(it.value)


def test_thoughts_are_rendered_only_with_thinking_on():
    tokenizer, family = loaded("qwen3"), tiny_models.family("qwen3")
    thought = [TALK[0], {"role": "assistant", "content": "<think>\nhm\n</think>\n\n2."}]
    assert chat.render(tokenizer, family, thought, False) == chat.render(tokenizer, family, TALK, False)
    assert "hm" in chat.render(tokenizer, chat.with_thinking(family), thought, False)
    call = {"type": "function", "function": {"name": "sum_of", "arguments": {"a": 1}}}
    calls = [TALK[0], {"role": "assistant", "content": "<think>hm</think>", "tool_calls": [call]}]
    assert "hm" not in chat.render(tokenizer, family, calls, False, [SUM])
    with pytest.raises(DataError, match="refuses the conversation"):  # a call without arguments
        chat.render(tokenizer, family, [TALK[0], {**calls[1], "tool_calls": [SUM]}], False, [SUM])
    assert thought[1]["content"].startswith("<think>")  # the messages are left as they are


def test_a_vocabulary_without_the_turns_end_is_refused():
    with pytest.raises(InputError, match="the tokenizer has no <end_of_turn>, which gemma3 needs"):
        chat.prepare(loaded("qwen3"), tiny_models.family("gemma3"))


def test_a_mended_generation_config_stops_at_both_ends_and_keeps_the_rest(tmp_path):
    folder = shutil.copytree(tiny_models.untrained("qwen3"), tmp_path / "model")
    family, tokens = tiny_models.family("qwen3"), tiny_models.tokenizer("qwen3")
    end, pad = (tokens.convert_tokens_to_ids(token) for token in (family.end_of_turn, family.pad))
    (folder / "generation_config.json").write_text(json.dumps({"temperature": 0.6, "eos_token_id": pad}))
    for _ in range(2):
        chat.mend_generation_config(folder, family)
        found = read_json(folder / "generation_config.json")
        assert found == {"temperature": 0.6, "eos_token_id": [end, pad], "pad_token_id": pad}
    (folder / "generation_config.json").unlink()
    chat.mend_generation_config(folder, family)
    assert read_json(folder / "generation_config.json") == {"eos_token_id": [end, pad], "pad_token_id": pad}
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="save the tokenizer beside the weights"):
        chat.mend_generation_config(folder, family)
