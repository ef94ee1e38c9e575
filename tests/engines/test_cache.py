"""Room to grow in changes nothing that attention sees."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer, StaticLayer

from pipeline.engines import _cache, _decode
from pipeline.engines.hf import open_engine
from pipeline.types import Request
from tests import tiny_models
from tests.tiny_models import FAMILIES


def states(rows: int, tokens: int, value: float) -> torch.Tensor:
    return torch.arange(rows * 2.0 * tokens * 3).reshape(rows, 2, tokens, 3) + value


steps = st.lists(st.one_of(st.integers(1, 40), st.sampled_from(["drop", "repeat"])), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(first=st.integers(1, 50), steps=steps, window=st.sampled_from([None, 2, 7, 33]))
def test_a_layer_with_room_holds_what_a_plain_one_holds(first, steps, window):
    plain = DynamicLayer() if window is None else DynamicSlidingWindowLayer(window)
    cache = DynamicCache()
    cache.layers = [DynamicLayer() if window is None else DynamicSlidingWindowLayer(window)]
    for layer in (plain, cache.layers[0]):
        layer.update(states(4, first, 0.25), states(4, first, 0.75))
    roomy = _cache.with_room(cache).layers[0]
    assert type(roomy) is _cache.ROOMY[type(plain)] and isinstance(roomy, type(plain))
    for number, step in enumerate(steps):
        rows = plain.keys.shape[0]
        if step == "drop" and rows > 1:
            for layer in (plain, roomy):
                layer.batch_select_indices(torch.arange(1, rows))
        elif step == "repeat" and rows < 9:
            for layer in (plain, roomy):
                layer.batch_repeat_interleave(2)
        elif isinstance(step, int):
            new = states(rows, step, number), states(rows, step, -number)
            for expected, found in zip(plain.update(*new), roomy.update(*new), strict=True):
                assert torch.equal(expected, found)
        assert torch.equal(plain.keys, roomy.keys) and torch.equal(plain.values, roomy.values)
        assert plain.get_seq_length() == roomy.get_seq_length()
        assert plain.get_mask_sizes(1) == roomy.get_mask_sizes(1)


def test_a_token_more_is_written_beside_the_others_and_moves_them_seldom():
    room, held, moves, memory = _cache._Room(), states(2, 100, 0.0), 0, None
    for number in range(400):
        held = room.joined(held, states(2, 1, number))
        moves += room.memory is not memory
        memory = room.memory
    assert held.shape[-2] == 500 and moves < 10
    assert torch.equal(held[:, :, -1:], states(2, 1, 399))


def test_layers_of_other_kinds_stay_as_they_are():
    cache = DynamicCache()
    cache.layers = [StaticLayer(8), DynamicLayer()]  # the second has seen nothing yet
    before = list(cache.layers)
    assert _cache.with_room(cache).layers == before
    assert _cache.with_room(None) is None


@pytest.mark.parametrize("name", FAMILIES)
def test_answers_are_those_of_a_cache_without_room(name, monkeypatch):
    questions = [tiny_models.sums(n)[0] * (1 + n % 3) for n in range(12)]
    requests = [
        Request(messages=({"role": "user", "content": question},), max_tokens=20 + 4 * n)
        for n, question in enumerate(questions)
    ]
    engine = open_engine(str(tiny_models.taught(name)), dtype="float32")
    with_room = engine.generate(requests)
    monkeypatch.setattr(_decode, "with_room", lambda cache: cache)
    assert engine.generate(requests) == with_room
