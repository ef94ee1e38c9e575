"""The `utils.py` beside a benchmark's lm-eval task, for tests."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from types import ModuleType

from pipeline.paths import share


@lru_cache
def utils(benchmark: str) -> ModuleType:
    """The module of one of the benchmarks that ship."""
    spec = importlib.util.spec_from_file_location(f"{benchmark}_utils", share("evals") / benchmark / "utils.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def judged(benchmark: str, doc: dict, answer: str) -> tuple[float, float]:
    """What an answer is worth, strictly and leniently."""
    result = utils(benchmark).process_results(doc, [answer])
    return result["strict"], result["lenient"]
