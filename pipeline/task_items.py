"""Items as lm-eval tasks want them: what the `utils.py` beside a task's YAML calls.

The scorer hands its own items over in the task's metadata. Without them (`lm_eval run --include_path evals/B --tasks
B`) the benchmark's search items of lab seed 0 are used; `--metadata` may ask for another lab_seed, split or part.
"""

from __future__ import annotations

import math
from typing import Any, Literal

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
    benchmark: str, items: list[Item] | None = None, shots: list[Item] | None = None, lab_seed: int = 0,
    split: Literal["search", "final"] = "search", part: str = "", **_: Any,
) -> dict[str, Documents]:  # fmt: skip
    """The splits `test` (the items to score) and `fewshot` (examples, from a split of their own)."""
    if items is None:
        from pipeline import benchmarks

        loaded = benchmarks.load_benchmark(f"{benchmark}:{part}" if part else benchmark)
        key = ItemsKey(lab_seed=lab_seed)
        items = benchmarks.items(loaded, split, key)
        shots = benchmarks.items(loaded, "fewshot", key, loaded.few_shot)
    return {"test": Documents(items), "fewshot": Documents(shots or [])}
