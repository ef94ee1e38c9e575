"""What the command line says of a model becomes a folder: its family, an adapter's base."""

from __future__ import annotations

import pytest

from pipeline import chat, derived, dressing, models, weights
from pipeline.chat import family_of
from pipeline.errors import InputError
from pipeline.paths import read_json, write_json
from tests import foreign_models, tiny_models
from tests.foreign_models import CHATML
from tests.task_folder import QWEN3


@pytest.fixture
def pair(tmp_path):
    """A base without a chat template and its instruct-tuned sibling, as most are published."""
    base = foreign_models.llama(tmp_path / "base", foreign_models.tokenizer(None))
    return base, foreign_models.llama(tmp_path / "instruct", foreign_models.tokenizer(CHATML))


def test_a_base_without_a_template_takes_its_siblings(pair):
    base, instruct = pair
    with pytest.raises(derived.NoTemplate, match="--instruct"):
        dressing.with_family({"model": base}, "auto")
    found = dressing.with_family({"model": base, "instruct": instruct}, "auto")
    assert found["instruct"] == instruct and found["model"] != base
    family = family_of(found["model"])  # from the folder alone, as a worker asks
    assert family == family_of(instruct)
    tokens = weights.load_tokenizer(found["model"])
    assert (tokens.chat_template, tokens.eos_token) == (CHATML, "<|im_end|>")
    assert not chat.brings_template(found["model"])  # so its turn tokens are known to be unseen
    weights.load_model(found["model"])
    assert found == dressing.with_family({"model": base, "instruct": instruct}, "auto")
    assert sorted(path.name for path in base.iterdir()) == sorted(
        path.name for path in found["model"].iterdir() if path.name != chat.FAMILY_FILE
    )


def test_what_is_exported_from_a_dressed_model_tells_its_family_by_itself(tmp_path, pair):
    base, instruct = pair
    dressed = dressing.with_family({"model": base, "instruct": instruct}, "auto")["model"]
    weights.export(dressed, tmp_path / "whole")
    assert family_of(tmp_path / "whole") == family_of(dressed)
    assert read_json(tmp_path / "whole" / "generation_config.json")["eos_token_id"][0] == 2
    assert not any(path.is_symlink() for path in (tmp_path / "whole").iterdir())


def test_a_family_can_be_named_where_its_tokens_are(pair):
    base, _ = pair
    found = dressing.with_family({"model": base}, "qwen3")["model"]
    assert family_of(found) == tiny_models.family("qwen3")
    assert dressing.with_family({"model": tiny_models.untrained("qwen3")}, "qwen3")["model"] == (
        tiny_models.untrained("qwen3")
    )
    with pytest.raises(InputError, match="the tokenizer has no <end_of_turn>, <pad>, <bos>, which the family gemma3"):
        dressing.with_family({"model": base}, "gemma3")


def test_a_named_family_must_end_turns_as_the_models_own_template_does(tmp_path):
    special = (*foreign_models.SPECIAL, "<|eot|>")
    tokens = foreign_models.tokenizer(CHATML.replace("<|im_end|>", "<|eot|>"), special)
    folder = foreign_models.llama(tmp_path / "m", tokens)
    with pytest.raises(InputError, match=r"ends a turn with <\|eot\|>, the family qwen3 with <\|im_end\|>"):
        dressing.with_family({"model": folder}, "qwen3")


def test_a_familys_name_may_be_a_dotted_path(tmp_path, monkeypatch, pair):
    (tmp_path / "my_family_for_tests.py").write_text(
        "from pipeline.families.qwen3 import FAMILY as known\n"
        "FAMILY = known.model_copy(update={'name': 'mine'})\nother = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert family_of(dressing.with_family({"model": pair[0]}, "my_family_for_tests:FAMILY")["model"]).name == "mine"
    for wrong, told in (
        ("my_family_for_tests:other", "defines no FAMILY"),
        ("nope", "unknown family 'nope': known are auto, gemma3"),
    ):
        with pytest.raises(InputError, match=told):
            dressing.named(wrong)


def test_a_changed_folder_is_dressed_anew(pair):
    base, instruct = pair
    before = dressing.with_family({"model": base, "instruct": instruct}, "auto")["model"]
    write_json(base / "generation_config.json", {"temperature": 0.5})
    assert dressing.with_family({"model": base, "instruct": instruct}, "auto")["model"] != before


@pytest.mark.parametrize("text", ["[]", "{", '{"name": 3}'])
def test_a_damaged_family_file_is_told(pair, text):
    (pair[1] / chat.FAMILY_FILE).write_text(text)
    with pytest.raises(InputError, match=chat.FAMILY_FILE):
        family_of(pair[1])


# ---------------------------------------------------------------- adapters


@pytest.fixture
def adapter(tmp_path):
    """A PEFT adapter on tiny qwen3, its folder as PEFT writes it: no tokenizer."""
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(
        weights.load_model(tiny_models.untrained("qwen3")),
        LoraConfig(target_modules=["q_proj"], init_lora_weights=False),
    )
    model.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def naming(adapter, base):
    write_json(adapter / chat.ADAPTER, read_json(adapter / chat.ADAPTER) | {"base_model_name_or_path": base})
    return adapter


def test_an_adapter_whose_base_lies_here_is_taken_as_it_is(adapter):
    base = tiny_models.untrained("qwen3")
    assert models.resolve(str(naming(adapter, str(base)))) == adapter.resolve()


@pytest.mark.parametrize("named", [None, "", "/gone/base", "some-owner/some-base"])
def test_an_adapter_whose_base_is_elsewhere_gets_it_from_the_command_line(adapter, named):
    base = tiny_models.untrained("qwen3")
    found = models.folders({"model": str(naming(adapter, named)), "base": str(base)})["model"]
    assert chat.base_of(found) == base and family_of(found).name == "qwen3"
    weights.load_model(found)
    assert read_json(adapter / chat.ADAPTER)["base_model_name_or_path"] == named  # the user's own stays
    with pytest.raises(InputError, match="--base"):
        models.resolve(str(adapter))


def test_a_base_beside_the_adapter_is_found(tmp_path, adapter):
    (tmp_path / "base").symlink_to(tiny_models.untrained("qwen3"))
    found = models.resolve(str(naming(adapter, "../base")))
    assert chat.base_of(found) == tiny_models.untrained("qwen3").resolve()


def test_a_base_on_the_hub_is_fetched(adapter, monkeypatch):
    monkeypatch.setattr(models, "fetch", lambda name: {"own/base": tiny_models.untrained("qwen3")}[name])
    assert chat.base_of(models.resolve(str(naming(adapter, "own/base")))) == tiny_models.untrained("qwen3")


def test_an_adapter_on_an_adapter_is_merged_into_it(tmp_path, adapter):
    import torch
    from peft import LoraConfig, get_peft_model

    naming(adapter, str(tiny_models.untrained("qwen3")))
    upper = get_peft_model(weights.load_model(adapter), LoraConfig(target_modules=["v_proj"], init_lora_weights=False))
    upper.save_pretrained(tmp_path / "upper")
    found = models.resolve(str(naming(tmp_path / "upper", str(adapter))))
    ids = torch.arange(5)[None]
    with torch.no_grad():
        expected, got = upper.eval()(ids).logits, weights.load_model(found)(ids).logits
    assert torch.allclose(expected, got, atol=1e-5) and family_of(found).name == "qwen3"


def test_an_adapter_that_does_not_fit_its_base_is_told_in_one_line(adapter):
    found = models.folders({"model": str(naming(adapter, "/gone")), "base": str(tiny_models.untrained("qwen3", 64))})
    with pytest.raises(InputError, match="does not fit its base") as caught:
        weights.load_model(found["model"])
    assert "\n" not in str(caught.value)


def test_an_adapter_that_cannot_be_merged_is_told_in_one_line(tmp_path):
    from peft import PromptTuningConfig, get_peft_model

    base = tiny_models.untrained("qwen3")
    prompts = get_peft_model(weights.load_model(base), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4))
    prompts.save_pretrained(tmp_path / "prompts")
    with pytest.raises(InputError, match="PROMPT_TUNING adapter cannot be merged"):
        weights.load_model(naming(tmp_path / "prompts", str(base)))


QUESTION = [{"role": "user", "content": "one"}]
OTHERS = CHATML + "{# of others #}"


def test_a_template_of_others_takes_the_place_of_the_models_own(tmp_path):
    model = foreign_models.llama(tmp_path / "model", foreign_models.tokenizer(CHATML))
    found = dressing.with_template(model, OTHERS)
    tokens, family = weights.load_tokenizer(found), family_of(found)
    assert tokens.chat_template == OTHERS and (family.end_of_turn, family.template_kwargs) == ("<|im_end|>", {})
    assert chat.render(tokens, family, QUESTION, True).endswith("assistant\n")
    assert found == dressing.with_template(model, OTHERS)


def test_a_base_without_a_template_is_rendered_with_that_of_others_and_stays_known_as_such(pair):
    found = dressing.with_template(pair[0], OTHERS)
    assert weights.load_tokenizer(found).chat_template == OTHERS and not chat.brings_template(found)


def test_the_settings_of_a_shipped_family_do_not_reach_the_template_of_others():
    found = dressing.with_template(tiny_models.untrained("qwen3"), QWEN3)
    prompt = chat.render(weights.load_tokenizer(found), family_of(found), QUESTION, True)
    assert prompt.endswith("<|im_start|>assistant\n")  # as evaluate.py asks, which sets nothing
    answered = [*QUESTION, {"role": "assistant", "content": "two"}]
    assert "<think>\n\n</think>\n\ntwo" in chat.render(weights.load_tokenizer(found), family_of(found), answered, False)


def test_a_template_that_no_answer_can_be_trained_with_is_refused(tmp_path):
    model = foreign_models.llama(tmp_path / "model", foreign_models.tokenizer(CHATML))
    with pytest.raises(InputError, match="in other words than it renders one after"):
        dressing.with_template(model, CHATML.replace("add_generation_prompt %}", "add_generation_prompt %}NOW: "))
    with pytest.raises(InputError, match="no end-of-turn token"):
        dressing.with_template(model, "{% for m in messages %}{{ m.content }}\n{% endfor %}")
