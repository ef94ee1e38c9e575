"""Items as lm-eval tasks want them: what the `utils.py` beside a task's YAML calls.

The scorer hands its own items over in the task's metadata. Without them (`lm_eval run --include_path evals/B --tasks
B`) the benchmark's search items of lab seed 0 are used; `--metadata` may ask for another lab_seed, split or part.
"""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path
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


HOLE = re.compile(r"\{\{([^{}]+)\}\}|\{([^{}]+)\}")


def fill(template: str, row: dict[str, Any]) -> str:
    """A template with `{COLUMN}` replaced by the row's values; `{{x}}` writes {x}, other braces stay as they are."""

    def value(found: re.Match[str]) -> str:
        literal, name = found.groups()
        return f"{{{literal}}}" if literal else str(row[name]) if name in row else found[0]

    return HOLE.sub(value, template)


def holes(template: str) -> list[str]:
    """The names in a template's holes, in their order."""
    return list(dict.fromkeys(found[2] for found in HOLE.finditer(template) if found[2]))


def own_item(name: str, row: dict[str, Any], prompt: str, target_column: str) -> Item:
    """The item of a row of a user's own task: known by a hash of what is asked, the row itself under `row`.

    Its question is what the row puts into the prompt's holes: by that it is looked for in training data.
    """
    question = "\n".join(str(row[column]) for column in holes(prompt) if column in row)
    answer = str(row[target_column])
    place = hashlib.sha256(question.strip().encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return {"id": f"{name}-{place}", "question": question, "answer": answer, "row": row}


def splits(
    benchmark: str | Path, items: list[Item] | None = None, shots: list[Item] | None = None, lab_seed: int = 0,
    split: Literal["search", "final"] = "search", part: str = "", **_: Any,
) -> dict[str, Documents]:  # fmt: skip
    """The splits `test` (the items to score) and `fewshot` (examples, from a split of their own)."""
    if items is None:
        from pipeline import benchmarks

        loaded = benchmarks.load_benchmark(f"{benchmark}:{part}" if part else str(benchmark))
        key = ItemsKey(lab_seed=lab_seed)
        items = benchmarks.items(loaded, split, key)
        shots = benchmarks.items(loaded, "fewshot", key, loaded.few_shot)
    return {"test": Documents(items), "fewshot": Documents(shots or [])}
