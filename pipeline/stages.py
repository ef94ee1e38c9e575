"""A recipe's stages, one after the other, up to a share of their full length; and on from where a trial stopped."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import plugins, weights
from pipeline.chat import base_of
from pipeline.data import Built
from pipeline.jobs import TrialJob
from pipeline.paths import read_json
from pipeline.training import CHECKPOINT, META, MODEL, TrainResult, TrainTask

STAGES = "stages"  # in a trial's folder, while it runs: the whole models that earlier stages leave to later ones
START = "start"  # in a checkpoint: the model that its stage began with, unless that is the recipe's own
FLOPS_PER_TOKEN = {"full": 6, "lora": 4}  # per parameter: forward 2, gradients of activations 2, of weights 2


@dataclass
class Stages:
    """The training of a trial; what it has cost stays known when a stage fails."""

    job: TrialJob
    folder: Path
    built: list[Built]
    results: dict[int, TrainResult] = field(default_factory=dict)
    seconds: float = 0.0
    begun: float = field(default_factory=time.monotonic)

    def run(self) -> str:
        """Train; the folder of what is to be scored. Raises what trainers raise."""
        self.begun = time.monotonic()
        try:
            return self._run()
        finally:
            self.seconds = time.monotonic() - self.begun
            shutil.rmtree(self.folder / STAGES, ignore_errors=True)

    def _run(self) -> str:
        resumed = Path(self.job.resume_from) if self.job.resume_from else None
        first = int(read_json(resumed / META)["stage"]) if resumed else 0
        model_path = str(resumed / START) if resumed and (resumed / START).is_dir() else self.job.model_path
        shares = list(self._shares(first))
        for index, share in shares:
            if index > first:
                if self._left() == 0.0:
                    break
                model_path = self._hand_on(index - 1)
            self._stage(index, share, model_path, resumed if index == first else None, index == shares[-1][0])
        return self._scored()

    def _stage(self, index: int, share: float, model_path: str, resume_from: Path | None, is_last: bool) -> None:
        task = self._task(index, model_path, share, resume_from, self.job.tail_limit if is_last else None)
        self.results[index] = plugins.entry("trainers", task.stage.trainer)(task)
        if model_path != self.job.model_path:
            shutil.copytree(model_path, self.folder / CHECKPOINT / START, copy_function=_link, dirs_exist_ok=True)

    def _task(
        self, index: int, model_path: str, share: float, resume_from: Path | None = None, tail_limit: int | None = None
    ) -> TrainTask:
        return TrainTask(
            model_path=model_path,
            stage=self.job.recipe.stages[index],
            built=self.built[index],
            seed=self.job.recipe.seed,
            folder=self.folder,
            fidelity=share,
            stage_index=index,
            resume_from=resume_from,
            limit_seconds=self._left(),
            tail_limit=tail_limit,
        )

    def _shares(self, first: int) -> Iterator[tuple[int, float]]:
        """Each stage from `first` on with the share of it that the trial's fidelity reaches into."""
        lengths = self.full_lengths()
        left = self.job.fidelity * sum(lengths)
        for index, length in enumerate(lengths):
            if index >= first and left > 0:
                yield index, min(1.0, left / length)
            left -= length

    def full_lengths(self) -> list[float]:
        """The full length of each stage in tokens; of a single stage any number will do."""
        if len(self.built) == 1:
            return [1.0]
        tasks = [self._task(index, self.job.model_path, 1.0) for index in range(len(self.built))]
        return [float(plugins.load("trainers", task.stage.trainer).full_tokens(task)) for task in tasks]

    def _left(self) -> float | None:
        """Seconds until the time limit; None without one."""
        limit = self.job.limit_seconds
        return None if limit is None else max(0.0, self.begun + limit - time.monotonic())

    def _hand_on(self, index: int) -> str:
        """What stage `index` scored, as a whole model for the next one to start from."""
        target = self.folder / STAGES / str(index)
        target.parent.mkdir(exist_ok=True)
        weights.export(self.folder / MODEL, target)
        shutil.rmtree(self.folder / MODEL)
        return str(target)

    def _scored(self) -> str:
        """The scored model's folder; an adapter on a stage's model is merged, because that model goes."""
        path = self.folder / MODEL
        base = base_of(path)
        if base is not None and base != Path(self.job.model_path):
            whole = path.with_name(f".{MODEL}.whole")
            weights.export(path, whole)
            shutil.rmtree(path)
            os.rename(whole, path)
        return str(path)

    # ------------------------------------------------------------ what it came to

    @property
    def tokens(self) -> int:
        """Trained on here, tails included."""
        return sum(result.tokens for result in self.results.values())

    @property
    def body_tokens(self) -> int:
        """Of the recipe so far, over all continuations, tails left out."""
        if not self.results:
            return 0
        before = 0 if min(self.results) == 0 else int(sum(self.full_lengths()[: min(self.results)]))
        return before + sum(result.body_tokens for result in self.results.values())

    @property
    def tail_steps(self) -> int | None:
        """Of the last stage's tail, if the time limit ended it early."""
        return self.results[max(self.results)].tail_steps if self.results else None

    @property
    def fidelity(self) -> float:
        """The share of the recipe's full length that has been trained."""
        if not self.results:
            return 0.0
        single = len(self.built) == 1
        full = self.results[0].full_tokens if single else sum(self.full_lengths())
        return min(1.0, self.body_tokens / full)

    @property
    def flops(self) -> float:
        """Roughly, for training: 6 per token and parameter, 4 if only an adapter learns."""
        total = 0.0
        for index, result in self.results.items():
            tuning = self.job.recipe.stages[index].params.get("tuning", "lora")
            total += FLOPS_PER_TOKEN[tuning] * result.parameters * result.tokens
        return total


def _link(source: str, target: str) -> None:
    """A second name for a file, or a copy where the file system has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
