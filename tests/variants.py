"""Parametrised tests whose first cases run every time and whose others only with `scripts/test --full`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def few(cases: Iterable[Any], everyday: int) -> list[Any]:
    """The cases, all but the first `everyday` of them marked slow."""
    listed = list(cases)
    rest = [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
        for case in listed[everyday:]
    ]
    return [*listed[:everyday], *rest]
