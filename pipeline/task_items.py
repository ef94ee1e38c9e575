"""Items as lm-eval tasks want them: what the `utils.py` beside a task's YAML calls.

The scorer hands its own items over in the task's metadata. Without them (`lm_eval run --tasks evals/B/B.yaml`) the
benchmark's search items of lab seed 0 are used, or of `--metadata '{"lab_seed": 3}'`.
"""

from __future__ import annotations

import math
from typing import Any

from pipeline.types import ItemsKey

Item = dict[str, Any]


class Documents(list[Item]):
    """Items that lm-eval takes for a data set. Unlike one it keeps values as they are: columns need no common type."""

    @property
    def features(self) -> dict[str, None]:
        """The names of the first item's fields."""
        return dict.fromkeys(self[0]) if self else {}


def unjudged() -> dict[str, float]:
    """What a judged task's `process_results` gives: NaN. lm-eval alone has no judge; `pipeline.scorers.judge` has."""
    return {"strict": math.nan, "lenient": math.nan}


def splits(
    benchmark: str, items: list[Item] | None = None, shots: list[Item] | None = None, lab_seed: int = 0, **_: Any
) -> dict[str, Documents]:
    """The splits `test` (the items to score) and `fewshot` (examples, from a split of their own)."""
    if items is None:
        from pipeline import benchmarks

        loaded, key = benchmarks.load_benchmark(benchmark), ItemsKey(lab_seed=lab_seed)
        items = benchmarks.items(loaded, "search", key)
        shots = benchmarks.items(loaded, "fewshot", key, loaded.few_shot)
    return {"test": Documents(items), "fewshot": Documents(shots or [])}
