"""How big the lab's models are and how long they learn: the full lab, and a micro lab of the same code for tests."""

from __future__ import annotations

import os

from pipeline.errors import InputError
from pipeline.types import Strict


class Scale(Strict):
    """Everything but family and seed that decides a lab."""

    name: str
    vocabulary: int = 1024
    hidden: int
    layers: int
    heads: int = 4
    key_value_heads: int = 2
    context: int = 512
    initial_std: float = 0.08  # of weights: at this width the usual 0.02 delays copying by hundreds of steps
    # pre-training: many small steps, because what has to emerge (copying) depends on steps more than on tokens
    passages: dict[str, int]  # raw passages per world
    block: int = 128  # tokens a row
    batch: int = 8  # rows a step
    steps: int
    learning_rate: float = 8e-3  # of embeddings and norms, by AdamW
    matrix_rate: float = 1e-2  # of the matrices between them, by Muon
    weight_decay: float = 0.05
    warmup: int = 100
    # the 'human team': full tuning on good rows of all tasks
    lessons: int  # rows per world
    lesson_tokens: int
    lesson_rate: float = 2e-3
    lesson_batch: int = 8
    threads: int = 2  # fixed: sums in another order would be other weights


THREE = Scale(
    name="three",
    hidden=64,
    layers=3,
    passages={"maths": 26_000, "calls": 36_000, "facts": 40_000},
    steps=3400,
    lessons=8000,
    lesson_tokens=1_500_000,
)
# All seven worlds: a longer way, and a larger vocabulary, so that the words of each are single tokens.
FULL = THREE.model_copy(
    update={
        "name": "full",
        "vocabulary": 1280,
        "passages": {
            "maths": 26_000, "calls": 36_000, "facts": 40_000, "contests": 18_000, "code": 18_000, "prose": 14_000,
            "health": 10_000,
        },
        "steps": 6000,
        "lesson_tokens": 3_000_000,
    }
)  # fmt: skip
MICRO = Scale(
    name="micro",
    hidden=32,
    layers=2,
    passages=dict.fromkeys(FULL.passages, 1500),
    steps=120,
    warmup=20,
    lessons=600,
    lesson_tokens=120_000,
    threads=1,
)


def scale() -> Scale:
    """The lab that POSTTRAIN_LAB asks for: `full` (default: all seven worlds), `three` (half as long) or `micro`."""
    scales = {each.name: each for each in (FULL, THREE, MICRO)}
    wanted = os.environ.get("POSTTRAIN_LAB") or FULL.name
    if wanted not in scales:
        raise InputError(f"POSTTRAIN_LAB={wanted}: known are {', '.join(scales)}; unset it for the full lab")
    return scales[wanted]
