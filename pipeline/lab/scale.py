"""How big the lab's models are, what and how long they learn: full labs, and micro labs of the same code for tests."""

from __future__ import annotations

import os

from pipeline.errors import InputError, unknown
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


# Two labs a family, each of worlds that its base learns within minutes: of all seven in one, some are not learnt.
THREE = Scale(
    name="three",
    hidden=64,
    layers=3,
    passages={"maths": 26_000, "calls": 36_000, "facts": 40_000},
    steps=3400,
    lessons=8000,
    lesson_tokens=1_500_000,
)
FOUR = THREE.model_copy(
    update={
        "name": "four",
        "passages": {"maths": 14_000, "contests": 28_000, "code": 12_000, "prose": 12_000, "health": 8_000},
        "steps": 4000,
        "lesson_tokens": 2_000_000,
    }
)


def _micro(scale: Scale) -> Scale:
    """The same lab in seconds, for tests: its models can do nothing."""
    small = {
        "name": f"micro-{scale.name}", "hidden": 32, "layers": 2, "passages": dict.fromkeys(scale.passages, 800),
        "steps": 60, "warmup": 10, "lessons": 400, "lesson_tokens": 60_000, "threads": 1,
    }  # fmt: skip
    return scale.model_copy(update=small)


SIZES = {
    "full": {each.name: each for each in (THREE, FOUR)},
    "micro": {each.name: _micro(each) for each in (THREE, FOUR)},
}


def labs() -> dict[str, Scale]:
    """The labs of a family by name, of the size that POSTTRAIN_LAB asks for: `full` (default) or `micro`."""
    wanted = os.environ.get("POSTTRAIN_LAB") or "full"
    if wanted not in SIZES:
        raise InputError(f"POSTTRAIN_LAB={wanted}: known are {', '.join(SIZES)}; unset it for the full lab")
    return SIZES[wanted]


def scale(name: str = THREE.name) -> Scale:
    """One of `labs`; the error lists them."""
    known = labs()
    if name not in known:
        raise unknown("lab", name, list(known))
    return known[name]


def teaching(world: str | None) -> str:
    """The name of the first lab that is taught a world; the first lab for what no lab is taught."""
    return next((name for name, each in labs().items() if world in each.passages), THREE.name)
