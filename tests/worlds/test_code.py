"""The tests of generated functions: they pass the right one, and nothing that ever differs from it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from pipeline import worlds
from pipeline.worlds.code import CARELESS, LISTS, checks, result, written

Steps = list[tuple[str, int]]
ITEMS = worlds.get("code").items(3, "search", 200)
NUMBERS = [*range(-200, 200), 999, -999]
SERIES = [[], [1], [2, 1], [1, 2], [3, 3, 1], [5, 4, 9, 1], [60, 2, 30, 7, 7, 11, 0, -3], list(range(9, 0, -1))]


def passes(item: dict, candidate: Callable[[Any], Any]) -> bool:
    space: dict[str, Any] = {}
    exec(checks(item), space)
    try:
        space["check"](candidate)
    except AssertionError:
        return False
    return True


def slips(steps: Steps) -> list[Steps]:
    """One step left out, off by one, taken for another, or two steps in the other order."""
    found = [[*steps[:at], *steps[at + 1 :]] for at in range(len(steps))]
    for at, (name, n) in enumerate(steps):
        others = [(name, n + 1), (name, n - 1), (CARELESS.get(name, name), n)]
        found += [[*steps[:at], other, *steps[at + 1 :]] for other in others]
    found += [[*steps[:at], steps[at + 1], steps[at], *steps[at + 2 :]] for at in range(len(steps) - 1)]
    return found


def test_the_right_function_passes_and_every_slip_that_ever_shows_fails() -> None:
    failed = 0
    for item in ITEMS:
        arguments = SERIES if item["variable"] in LISTS else NUMBERS
        right = [result(item["steps"], argument) for argument in arguments]
        assert passes(item, partial(result, item["steps"]))
        for steps in slips(item["steps"]):
            if [result(steps, argument) for argument in arguments] != right:
                failed += 1
                assert not passes(item, partial(result, steps)), (item["steps"], steps)
    assert failed > 1000


@pytest.mark.parametrize("comments", [True, False])
def test_the_written_function_does_what_its_steps_do(comments: bool) -> None:
    for item in ITEMS[:60]:
        space: dict[str, Any] = {}
        exec(written(item, comments), space)
        assert passes(item, space[item["entry"]])
