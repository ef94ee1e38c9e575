"""Scoring outside the budget: the anchors on the search split at the start, all on the final split at the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pipeline.errors import PosttrainError
from pipeline.evaluate import Evaluated
from pipeline.flight import last_line
from pipeline.jobs import JOB, OUTCOME, EvaluateJob
from pipeline.judging import judge_for
from pipeline.paths import read_json, write_json
from pipeline.types import Cost, Finished, ItemsKey, Job, Outcome, Score, Trial

if TYPE_CHECKING:
    from pipeline.session import Session

Role = Literal["search", "final"]
EVALUATE_CALL = "pipeline.evaluate.main"


class Model(NamedTuple):
    """A model to score: its folder, and how many worked examples it is shown."""

    path: str
    few_shot: int = 0


def anchors(session: Session) -> dict[str, Model]:
    """What every result is compared with: the base, the base with examples, the instruct model if there is one."""
    request, shots = session.request, session.benchmark.few_shot
    found = {"base": Model(request.model_path), "base_few_shot": Model(request.model_path, shots)}
    return found | ({"instruct": Model(request.instruct_path)} if request.instruct_path else {})


def measure_anchors(session: Session) -> None:
    """Score the anchors on the search split, those that were not scored before, outside the budget."""
    done = {trial.id for trial in session.ledger.history() if trial.kind == "anchor" and trial.state == "scored"}
    wanted = {name: model for name, model in anchors(session).items() if name not in done}
    if not wanted:
        return
    with session.clock.outside("anchors"):
        for name in wanted:
            session.ledger.append("started", trial=Trial(id=name, kind="anchor"), at=session.clock.now())
        scored = score_models(session, wanted, session.folder / "trials", "search", session.request.key)
        for name, score, cost in scored:
            outcome = Outcome(scores=(score,), cost=cost)
            session.ledger.append("finished", trial=name, state="scored", outcome=outcome, at=session.clock.now())
            session.tell("anchor", f"{name.replace('_', ' ')} scores {score.value:.3f} on the search split")


def anchor_seconds(history: Sequence[Trial]) -> list[float]:
    """What scoring the quickest anchor took: the one that is nearest to a trained model, which ends its turns."""
    took = [trial.outcome.cost.seconds for trial in history if trial.kind == "anchor" and trial.outcome]
    return [min(took)] if took else []


def score_models(
    session: Session,
    models: Mapping[str, Model],
    place: Path,
    role: Role,
    key: ItemsKey,
) -> Iterator[tuple[str, Score, Cost]]:
    """Score several models, each in a job of its own in `place`/NAME; yields them as they are done.

    Raises PosttrainError if one cannot be scored: without its anchors a run would mean nothing.
    """
    what = ", ".join(name.replace("_", " ") for name in models)
    session.tell("progress", f"scoring {what} on the {role} split")
    jobs = [_job(session, name, model, place / name, role, key) for name, model in models.items()]
    for name, ended in run_jobs(session, jobs):
        folder = place / name
        if ended.exit_code:
            why = last_line(folder / "log.txt") or ended.reason
            raise PosttrainError(f"{name} cannot be scored: {why[:300]}; {folder / 'log.txt'} says more")
        found = Evaluated.model_validate(read_json(folder / OUTCOME))
        yield name, found.score, found.cost


def run_jobs(session: Session, jobs: Sequence[Job]) -> Iterator[tuple[str, Finished]]:
    """Run jobs in all slots; yields folder name and end of each."""
    waiting, running = deque(jobs), 0
    while waiting or running:
        while waiting and running < session.request.slots:
            session.executor.start(waiting.popleft())
            running += 1
        ended = session.executor.wait()
        if ended is None:
            raise PosttrainError("the executor lost a job: start the command again with --resume")
        running -= 1
        yield Path(ended.job).name, ended


def _job(session: Session, name: str, model: Model, folder: Path, role: Role, key: ItemsKey) -> Job:
    folder.mkdir(parents=True, exist_ok=True)
    request, path = session.request, folder.absolute()
    job = EvaluateJob(
        model_path=model.path,
        benchmark=request.benchmark,
        role=role,
        key=key,
        few_shot=model.few_shot,
        judge=judge_for(request.judge, session.folder, role),
        limit=request.search_limit if role == "search" else request.final_limit,
    )
    write_json(folder / JOB, job, mode=0o600)  # it may hold the salt
    return Job(id=f"{role}/{name}", call=EVALUATE_CALL, folder=str(path), threads=session.threads)
