"""What all rows of a micro-batch begin with is run once: the same losses, for fewer tokens."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from pipeline import weights
from pipeline.data import Built
from pipeline.trainers import _prefix, sft
from tests import foreign_models, tiny_models
from tests.tiny_models import FAMILIES
from tests.trainers.test_sft import SUMS, logits, losses, task
from tests.variants import few

SYSTEM = "You add two small numbers and write the sum after four marks at the very end of the line."
TOLD = [{"messages": [{"role": "system", "content": SYSTEM}, *row["messages"]]} for row in SUMS]
BUILT = Built(("sums",), (1.0,), (TOLD,), {}, {})


@pytest.fixture
def shared(monkeypatch):
    """How often a beginning was run apart, and with how many tokens."""
    lengths: list[int] = []
    run = _prefix.hidden
    monkeypatch.setattr(_prefix, "hidden", lambda body, inputs, n: lengths.append(n) or run(body, inputs, n))
    return lengths


@pytest.mark.parametrize("params", few([{"layers": 1, "embeddings": False, "sort_window": 2}, {}], 1))
@pytest.mark.parametrize("name", few(FAMILIES, 1))
def test_losses_and_weights_are_those_of_rows_run_whole(tmp_path, monkeypatch, shared, name, params):
    found = sft.train(task(tmp_path / "shared", name, BUILT, **params))
    assert len(shared) > found.steps and min(shared) > 15
    monkeypatch.setattr(_prefix, "length", lambda inputs, labels: 0)
    whole = sft.train(task(tmp_path / "whole", name, BUILT, **params))
    assert losses(tmp_path / "shared") == pytest.approx(losses(tmp_path / "whole"), rel=1e-3)
    assert torch.allclose(logits(found.model_path), logits(whole.model_path), atol=5e-3)


@pytest.mark.parametrize(
    "params",
    [{"dropout": 0.1}, {"neftune": 5.0}, {"packing": True}, {"answers_only": False},
     {"layers": 1, "embeddings": False, "lower_outputs": "kept"}],
    ids=["dropout", "noise", "packing", "all tokens", "kept outputs"],
)  # fmt: skip
def test_rows_that_draw_something_or_are_laid_out_otherwise_share_nothing(tmp_path, shared, params):
    sft.train(task(tmp_path, built=BUILT, tokens=2000, **params))
    assert shared == []


def test_rows_that_begin_alike_by_a_few_tokens_only_share_nothing(tmp_path, shared):
    sft.train(task(tmp_path, tokens=2000))
    assert shared == []


def test_a_model_with_a_dropout_of_its_own_or_without_such_a_cache_is_trained_as_ever(tmp_path, shared):
    tokens = foreign_models.tokenizer(foreign_models.CHATML)
    path = str(foreign_models.llama(tmp_path / "llama", tokens, attention_dropout=0.2))
    sft.train(dataclasses.replace(task(tmp_path / "run", built=BUILT, tokens=2000), model_path=path))
    assert shared == []

    class Forgetful(nn.Module):
        dtype = torch.float32

        def forward(self, **inputs):
            raise TypeError("no past_key_values")

    inputs = {"input_ids": torch.ones(2, 20, dtype=torch.long), "attention_mask": torch.ones(2, 20)}
    assert "TypeError" in _prefix.why_not(Forgetful(), inputs, 10)


def test_the_shared_beginning_ends_before_the_first_difference_and_the_first_trained_token():
    ids = torch.tensor([[*range(10, 30), 1, 2], [*range(10, 30), 3, 2]])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    labels = torch.full_like(ids, -100)
    assert _prefix.length(inputs, labels) == 20
    labels[1, 15] = 5
    assert _prefix.length(inputs, labels) == 14
    labels[1, 8] = 5
    assert _prefix.length(inputs, labels) == 0  # too short
    short = {"input_ids": ids, "attention_mask": torch.tensor([[1] * 22, [1] * 12 + [0] * 10])}
    assert _prefix.length(short, torch.full_like(ids, -100)) == 12
    one = {name: tensor[:1] for name, tensor in inputs.items()}
    assert _prefix.length(one, torch.full_like(ids[:1], -100)) == 0


def test_gradients_flow_back_into_what_is_shared():
    model = weights.load_model(tiny_models.taught("qwen3")).train()
    rows = [[*range(5, 25), 30, 31], [*range(5, 25), 33, 34]]
    inputs = {"input_ids": torch.tensor(rows), "attention_mask": torch.ones(2, 22, dtype=torch.long)}
    found = []
    for shared in (20, 0):
        model.zero_grad()
        hidden = _prefix.hidden(model.model, inputs, shared) if shared else model.model(**inputs).last_hidden_state
        hidden[:, 20:].square().sum().backward()
        found.append([p.grad.clone() for p in model.parameters()])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))
