"""Published anchors: the scores in benchmark.yaml that others measured, as `Score`s marked `published`.

Their numbers come from other prompts, decoding and inference code. Beside a measured score they are something to look
at; in one fraction with it they are a mixture, which has to be asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from pipeline.errors import InputError
from pipeline.noise import binomial_error
from pipeline.types import Benchmark, Score

ROLES = ("base", "base_few_shot", "instruct")
FLAG = "--anchors published"
COVERED = "the interval covers the model's sampling noise and the published figures' binomial error"
DIFFER = "harnesses differ (prompts, decoding, inference code), and no interval covers that"


def scores(benchmark: Benchmark, base: str) -> dict[str, Score]:
    """The published anchors of a base model by role; empty where there are none."""
    known = benchmark.anchors.models.get(base) if benchmark.anchors else None
    values = known.model_dump() if known else {}
    return {role: _score(benchmark, values[role]) for role in ROLES if values.get(role) is not None}


def _score(benchmark: Benchmark, value: float) -> Score:
    n = benchmark.anchors.n if benchmark.anchors else None
    return Score(
        benchmark=benchmark.name,
        metric=benchmark.metric,
        value=value,
        stderr=binomial_error(value, n) if n else 0.0,
        n=n or 0,
        role="final",
        source="published",
    )


def with_error(score: Score) -> tuple[float, float]:
    """A score and its error: the binomial one where all items were alike, or one was scored, which is not certainty.
    A number that a user gave is exact; NaN where a program tells no error: nothing is computed of such a pair."""
    value, error = score.value, math.nan if score.stderr is None else score.stderr
    if error == 0.0 and score.n and score.source != "given":
        return value, binomial_error(value, score.n)
    return value, error


def require(
    benchmark: Benchmark, base: str, instruct: str | None = None, sibling: str | None = None
) -> dict[str, Score]:
    """The published anchors of a base model. Raises InputError where there are none, or for another instruct model.

    `sibling` is the instruct model that is known to belong to `base`, which the published score is of.
    """
    if benchmark.anchors is None:
        raise InputError(f"{FLAG}: nothing is published for benchmark '{benchmark.name}'; use --anchors measured")
    found = scores(benchmark, base)
    if not found:
        known = ", ".join(benchmark.anchors.models)
        raise InputError(f"{FLAG}: nothing is published for --base {base} on {benchmark.name}; published are {known}")
    if instruct is not None and sibling is not None and instruct != sibling:
        raise InputError(f"{FLAG}: the published instruct score beside {base} is {sibling}'s, not {instruct}'s")
    return found


def instead(error: InputError, loaded: Iterable[Benchmark], base: str | None) -> InputError:
    """A model that cannot be had, as an error that names the flag where published anchors could stand in for it."""
    if base is None or not all(scores(benchmark, base) for benchmark in loaded):
        return error
    return InputError(f"{error}. What was published of {base} is not used unasked, as {DIFFER}: {FLAG} accepts that")


def scope(benchmark: Benchmark, measured: Score) -> str | None:
    """What the published scores are of, if a measured one is of something else."""
    n = benchmark.anchors.n if benchmark.anchors else None
    if measured.role == "final" and measured.n == n:
        return None
    whole = f"{n} items of the whole test set" if n else "the whole test set"
    return f"published over {whole}, measured over {measured.n} of the {measured.role} split"


def explained(benchmark: Benchmark, measured: Score) -> list[str]:
    """What a reader must know of a model's fraction over published anchors, as lines."""
    anchors = benchmark.anchors
    assert anchors is not None
    of = scope(benchmark, measured)
    told = f"base and instruct are published, not measured: {anchors.source}. {anchors.note}".rstrip()
    return [f"{benchmark.name}: {line}" for line in (told, of) if line]


def is_mixed(parts: Iterable[Score]) -> bool:
    """Whether published and measured scores stand together; what a user gives as a number is their own to mix."""
    return len({score.source for score in parts} - {"given"}) > 1


def refuse_mixed(parts: Iterable[Score], told: bool) -> None:
    """Raises InputError where published and measured scores would give one fraction without being told to."""
    if is_mixed(parts) and not told:
        raise InputError(f"published and measured scores in one fraction: {DIFFER}; {FLAG} accepts that")
