"""The memory formula, and the facts about checkpoints that it starts from."""

from __future__ import annotations

import pytest

from pipeline import memory, plugins
from pipeline.family import Pair
from pipeline.paths import PACKAGE

PAIRS = [
    pytest.param(name, pair, id=pair.base)
    for name in plugins.names("families")
    for pair in plugins.load("families", name).FAMILY.pairs
]


def on_paper(family: str, pair: Pair):
    """The family's real class at the pair's size, on the meta device: shapes without memory."""
    import torch
    import transformers as t

    shape = pair.shape
    sizes = {
        "hidden_size": shape.hidden, "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_value_heads, "head_dim": shape.head_dim, "tie_word_embeddings": shape.tied,
        "intermediate_size": shape.intermediate, "vocab_size": shape.vocabulary,
    }  # fmt: skip
    with torch.device("meta"):
        if family == "qwen3":
            return t.Qwen3ForCausalLM(t.Qwen3Config(**sizes))
        if family == "smollm3":
            return t.SmolLM3ForCausalLM(t.SmolLM3Config(pad_token_id=0, **sizes))
        text = t.Gemma3TextConfig(**sizes)
        if pair.base.endswith("1b-pt"):
            return t.Gemma3ForCausalLM(text)
        vision = t.SiglipVisionConfig(
            hidden_size=1152, intermediate_size=4304, num_hidden_layers=27, num_attention_heads=16,
            image_size=896, patch_size=14, vision_use_head=False,
        )  # fmt: skip
        whole = t.Gemma3Config(text_config=text, vision_config=vision, tie_word_embeddings=True)
        return t.Gemma3ForConditionalGeneration(whole)


@pytest.mark.parametrize(("family", "pair"), PAIRS)
def test_a_pairs_parameters_are_those_of_its_class_at_its_size(family, pair):
    model = on_paper(family, pair)
    assert pair.parameters == sum(p.numel() for p in model.parameters())
    extra = sum(p.numel() for name, p in model.named_parameters() if "vision" in name or "projector" in name)
    assert memory.parameters(pair.shape) == pytest.approx(pair.parameters - extra, rel=0.01)


@pytest.mark.parametrize(("family", "pair"), PAIRS)
def test_embeddings_are_the_share_of_parameters_that_the_class_has_and_less_of_the_memory_than_all(family, pair):
    model = on_paper(family, pair)
    sides = {id(side.weight): side.weight for side in (model.get_input_embeddings(), model.get_output_embeddings())}
    rows = sum(weight.numel() for weight in sides.values()) // (1 if len(sides) == 1 or not pair.shape.tied else 2)
    share = memory.embedding_share(pair)
    assert share["parameters"] == rows / pair.parameters
    assert share["lora"] < share["full"] < share["parameters"] < share["lora_embeddings"] < 1
    assert memory.training_bytes(pair, "lora_embeddings") == memory.training_bytes(pair, "lora") + 16 * rows


@pytest.mark.parametrize(("family", "pair"), PAIRS)
def test_the_documented_shares_are_the_formulas(family, pair):
    shape, share = pair.shape, memory.embedding_share(pair)
    size = f"{shape.vocabulary:,} x {shape.hidden:,}{'' if shape.tied else ', untied'}"
    shares = " | ".join(f"{share[which]:.0%}" for which in ("parameters", *memory.METHODS))
    line = f"| {pair.base} | {size} | {memory.embedding_parameters(shape) / 1e6:,.0f} | {shares} |"
    assert line in (PACKAGE.parent / "docs" / "families.md").read_text().splitlines()


def test_an_adapters_parameters_are_those_that_peft_adds():
    from peft import LoraConfig, get_peft_model

    family = plugins.load("families", "qwen3").FAMILY
    pair = family.pairs[0]
    adapted = get_peft_model(
        on_paper("qwen3", pair), LoraConfig(task_type="CAUSAL_LM", r=16, target_modules=list(family.lora_targets))
    )
    trained = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert memory.adapter_parameters(pair.shape, 16) == trained


def test_memory_grows_from_an_adapter_to_all_weights_and_with_rank_and_tokens():
    pair = plugins.load("families", "qwen3").FAMILY.pairs[1]
    taken = [memory.training_bytes(pair, method) for method in memory.METHODS]
    assert taken == sorted(taken) and len(set(taken)) == 3
    assert taken[0] < 8e9 < 16 * pair.parameters < taken[2] < 35e9  # 1.7B: an adapter on a small card, all on a big one
    assert memory.training_bytes(pair, "lora", rank=64) > taken[0]
    assert memory.training_bytes(pair, "lora", tokens=1024) < taken[0]
