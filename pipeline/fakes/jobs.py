"""Fake jobs: they train by arithmetic, and their items pair with those of every other fake model."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pipeline import plugins, programs
from pipeline import submission as submissions
from pipeline.errors import ProgramError
from pipeline.evaluate import Evaluated, Evaluation
from pipeline.jobs import ITEMS, JOB, OUTCOME, EvaluateJob, SubmissionJob, TrialJob
from pipeline.paths import digest, read_json, read_jsonl, write_json, write_jsonl
from pipeline.stopping import Stopping
from pipeline.training import CHECKPOINT, MODEL, PROGRESS
from pipeline.types import Cost, ItemsKey, Outcome, Recipe, Score

Role = Literal["search", "final"]

FULL_TOKENS = 1000  # of a recipe at full length
N_ITEMS = 200
BEST_RATE, DIVERGING_RATE = 2e-3, 1.5e-2
BASE_SCORE, FEW_SHOT_SCORE, INSTRUCT_SCORE, CEILING = 0.05, 0.2, 0.9, 0.95
MARK = "fake.json"  # makes a folder a fake model: {"score": ..}


def train_seconds() -> float:
    """Seconds that training at full length takes; evaluating takes a fifth of it."""
    return float(os.environ.get("POSTTRAIN_FAKE_SECONDS", "1.0"))


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


def seconds(outcome: Path) -> float:
    """What a job says that it took; an export says nothing."""
    return float(read_json(outcome)["cost"]["seconds"]) if outcome.exists() else 0.0


def _unit(name: str) -> float:
    """A number in [0, 1) that belongs to a name."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32
