"""What is trained of a model, on every class: adapters, embeddings, upper layers, and never an image tower."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from pipeline import weights
from pipeline.chat import family_of
from pipeline.errors import TrainError
from pipeline.params import SftParams
from pipeline.paths import read_json, write_json
from pipeline.trainers import _model, _parts, sft
from pipeline.training import CHECKPOINT, MODEL
from tests import foreign_models, tiny_models
from tests.foreign_models import CHATML
from tests.trainers.test_sft import logits, task
from tests.variants import few

SHORT: dict[str, Any] = {"tokens": 900, "batch_size": 4, "warmup_steps": 1, "learning_rate": 1e-2}
KINDS = ("qwen3", "smollm3", "gemma3", "untied qwen3", "gemma3 with images", "llama", "untied llama", "gpt2")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of each kind, random, its tokenizer with a chat template."""
    place = tmp_path_factory.mktemp("models")
    tokens = foreign_models.tokenizer(CHATML)
    return {
        "llama": foreign_models.llama(place / "llama", tokens),
        "untied llama": foreign_models.llama(place / "untied-llama", tokens, tied=False),
        "gpt2": foreign_models.gpt2(place / "gpt2", tokens),
        "gemma3 with images": foreign_models.gemma3_with_images(place / "images"),
        "untied qwen3": foreign_models.untied(place / "untied", "qwen3"),
        **{name: tiny_models.untrained(name) for name in tiny_models.FAMILIES},
    }


def on(model: Path, folder: Path, **params: Any) -> Any:
    return dataclasses.replace(task(folder, **SHORT | params), model_path=str(model))


def loaded(model: Path, **params: Any) -> Any:
    return _model.load(str(model), SftParams(**params), family_of(model), "float32", "cpu", None, 0)


@pytest.mark.parametrize("kind", few(KINDS, 4))
def test_an_adapter_and_its_merged_weights_are_one_model(tmp_path, made, kind):
    variants = {"qwen3": {"dora": True, "rslora": True}, "gpt2": {"dora": True}, "smollm3": {"rslora": True}}
    result = sft.train(on(made[kind], tmp_path / "run", embeddings=True, **variants.get(kind, {})))
    weights.export(result.model_path, tmp_path / "merged")
    adapter = PeftModel.from_pretrained(weights.load_model(made[kind]), result.model_path)
    apart, merged = logits(result.model_path, adapter), logits(tmp_path / "merged")
    assert torch.allclose(apart, merged, atol=1e-5)
    assert not torch.allclose(merged, logits(made[kind]), atol=1e-3)
    tokens = weights.load_tokenizer(tmp_path / "merged")
    prompt = tokens("2 + 3", return_tensors="pt")
    greedy = [
        # the bare base's own generation config does not know the turn's end
        model.generate(**prompt, max_new_tokens=12, do_sample=False, eos_token_id=tokens.eos_token_id)
        for model in (adapter.eval(), weights.load_model(tmp_path / "merged"), weights.load_model(result.model_path))
    ]
    assert torch.equal(greedy[0], greedy[1]) and torch.equal(greedy[1], greedy[2])


@pytest.mark.parametrize("kind", few(KINDS, 4))
def test_trained_embeddings_learn_on_both_sides_and_tied_ones_stay_tied(tmp_path, made, kind):
    before = weights.load_model(made[kind])
    weights.export(sft.train(on(made[kind], tmp_path / "run", embeddings=True)).model_path, tmp_path / "merged")
    after = weights.load_model(tmp_path / "merged")
    assert _parts.is_tied(before) == _parts.is_tied(after) == (not kind.startswith("untied"))
    for side in ("get_input_embeddings", "get_output_embeddings"):
        assert not torch.equal(getattr(before, side)().weight, getattr(after, side)().weight)


@pytest.mark.parametrize("kind", few(["gpt2", "untied llama"], 1))
def test_an_adapter_with_embeddings_goes_on_where_it_stopped(tmp_path, made, kind):
    whole = sft.train(on(made[kind], tmp_path / "whole", embeddings=True))
    part = on(made[kind], tmp_path / "part", embeddings=True)
    sft.train(dataclasses.replace(part, fidelity=0.4))
    rest = dataclasses.replace(part, folder=tmp_path / "rest", resume_from=tmp_path / "part" / CHECKPOINT)
    assert torch.equal(logits(sft.train(rest).model_path), logits(whole.model_path))


@pytest.mark.parametrize("params", [{}, {"tuning": "full"}, {"tuning": "full", "layers": "upper_half"}])
def test_an_image_tower_is_left_alone(tmp_path, made, params):
    folder = made["gemma3 with images"]
    result = sft.train(on(folder, tmp_path / "run", **params))
    weights.export(result.model_path, tmp_path / "whole")
    assert read_json(tmp_path / "whole" / "config.json")["architectures"] == ["Gemma3ForConditionalGeneration"]
    before, after = (weights.load_model(path).state_dict() for path in (folder, tmp_path / "whole"))
    changed = [name for name, value in before.items() if not torch.equal(value, after[name])]
    assert changed and all("language_model" in name or "lm_head" in name for name in changed)


@pytest.mark.parametrize(
    ("kind", "targets", "expected"),
    [
        ("llama", "all", {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}),
        ("llama", "attention", {f"self_attn.{name}" for name in _model.ATTENTION}),
        ("gpt2", "all", {"c_attn", "c_proj", "c_fc"}),
        ("gpt2", "attention", {"attn.c_attn", "attn.c_proj"}),
        ("gpt2", ("c_fc",), {"c_fc"}),
    ],
)
def test_a_derived_familys_targets_are_the_matrices_of_its_layers(made, kind, targets, expected):
    model = loaded(made[kind], targets=targets, embeddings=False, layers=1)
    assert set(model.active_peft_config.target_modules) == expected
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert trained and all(".1." in name for name in trained)  # the upper one of two layers


def test_targets_that_the_model_lacks_are_told(made):
    with pytest.raises(TrainError, match="targets"):
        loaded(made["gpt2"], targets=("q_proj",))


# ---------------------------------------------------------------- embeddings: auto


def trains_embeddings(model: Any) -> bool:
    return any(parameter.requires_grad for name, parameter in model.named_parameters() if "modules_to_save" in name)


def test_embeddings_are_trained_by_themselves_where_the_base_brought_no_template(tmp_path, made):
    assert not trains_embeddings(loaded(made["qwen3"]))
    bare = shutil.copytree(made["qwen3"], tmp_path / "bare")
    for path in bare.glob("chat_template*"):
        path.unlink()
    write_json(bare / "tokenizer_config.json", read_json(bare / "tokenizer_config.json") | {"chat_template": None})
    assert trains_embeddings(loaded(bare))
    assert not trains_embeddings(loaded(bare, embeddings=False))
    # of all weights the upper layers only: the embeddings below them follow the same rule
    for folder, learns in ((bare, True), (made["qwen3"], False)):
        model = loaded(folder, tuning="full", layers="upper_half")
        assert model.get_input_embeddings().weight.requires_grad == learns


@pytest.mark.parametrize("row", ["the shared direction", "nothing at all"])
def test_embeddings_are_trained_by_themselves_where_the_turns_end_looks_unused(tmp_path, made, row):
    model, tokens = weights.load_model(made["llama"]), weights.load_tokenizer(made["llama"])
    end = tokens.convert_tokens_to_ids("<|im_end|>")
    assert not _parts.is_unseen(model, end)
    with torch.no_grad():
        rows = model.get_output_embeddings().weight
        rows[end] = 1.5 * rows[7] + 0.001 if row == "the shared direction" else 0.0
    assert _parts.is_unseen(model, end)
    unused = tmp_path / "unused"
    model.save_pretrained(unused)
    tokens.save_pretrained(unused)
    assert trains_embeddings(loaded(unused)) and not trains_embeddings(loaded(made["llama"]))


def test_a_stage_that_goes_on_asks_the_model_that_it_began_with(tmp_path, made):
    params = {"tuning": "full", "layers": "upper_half"}
    whole = sft.train(on(made["llama"], tmp_path / "whole", **params))
    part = on(made["llama"], tmp_path / "part", **params)
    sft.train(dataclasses.replace(part, fidelity=0.4))
    rest = dataclasses.replace(part, folder=tmp_path / "rest", resume_from=tmp_path / "part" / CHECKPOINT)
    sft.train(rest)
    assert torch.equal(logits(tmp_path / "rest" / MODEL), logits(whole.model_path))
