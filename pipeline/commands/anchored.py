"""Base and instruct beside `evaluate`'s model: as they were measured before where nothing that decides differs."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.evaluate import Evaluation
    from pipeline.types import Benchmark, Judge

FEW_SHOT = "base_few_shot"
ANEW = "posttrain anchors --again measures anew"
Item = dict[str, Any]


class Anchors:
    """Anchors that `posttrain anchors`, a search or an earlier call kept; those that are missing are measured and kept.

    `names` are the models' by role (base, instruct). `told` collects what was taken: benchmark, anchor, measured_at.
    """

    def __init__(
        self, names: dict[str, str], protocol: str, split: str, lab_seed: int, limit: int | None, judge: Judge | None,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        from pipeline import protocols
        from pipeline.types import ItemsKey

        self.names, self.say = names, say
        self.asked: dict[str, Any] = {
            "protocol": protocols.address(protocol), "judge": judge, "role": split, "limit": limit,
            "key": ItemsKey(lab_seed=lab_seed),
        }  # fmt: skip
        self.told: list[dict[str, Any]] = []

    def score(
        self, benchmark: Benchmark, role: str, folder: Path, told: Callable[[float], None] = lambda share: None
    ) -> Evaluation | None:  # fmt: skip
        """The anchor's evaluation, kept or measured now; None if it cannot be kept, so that it is to be measured.

        `told` hears how far measuring is.
        """
        from pipeline import anchors, machine

        threads, job = machine.cached().threads, self._job(benchmark, role, folder)
        if job is None or anchors.place(job, threads) is None:
            return None
        measure = partial(_measure, told)
        found, items, was_kept = anchors.measured(job, self.names[role], threads, entry=measure, told=self.say)
        return self._taken(role, found, items) if was_kept else _evaluation(found, items)

    def few_shot(self, benchmark: Benchmark, folder: Path) -> Evaluation | None:
        """The base's after worked examples, if it was kept; it is not measured for this."""
        from pipeline import anchors, machine

        job = self._job(benchmark, "base", folder, benchmark.few_shot)
        kept = anchors.find(job, machine.cached().threads) if job is not None else None
        return self._taken(FEW_SHOT, *kept) if kept else None

    def _job(self, benchmark: Benchmark, role: str, folder: Path, few_shot: int = 0) -> Any:
        """What scores the anchor; None of a program's benchmark, or one that an option has decoded otherwise."""
        from pipeline import programs
        from pipeline.jobs import EvaluateJob

        _, _, part = benchmark.name.partition(":")
        address = f"{benchmark.folder}:{part}" if part else benchmark.folder
        if role not in self.names or benchmark.program is not None:
            return None
        if programs.benchmark(address, self.asked["protocol"]) != benchmark:
            return None
        return EvaluateJob(model_path=str(folder), benchmark=address, few_shot=few_shot, **self.asked)

    def _taken(self, role: str, found: Any, items: list[Item]) -> Evaluation:
        told = {"benchmark": found.score.benchmark, "anchor": role, "measured_at": found.measured_at}
        self.told.append(told)
        self.say(f"{told['benchmark']}: {role.replace('_', ' ')} as it was kept")
        return _evaluation(found, [_asked_before(item) for item in items])


def _measure(told: Callable[[float], None], folder: Path) -> None:
    """Score in this process: the caller has set its threads."""
    from pipeline import evaluate

    evaluate.main(folder, told)


def _evaluation(found: Any, items: list[Item]) -> Evaluation:
    from pipeline.evaluate import Evaluation

    return Evaluation(found.score, items, found.cost.eval_seconds)


def _asked_before(item: Item) -> Item:
    """A judged result whose verdicts cost nothing now."""
    answers = {"responses": [_asked_before(each) for each in item["responses"]]} if "responses" in item else {}
    if "asked" not in item:
        return item | answers
    return item | answers | {"asked": 0, "kept": item["asked"] + item["kept"], "dollars": 0.0}


def lines(told: list[dict[str, Any]], labels: dict[str, str]) -> list[str]:
    """Which anchors were kept, in words."""
    said = []
    for name in dict.fromkeys(each["benchmark"] for each in told):
        own = [each for each in told if each["benchmark"] == name]
        which = ", ".join(labels[each["anchor"]] for each in own)
        days = sorted({time.strftime("%Y-%m-%d", time.localtime(each["measured_at"])) for each in own})
        said.append(f"{name}: {which} as measured on {' and '.join(days)} and kept ({ANEW})")
    return said
