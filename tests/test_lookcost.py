"""A look at a real model on a CPU has as many items as a tenth of the budget pays for, never fewer than 32."""

from __future__ import annotations

import pytest

from pipeline import lookcost
from pipeline.machine import Machine

ITEMS = [{"question": "x" * 900}] * 140
CPU = Machine(
    cores=2, memory_bytes=2**33, device="cpu", device_name="a test's", dtype="float32", threads=2,
    gflops={"matmul float32": 70.0, "matmul float32 2 threads": 140.0, "matvec float32": 20.0, "matmul bfloat16": 9e3},
)  # fmt: skip
SMALL = 134_515_008


def limit(seconds, parameters=SMALL, machine=CPU, items=ITEMS, max_tokens=192):
    return lookcost.affordable(machine, parameters, items, max_tokens, seconds)


def test_an_item_takes_two_operations_per_parameter_and_token():
    seconds = lookcost.item_seconds(CPU, SMALL, ITEMS, 192)
    tokens = 916 / lookcost.CHARACTERS + lookcost.DECODING * lookcost.ANSWER_TOKENS
    assert seconds == pytest.approx(2 * SMALL * tokens / (0.7 * 140e9), rel=0.01)


def test_short_budgets_look_at_fewer_items_and_long_ones_at_all():
    assert limit(60) == limit(400) == lookcost.LEAST_ITEMS
    assert lookcost.LEAST_ITEMS < limit(600) < limit(1200) < 140
    assert limit(3600) is None


@pytest.mark.parametrize(
    "how",
    [
        {"seconds": None},
        {"seconds": 60, "parameters": None},
        {"seconds": 60, "parameters": 300_000},
        {"seconds": 60, "machine": CPU.model_copy(update={"device": "cuda"})},
        {"seconds": 60, "machine": CPU.model_copy(update={"gflops": {}})},
        {"seconds": 60, "items": ITEMS[:20]},
        {"seconds": 60, "items": []},
    ],
)
def test_where_looking_is_cheap_or_nothing_is_known_all_items_count(how):
    assert limit(**how) is None
