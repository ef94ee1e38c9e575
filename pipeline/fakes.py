"""Stand-ins that ship, for tests of this project and of its users: no model, no torch, no waiting.

A fake trial "trains" by arithmetic: its score is a fixed function of its recipe and fidelity, its items pair with
those of every other fake model, and it costs seconds of a clock that the test turns. `FakeExecutor` runs such jobs in
this process; as `--executor pipeline.fakes` they run in real processes and real time.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pipeline import plugins, programs
from pipeline import submission as submissions
from pipeline.contracts import Executor
from pipeline.errors import ProgramError
from pipeline.evaluate import Evaluated, Evaluation
from pipeline.jobs import ITEMS, JOB, OUTCOME, EvaluateJob, SubmissionJob, TrialJob
from pipeline.paths import digest, read_json, read_jsonl, write_json, write_jsonl
from pipeline.request import RunRequest
from pipeline.stopping import Stopping
from pipeline.training import CHECKPOINT, MODEL, PROGRESS
from pipeline.types import (
    Budget,
    Cost,
    DataRef,
    Finished,
    ItemsKey,
    Job,
    Outcome,
    Proposal,
    Recipe,
    Score,
    Stage,
    Trial,
)

Role = Literal["search", "final"]

FULL_TOKENS = 1000  # of a recipe at full length
N_ITEMS = 200
BEST_RATE, DIVERGING_RATE = 2e-3, 1.5e-2
BASE_SCORE, FEW_SHOT_SCORE, INSTRUCT_SCORE, CEILING = 0.05, 0.2, 0.9, 0.95
MARK = "fake.json"  # makes a folder a fake model: {"score": ..}


def train_seconds() -> float:
    """Seconds that training at full length takes; evaluating takes a fifth of it."""
    return float(os.environ.get("POSTTRAIN_FAKE_SECONDS", "1.0"))


# ---------------------------------------------------------------- a clock, an agent, a run


class FakeTime:
    """A clock that only moves when it is told to; it starts at the present, so that it agrees with files' times."""

    def __init__(self) -> None:
        self.seconds = time.time()

    def __call__(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> None:
        """Let `seconds` go by."""
        self.seconds += seconds


class ScriptedAgent:
    """Proposes what it was given, one after the other, then nothing. Like all agents it reads its place in history."""

    def __init__(self, *proposals: Proposal) -> None:
        self.proposals = proposals

    def propose(self, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
        """The proposal after those that history holds."""
        tried = sum(trial.kind == "recipe" for trial in history)
        return self.proposals[tried] if tried < len(self.proposals) else None


def fake_model(folder: Path, score: float) -> Path:
    """A model folder whose every evaluation gives `score`, which is all that its weights hold."""
    write_json(folder / MARK, {"score": score})
    (folder / "model.safetensors").write_bytes(_weights(score))
    return folder


def _weights(score: float) -> bytes:
    """A safetensors file of one tensor, the score's digits, so that it is text as well."""
    digits = f"{score!r:24}".encode()
    header = json.dumps({"w": {"dtype": "U8", "shape": [len(digits)], "data_offsets": [0, len(digits)]}}).encode()
    return len(header).to_bytes(8, "little") + header + digits


def fake_request(place: Path, **changes: Any) -> RunRequest:
    """A request that opens anywhere: fake base and instruct models in `place`, tiny_gsm8k, one stage, three sources."""
    recipe = Recipe(
        model="fake/base",
        stages=(Stage(data=(DataRef(name="maths_1"), DataRef(name="maths_2")), params={"tokens": FULL_TOKENS}),),
    )
    standard: dict[str, Any] = {
        "model": "fake/base",
        "model_path": str(fake_model(place / "base", BASE_SCORE)),
        "instruct": "fake/instruct",
        "instruct_path": str(fake_model(place / "instruct", INSTRUCT_SCORE)),
        "benchmark": "tiny_gsm8k",
        "agent": "scripted",
        "budget": Budget(seconds=100.0),
        "recipe": recipe,
        "sources": ("maths_1", "maths_2", "maths_3"),
        "threads": 1,
        "keeps_anchors": False,
    }
    return RunRequest.model_validate(standard | changes)


# ---------------------------------------------------------------- job entries


def trial(folder: Path) -> None:
    """In place of `pipeline.trial.main`: the same files, instantly."""
    _trial(folder, lambda seconds: None)


def trial_in_real_time(folder: Path) -> None:
    """The same, taking as long as it says."""
    _trial(folder, time.sleep)


def evaluate(folder: Path) -> None:
    """In place of `pipeline.evaluate.main`: a fake model's score, on the split that job.json names."""
    job = EvaluateJob.model_validate(read_json(folder / JOB))
    known = read_json(Path(job.model_path) / MARK)["score"]
    value = max(known, FEW_SHOT_SCORE) if job.few_shot else known
    score = _by_program(job, Path(job.model_path), job.role)
    score = score or _score_items(folder / ITEMS, value, job.role, job.key, job.limit)
    seconds = 0.2 * train_seconds()
    write_json(folder / OUTCOME, Evaluated(score=score, cost=Cost(seconds=seconds, eval_seconds=seconds)))


def off_target(folder: Path) -> None:
    """In place of `pipeline.offtarget.main`: the same score, and answers that are likelier the better the model is."""
    evaluate(folder)
    value = read_json(Path(read_json(folder / JOB)["model_path"]) / MARK)["score"]
    rows = [{**row, "bits": 40.0 * (1.0 - value), "bytes": 10} for row in read_jsonl(folder / ITEMS)]
    write_jsonl(folder / ITEMS, rows)


def export(folder: Path) -> None:
    """In place of `pipeline.export.main`: the model's folder, copied."""
    job = read_json(folder / JOB)
    shutil.copytree(job["model_path"], job["target"])


def submission(folder: Path) -> None:
    """In place of `pipeline.submission.main`: the same, but for the evaluation."""
    submissions.score(folder, _fake_evaluation)
    found = read_json(folder / OUTCOME)  # it took no time here
    write_json(folder / OUTCOME, found | {"cost": found["cost"] | {"seconds": found["cost"]["eval_seconds"]}})


def _fake_evaluation(job: SubmissionJob, model: Path) -> tuple[Evaluation, Stopping]:
    items, known = model.parent / ITEMS, read_json(model / MARK)["score"]
    score = _score_items(items, known, "search", job.key, job.search_limit)
    found = Evaluation(score, read_jsonl(items), 0.2 * train_seconds())
    return found, Stopping(share=1.0, answers=len(found.items))


def quality(recipe: Recipe, fidelity: float) -> float:
    """A recipe's true score: best at one learning rate, on some sources, and with more tokens."""
    stage = recipe.stages[-1]
    rate = math.exp(-abs(math.log(stage.params["learning_rate"] / BEST_RATE)) / 2)
    weights = {reference.name: reference.weight for reference in stage.data}
    good = sum(weight * (0.4 + 0.6 * _unit(name)) for name, weight in weights.items()) / sum(weights.values())
    return BASE_SCORE + (CEILING - BASE_SCORE) * rate * good * (1 - math.exp(-4 * fidelity))


def _trial(folder: Path, sleep: Callable[[float], None]) -> None:
    job, full = TrialJob.model_validate(read_json(folder / JOB)), train_seconds()
    begun = read_json(Path(job.resume_from) / MARK)["fidelity"] if job.resume_from else 0.0
    limit = math.inf if job.limit_seconds is None else job.limit_seconds
    reached = min(job.fidelity, begun + limit / full) if full else job.fidelity
    _train(folder, (reached - begun) * full, sleep)
    cost = Cost(
        seconds=(reached - begun) * full,
        train_seconds=(reached - begun) * full,
        tokens=round((reached - begun) * FULL_TOKENS),
    )
    if job.recipe.stages[-1].params["learning_rate"] >= DIVERGING_RATE:
        write_json(folder / OUTCOME, Outcome(error="the loss became NaN: lower the learning rate", cost=cost))
        return
    write_json(folder / CHECKPOINT / MARK, {"fidelity": reached})
    sleep(0.2 * full)
    value = quality(job.recipe, reached)
    made, config = fake_model(folder / MODEL, value), Path(job.model_path) / "config.json"
    if config.is_file():
        shutil.copyfile(config, made / config.name)
    try:
        score = _by_program(job, made, "search")
    except ProgramError as error:
        write_json(folder / OUTCOME, Outcome(error=str(error), cost=cost, fidelity=reached))
        return
    score = score or _score_items(folder / ITEMS, value, "search", job.key, job.search_limit)
    outcome = Outcome(
        scores=(score,),
        cost=cost.model_copy(update={"seconds": cost.seconds + 0.2 * full, "eval_seconds": 0.2 * full}),
        fidelity=reached,
        tokens=round(reached * FULL_TOKENS),
        labels=("cut short",) if reached < job.fidelity else (),
        resumable=True,
    )
    write_json(folder / OUTCOME, outcome)


def _train(folder: Path, seconds: float, sleep: Callable[[float], None], steps: int = 10) -> None:
    for step in range(1, steps + 1):
        sleep(seconds / steps)
        line = {"stage": 0, "step": step, "steps": steps, "loss": 1.0 / step, "seconds": seconds * step / steps}
        with (folder / PROGRESS).open("a") as file:
            file.write(json.dumps(line) + "\n")


def _by_program(job: TrialJob | EvaluateJob, model: Path, role: Role) -> Score | None:
    """What a user's program, a real one, says of a fake model; None where none scores."""
    benchmark = programs.benchmark(job.benchmark, job.protocol, job.program)
    if benchmark.program is None:
        return None
    score: Score = plugins.entry("scorers", "program")(model, benchmark, role)
    return score


def _score_items(path: Path, value: float, role: Role, key: ItemsKey, limit: int | None) -> Score:
    """Write per-item results: an item is right if it is easier than the model is good, so that models pair."""
    ids = [digest([role, key.lab_seed, key.salt, number]) for number in range(limit or N_ITEMS)]
    right = [float(_unit(identity) < value) for identity in ids]
    rows = zip(ids, right, strict=True)
    write_jsonl(path, [{"id": name, "strict": got, "lenient": got, "stopped": True} for name, got in rows])
    mean = sum(right) / len(right)
    return Score(
        benchmark="tiny_gsm8k",
        metric="exact match",
        value=mean,
        stderr=math.sqrt(mean * (1 - mean) / len(right)),
        n=len(right),
        role=role,
        lenient=mean,
        stops=1.0,
    )


def _seconds(outcome: Path) -> float:
    """What a job says that it took; an export says nothing."""
    return float(read_json(outcome)["cost"]["seconds"]) if outcome.exists() else 0.0


def _unit(name: str) -> float:
    """A number in [0, 1) that belongs to a name."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32


# ---------------------------------------------------------------- executors


INSTEAD = {
    "pipeline.trial.main": "trial",
    "pipeline.evaluate.main": "evaluate",
    "pipeline.export.main": "export",
    "pipeline.submission.main": "submission",
    "pipeline.offtarget.main": "off_target",
}


class _Running(NamedTuple):
    ends_at: float
    finished: Finished
    folder: Path


class FakeExecutor:
    """Runs fake jobs in this process. Each lasts as long as it says that it cost, on a clock that waiting turns."""

    def __init__(self, slots: int = 1, now: FakeTime | None = None, import_seconds: float = 0.0) -> None:
        self.slots, self.now, self.import_seconds = slots, now or FakeTime(), import_seconds
        self.running: dict[str, _Running] = {}
        self.started: list[Job] = []

    @property
    def is_ready(self) -> bool:
        """Whether the imports are done."""
        return not self.import_seconds

    def get_ready(self) -> None:
        """Let the seconds go by that workers need for their imports."""
        self.now.pass_(self.import_seconds)
        self.import_seconds = 0.0

    def start(self, job: Job) -> None:
        """Do the job's work at once; its end is told when its time has passed."""
        self.started.append(job)
        folder, code = Path(job.folder), 0
        try:
            globals()[INSTEAD[job.call]](folder)
            seconds = _seconds(folder / OUTCOME)
        except Exception:
            (folder / "log.txt").write_text(traceback.format_exc())
            code, seconds = 1, 0.0
        reason = "ended with exit code 1" if code else ""
        self.running[job.id] = _Running(
            self.now() + seconds, Finished(job=job.id, exit_code=code, reason=reason), folder
        )

    def wait(self, timeout: float | None = None) -> Finished | None:
        """The job that ends next, if it does so before the timeout; the clock is then at its end."""
        if not self.running:
            return None
        job_id = min(self.running, key=lambda name: self.running[name].ends_at)
        left = self.running[job_id].ends_at - self.now()
        if timeout is not None and left > timeout:
            self.now.pass_(timeout)
            return None
        self.now.pass_(max(0.0, left))
        return self.running.pop(job_id).finished

    def cancel(self, job_id: str) -> None:
        """End a job now, without its outcome."""
        if job_id in self.running:
            folder = self.running[job_id].folder
            (folder / OUTCOME).unlink(missing_ok=True)
            finished = Finished(job=job_id, exit_code=-9, reason="cancelled")
            self.running[job_id] = _Running(self.now(), finished, folder)

    def close(self) -> None:
        """Forget what runs, as a kill would."""
        for job_id in list(self.running):
            self.cancel(job_id)
        self.running.clear()


class _Rewired:
    """Another executor that is given fake jobs instead of real ones."""

    def __init__(self, inner: Executor) -> None:
        self.inner, self.slots = inner, inner.slots
        self.get_ready, self.wait, self.cancel, self.close = inner.get_ready, inner.wait, inner.cancel, inner.close

    @property
    def is_ready(self) -> bool:
        return self.inner.is_ready

    def start(self, job: Job) -> None:
        call = INSTEAD[job.call].replace("trial", "trial_in_real_time")
        self.inner.start(job.model_copy(update={"call": f"pipeline.fakes.{call}"}))


def create(slots: int = 1, threads: int = 1) -> Executor:
    """Fake jobs in real processes and real time: `--executor pipeline.fakes`."""
    from pipeline.executors import local

    return _Rewired(local.create(slots, threads, warm=("pipeline.fakes",)))


def instant(slots: int = 1, threads: int = 1) -> Executor:
    """Fake jobs in this process, which take no time: `--executor pipeline.fakes:instant`."""
    return FakeExecutor(slots)
