"""Prompts that begin alike are read once: the same answers as each prompt by itself."""

from __future__ import annotations

import pytest
import torch

from pipeline.engines import _shared
from pipeline.engines.hf import open_engine
from pipeline.errors import InputError
from pipeline.types import Request
from tests import tiny_models
from tests.tiny_models import FAMILIES

SHOTS = [turn for n in (3, 40, 71) for turn in zip(("user", "assistant"), tiny_models.sums(n), strict=True)]
BEGINNING = tuple({"role": role, "content": content} for role, content in SHOTS)
REQUESTS = [
    Request(
        messages=(*BEGINNING, {"role": "user", "content": tiny_models.sums(n * 5)[0] * (1 + n % 3)}), max_tokens=12 + n
    )
    for n in range(9)
]


@pytest.fixture
def lengths(monkeypatch):
    """How many tokens each batch shared."""
    found: list[int] = []
    length = _shared.length
    monkeypatch.setattr(_shared, "length", lambda *given: found.append(length(*given)) or found[-1])
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_answers_are_those_of_prompts_read_one_by_one(name, lengths):
    folder = str(tiny_models.taught(name))
    one_by_one = open_engine(folder, dtype="float32", batch_rows=1).generate(REQUESTS)
    assert set(lengths) == {0}
    for rows in (3, 256):
        lengths.clear()
        assert open_engine(folder, dtype="float32", batch_rows=rows).generate(REQUESTS) == one_by_one
        # Gemma 3's window of 32 tokens would not hold them
        assert all(n == 0 if name == "gemma3" else n > 40 for n in lengths)


def test_copies_of_one_prompt_share_all_but_its_last_token(lengths):
    engine = open_engine(str(tiny_models.taught("qwen3")), dtype="float32")
    drawn = REQUESTS[0].model_copy(update={"n": 4, "temperature": 0.8})
    together = engine.generate([drawn])
    assert lengths == [len(engine._encode([drawn])[0]) - 1]
    engine.batch_rows = 1
    assert engine.generate([drawn]) == together


def test_a_window_holds_what_is_shared_or_nothing_is(monkeypatch):
    model = open_engine(str(tiny_models.taught("gemma3")), dtype="float32").model
    prompts = [[1] * 20 + [2], [1] * 20 + [3]]
    assert _shared.length(model, prompts, room=11) == 20 and _shared.length(model, prompts, room=12) == 0


def test_short_beginnings_are_read_with_their_prompts():
    model = open_engine(str(tiny_models.taught("qwen3")), dtype="float32").model
    assert _shared.length(model, [[1] * 15 + [2], [1] * 15 + [3]], 8) == 0
    assert _shared.length(model, [[1] * 16 + [2], [1] * 16 + [3]], 8) == 16
    assert _shared.length(model, [[1] * 16, [1] * 30], 8) == 0  # one token has to follow: 15 are left
    assert _shared.length(model, [[1] * 16 + [2] * 400, [1] * 16 + [3] * 400], 8) == 0
    assert _shared.length(model, [[1] * 99], 8) == 0


def test_a_model_that_keeps_no_keys_and_values_reads_prompts_whole(monkeypatch):
    engine = open_engine(str(tiny_models.taught("qwen3")), dtype="float32")
    expected = engine.generate(REQUESTS)
    monkeypatch.setattr(_shared, "DynamicCache", type("Other", (), {}))
    with torch.inference_mode():
        assert _shared.read(engine.model, [1, 2, 3], 2) is None
    assert engine.generate(REQUESTS) == expected
    with pytest.raises(InputError, match="Qwen3ForCausalLM: it keeps more than keys and values"):
        engine.likeliest(REQUESTS[0], [[1, 2], [3]], 8)
