"""One trial in a process of its own: rows, guards, training, the search score. A failure is a result, too."""

from __future__ import annotations

import time
import traceback
from pathlib import Path
from typing import Any

from pipeline import benchmarks, data, plugins, programs, scoring_progress
from pipeline.errors import DataError, PosttrainError
from pipeline.evaluate import Evaluation, evaluate
from pipeline.inspection import inspected
from pipeline.jobs import ITEMS, JOB, OUTCOME, TrialJob
from pipeline.keeping import DOES_NOT_STOP
from pipeline.paths import read_json, write_json, write_jsonl
from pipeline.stages import Stages
from pipeline.stopping import Stopping, examine
from pipeline.training import CHECKPOINT
from pipeline.types import Benchmark, Cost, Outcome, Verdict


def main(folder: str | Path) -> None:
    """Read job.json, write outcome.json. A trial that fails has an outcome with its error and its cost."""
    folder = Path(folder)
    trial = TrialRun(TrialJob.model_validate(read_json(folder / JOB)), folder)
    try:
        trial.run()
    except PosttrainError as error:
        trial.error = str(error)
    except Exception as error:  # whatever it is, the search goes on; the traceback is in the trial's log
        traceback.print_exc()
        trial.error = " ".join([f"{type(error).__name__}:", *str(error).split()])[:300]
    write_json(folder / OUTCOME, trial.outcome())


class TrialRun:
    """A trial, and what has come of it so far."""

    def __init__(self, job: TrialJob, folder: Path) -> None:
        self.job, self.folder = job, folder
        self.begun = time.monotonic()
        self.waited = max(0.0, time.time() - job.proposed_at) if job.proposed_at else 0.0  # for this process
        self.verdicts: list[Verdict] = []
        self.stamps: dict[str, Any] = {}  # of the sources, as the guards saw them
        self.built: list[data.Built] = []
        self.stages: Stages | None = None
        self.evaluation: Evaluation | None = None
        self.stopping: Stopping | None = None
        self.error: str | None = None

    def run(self) -> None:
        """The trial's story. Raises what its parts raise."""
        job = self.job
        benchmark = programs.benchmark(job.benchmark, job.protocol, job.program)
        self._ask_guards(benchmark)
        refused = [verdict for verdict in self.verdicts if not verdict.ok]
        if refused:
            self.error = refused[0].reason
            return
        items = benchmarks.items(benchmark, "search", job.key)
        self.built = [data.build(stage, job.key, items, job.recipe.seed) for stage in job.recipe.stages]
        self._check_stamps()
        self.stages = Stages(self._in_time(), self.folder, self.built)
        self._score(self.stages.run(), benchmark)

    def _in_time(self) -> TrialJob:
        """The job, its time limit less what went before: workers' imports, and rows read for the first time."""
        limit, gone = self.job.limit_seconds, self.waited + time.monotonic() - self.begun
        return self.job.model_copy(update={"limit_seconds": None if limit is None else max(0.0, limit - gone)})

    def _ask_guards(self, benchmark: Benchmark) -> None:
        """Every source that is used, before a row of it is; of the good verdicts one per guard is kept."""
        guards = {name: plugins.load("guards", name) for name in self.job.guards}
        names = dict.fromkeys(ref.name for stage in self.job.recipe.stages for ref in stage.data if ref.weight > 0)
        looked = {name: inspected(name, self.job.key, benchmark, guards) for name in names}
        self.stamps = {name: each.stamp for name, each in looked.items()}
        found = [verdict for each in looked.values() for verdict in each.verdicts]
        refused = [verdict for verdict in found if not verdict.ok]
        good = {verdict.guard: verdict for verdict in found if verdict.ok}
        self.verdicts = refused or list(good.values())

    def _check_stamps(self) -> None:
        """Raises DataError where a source's rows are not those that the guards have seen."""
        for name, stamp in (pair for built in self.built for pair in built.stamps.items()):
            if stamp != self.stamps.get(name):
                raise DataError(f"{name}: was changed after the guards had looked at it: leave its files alone")

    def _score(self, model_path: str, benchmark: Benchmark) -> None:
        wanted = benchmark.program is None
        items = benchmarks.items(benchmark, "search", self.job.key, self.job.search_limit) if wanted else []
        with scoring_progress.Teller(self.folder) as told:
            self.evaluation = evaluate(
                model_path, benchmark, items, "search", key=self.job.key, judge=self.job.judge, told=told
            )
        if not self.evaluation.items:  # a program's, which tells none
            return
        write_jsonl(self.folder / ITEMS, self.evaluation.items)
        self.stopping = examine(model_path, benchmark, self.job.key, self.evaluation)

    def outcome(self) -> Outcome:
        """The trial as the ledger keeps it."""
        stages, score = self.stages, self.evaluation.score if self.evaluation else None
        results = [stages.results[index] for index in sorted(stages.results)] if stages else []
        labels, reasons = [], {}
        if self.stopping is not None and not self.stopping.suffices:
            labels.append(DOES_NOT_STOP)
            reasons[DOES_NOT_STOP] = self.stopping.why
        if any(result.cut_short for result in results):
            labels.append("cut short")
        remarks = {label: reason for result in results for label, reason in result.remarks.items()}
        return Outcome(
            scores=(score,) if score else (),
            verdicts=tuple(self.verdicts),
            cost=self._cost(),
            error=self.error,
            fidelity=stages.fidelity if stages else 0.0,
            tokens=stages.body_tokens if stages else 0,
            final_loss=results[-1].final_loss if results else None,
            labels=(*labels, *remarks),
            tail_steps=stages.tail_steps if stages else None,
            reasons=reasons | remarks,
            resumable=(self.folder / CHECKPOINT).is_dir(),
            first_step_seconds=self._first_step_seconds(),
            data={"stages": [built.summary() for built in self.built]},
        )

    def _cost(self) -> Cost:
        return Cost(
            seconds=time.monotonic() - self.begun,
            train_seconds=self.stages.seconds if self.stages else 0.0,
            eval_seconds=sum(each.seconds for each in (self.evaluation, self.stopping) if each),
            tokens=self.stages.tokens if self.stages else 0,
            flops=self.stages.flops if self.stages else 0.0,
            dollars=self.evaluation.dollars if self.evaluation else 0.0,
        )

    def _first_step_seconds(self) -> float | None:
        """From the proposal to the end of the first training step."""
        if self.stages is None or not self.job.proposed_at:
            return None
        ends = [result.first_step_at for result in self.stages.results.values() if result.first_step_at]
        return min(ends) - self.job.proposed_at if ends else None
