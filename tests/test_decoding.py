"""How answers are drawn: a user's options, a model's generation_config.json, and the difference between two."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.decoding import describe, further_ends, of_model, overridden, set_apart, settled
from pipeline.errors import InputError
from pipeline.types import GREEDY, Decoding
from tests import tiny_models

SAMPLED = Decoding(temperature=0.6, top_p=0.95, repeats=5)
OWN = Decoding(own="vllm", repeats=3)
# what the families' checkpoints on the Hub say
QWEN3_BASE = {"bos_token_id": 151643, "do_sample": False, "eos_token_id": 151643, "max_new_tokens": 2048}
QWEN3 = {"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "eos_token_id": [151645, 151643]}
HOT = {"temperature": 0.6, "top_p": 0.95}


@pytest.fixture
def model(tmp_path):
    """A folder with a generation_config.json of these settings; None writes none."""

    def make(settings, name="model"):
        folder = tmp_path / name
        folder.mkdir()
        if settings is not None:
            (folder / "generation_config.json").write_text(json.dumps(settings))
        return folder

    return make


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("start", "given", "expected"),
    [
        (GREEDY, {"repeats": 10}, Decoding(temperature=0.6, top_p=0.95, repeats=10)),
        (GREEDY, {"repeats": 1}, GREEDY),
        (Decoding(repetition_penalty=1.1), {"repeats": 2}, Decoding(**HOT, repetition_penalty=1.1, repeats=2)),
        (GREEDY, {"temperature": 1.0}, Decoding(temperature=1.0)),
        (GREEDY, {"temperature": 1.0, "repeats": 4}, Decoding(temperature=1.0, repeats=4)),
        (SAMPLED, {"temperature": 0.0}, GREEDY),
        (SAMPLED, {"temperature": 0.9}, Decoding(temperature=0.9, top_p=0.95, repeats=5)),
        (SAMPLED, {"top_p": 0.8}, Decoding(temperature=0.6, top_p=0.8, repeats=5)),
        (SAMPLED, {"repeats": 2}, Decoding(temperature=0.6, top_p=0.95, repeats=2)),
        (OWN, {"repeats": 2}, Decoding(own="vllm", repeats=2)),
        (OWN, {"temperature": 0.7, "top_p": 0.9}, Decoding(temperature=0.7, top_p=0.9, repeats=3)),
    ],
)
def test_options_change_what_they_name(start, given, expected):
    assert overridden(start, **given) == expected


@pytest.mark.parametrize("start", [GREEDY, SAMPLED, OWN])
@given(given=st.fixed_dictionaries({}, optional={
    "temperature": st.floats(), "top_p": st.floats(), "repeats": st.integers(-2, 20_000),
}))  # fmt: skip
def test_options_give_a_decoding_or_one_line_that_names_one_of_them(start, given):
    try:
        assert isinstance(overridden(start, **given), Decoding)
    except InputError as error:
        assert str(error).startswith("--") and "\n" not in str(error)


@pytest.mark.parametrize(
    ("start", "given", "said"),
    [
        (GREEDY, {"top_p": 0.9}, "--top-p 0.9 without --temperature"),
        (OWN, {"top_p": 0.9}, "--top-p 0.9 without --temperature"),
        (GREEDY, {"temperature": 0.0, "repeats": 3}, "--temperature 0 is greedy, each answer the same"),
        (GREEDY, {"temperature": -1.0}, "--temperature: must be greater than or equal to 0"),
        (GREEDY, {"temperature": 1.0, "top_p": 1.5}, "--top-p: must be less than or equal to 1"),
        (SAMPLED, {"repeats": 0}, "--repeats: must be greater than or equal to 1"),
    ],
)
def test_options_that_do_not_go_together_are_refused(start, given, said):
    with pytest.raises(InputError) as caught:
        overridden(start, **given)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "settings", [{"repeats": 3}, {"top_p": 0.9}, {"top_k": 5}, {"own": "vllm", "temperature": 0.5}]
)
def test_settings_that_would_be_ignored_are_refused(settings):
    with pytest.raises(ValidationError):
        Decoding.model_validate(settings)


def test_decoding_is_told_in_words():
    assert describe(GREEDY) == "greedy"
    assert describe(SAMPLED) == "temperature 0.6, top-p 0.95, 5 answers per item"
    assert describe(Decoding(temperature=1, top_k=20, min_p=0.1, repetition_penalty=1.1)) == (
        "temperature 1, top-p 1, top-k 20, min-p 0.1, repetition penalty 1.1"
    )
    assert describe(OWN) == "as each model's generation_config.json says (vllm's reading), 3 answers per item"


# ---------------------------------------------------------------- a model's own settings


@pytest.mark.parametrize(
    ("settings", "transformers", "vllm"),
    [
        (None, {}, {"temperature": 1.0}),
        (QWEN3_BASE, {}, {"temperature": 1.0}),
        (QWEN3, {**HOT, "top_k": 20}, {**HOT, "top_k": 20}),
        ({"do_sample": True}, {"temperature": 1.0, "top_k": 50}, {"temperature": 1.0}),
        ({"do_sample": True, "top_k": 0}, {"temperature": 1.0}, {"temperature": 1.0}),
        ({**QWEN3, "min_p": 0.1, "top_k": -1}, {**HOT, "min_p": 0.1}, {**HOT, "min_p": 0.1}),
        ({"temperature": 0.0}, {}, {}),
        ({"temperature": 0.0, "repetition_penalty": 1.2}, {"repetition_penalty": 1.2}, {"repetition_penalty": 1.2}),
    ],
)  # fmt: skip
def test_a_generation_config_is_read_as_either_library_reads_it(model, settings, transformers, vllm):
    folder = model(settings)
    assert of_model(folder, "transformers").decoding == Decoding.model_validate(transformers)
    assert of_model(folder, "vllm").decoding == Decoding.model_validate(vllm)


def test_a_model_that_samples_answers_repeatedly_and_a_greedy_one_once(model):
    assert of_model(model(QWEN3, "a"), "vllm", repeats=5).decoding.repeats == 5
    assert of_model(model({"temperature": 0}, "b"), "vllm", repeats=5).decoding == GREEDY
    assert settled(OWN, model(QWEN3, "c")) == Decoding(temperature=0.6, top_p=0.95, top_k=20, repeats=3)
    assert settled(SAMPLED, "no folder at all") == SAMPLED


def test_a_setting_that_no_engine_follows_is_named_and_not_passed_over(model):
    folder = model({"num_beams": 4, "typical_p": 1.0, "no_repeat_ngram_size": 0, "suppress_tokens": [], "top_k": 50})
    assert of_model(folder, "transformers").not_followed == ("num_beams 4",)
    assert of_model(folder, "vllm").not_followed == ()
    with pytest.raises(InputError, match="asks for num_beams 4, which is not supported"):
        settled(Decoding(own="transformers"), folder)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"do_sample": True, "temperature": "hot"}, "temperature: must be a number, not 'hot'"),
        ({"do_sample": True, "top_p": 1.5}, "top_p: must be less than or equal to 1"),
        ({"repetition_penalty": 0}, "repetition_penalty: must be greater than 0"),
        ([], "not a JSON object"),
    ],
)
def test_an_unusable_setting_is_one_line_with_its_file(model, settings, said):
    with pytest.raises(InputError, match=r"generation_config\.json") as caught:
        of_model(model(settings), "transformers")
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "apart"),
    [
        (QWEN3_BASE, False),
        ({**QWEN3_BASE, "max_new_tokens": 7, "transformers_version": "9"}, False),
        ({**QWEN3_BASE, "temperature": 1.0, "top_p": 1.0, "top_k": 0}, False),
        ({**QWEN3_BASE, "top_k": 20}, True),  # to vLLM, which samples
        ({**QWEN3_BASE, "temperature": 0.0}, True),  # to vLLM, which knows no do_sample
        ({**QWEN3_BASE, "do_sample": True}, True),
        ({**QWEN3_BASE, "repetition_penalty": 1.1}, True),
        ({**QWEN3_BASE, "num_beams": 2}, True),
    ],
)
def test_two_models_are_apart_if_either_library_would_decode_them_otherwise(model, settings, apart):
    assert set_apart(model(settings, "changed"), model(QWEN3_BASE, "base")) == apart


def test_a_mended_end_of_turn_sets_nobody_apart_and_another_end_does(tmp_path):
    base, mended = tiny_models.untrained("qwen3"), tiny_models.taught("qwen3")
    assert further_ends(mended, base) == () and not set_apart(mended, base)
    ends = json.loads((mended / "generation_config.json").read_text())["eos_token_id"]
    changed = tmp_path / "changed"
    changed.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (changed / name).write_bytes((mended / name).read_bytes())
    (changed / "generation_config.json").write_text(json.dumps({"eos_token_id": [*ends, 77]}))
    assert further_ends(changed, base) == (77,) and set_apart(changed, base)


def test_an_adapter_has_the_settings_of_its_base(model, tmp_path):
    base = model(QWEN3, "base")
    adapter = model({"temperature": 0}, "adapter")  # what lies beside an adapter is not loaded
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    assert of_model(adapter, "transformers") == of_model(base, "transformers")
