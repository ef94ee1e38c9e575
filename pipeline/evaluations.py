"""Scoring outside the budget: the anchors on the search split at the start, all on the final split at the end."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pipeline import anchors as kept_anchors
from pipeline.errors import InputError, PosttrainError
from pipeline.evaluate import Evaluated
from pipeline.flight import last_line, latest_progress
from pipeline.jobs import JOB, OUTCOME, EvaluateJob
from pipeline.judging import judge_for
from pipeline.opening import shared_seal
from pipeline.paths import read_json, write_json
from pipeline.types import Cost, Finished, ItemsKey, Job, Outcome, Score, Trial

if TYPE_CHECKING:
    from pipeline.session import Session

Role = Literal["search", "final"]
EVALUATE_CALL = "pipeline.evaluate.main"
TICK_SECONDS = 0.5  # how often a waiting session looks at its clock, its clients and its trials' progress
FIRST_SCORING = 1.1  # times the anchor nearest to a trained model: what scoring a first trial may take


class Model(NamedTuple):
    """A model to score: its folder, how many worked examples it is shown, and whose settings it is decoded under."""

    path: str
    few_shot: int = 0
    configured_as: str | None = None  # a model's folder; None: as the benchmark says


def anchors(session: Session) -> dict[str, Model]:
    """What results are compared with: the base, the base with examples, the instruct model if there is one."""
    request, shots = session.request, session.benchmark.few_shot
    found = {"base": Model(request.model_path)}
    if session.benchmark.program is None:  # a program prompts as it likes
        found["base_few_shot"] = Model(request.model_path, shots)
    return found | ({"instruct": Model(request.instruct_path)} if request.instruct_path else {})


def measure_anchors(session: Session) -> None:
    """Score the anchors on the search split, those that were not scored before, outside the budget."""
    done = {trial.id for trial in session.ledger.history() if trial.kind == "anchor" and trial.state == "scored"}
    wanted = {name: model for name, model in anchors(session).items() if name not in done}
    place, key = session.folder / "trials", session.request.key
    kept = take_kept(session, wanted, place, "search", key)
    for name, found in kept.items():
        session.ledger.append("started", trial=Trial(id=name, kind="anchor"), at=session.clock.now())
        _land_anchor(session, name, found.score, found.cost, ", as measured before")
        del wanted[name]
    if not wanted:
        # measuring would have waited for the workers, too: kept anchors must not make a search shorter
        if not session.executor.is_ready:
            with session.clock.outside("starting workers"):
                session.executor.get_ready()
        return
    with session.clock.outside("anchors"):
        for name in wanted:
            session.ledger.append("started", trial=Trial(id=name, kind="anchor"), at=session.clock.now())
        for name, score, cost in score_models(session, wanted, place, "search", key):
            _land_anchor(session, name, score, cost)


def _land_anchor(session: Session, name: str, score: Score, cost: Cost, whence: str = "") -> None:
    outcome = Outcome(scores=(score,), cost=cost)
    session.ledger.append("finished", trial=name, state="scored", outcome=outcome, at=session.clock.now())
    session.tell("anchor", f"{_said(name)} scores {score.value:.3f} on the search split{whence}")


def take_kept(
    session: Session, models: Mapping[str, Model], place: Path, role: Role, key: ItemsKey
) -> dict[str, kept_anchors.Kept]:
    """The anchors among `models` that were measured before, here or by another run: as if they had been scored now.

    The ledger notes which. See `pipeline.anchors` for what has to be the same.
    """
    found: dict[str, kept_anchors.Kept] = {}
    if not _keeps_anchors(session):
        return found
    for name, model in models.items():
        if name not in kept_anchors.ROLES:
            continue
        folder = Path(_job(session, name, model, place / name, role, key).folder)
        kept = kept_anchors.restore(folder, _place(session, folder))
        if kept is not None:
            found[name] = kept
    if found:
        measured_at = {name: kept.measured_at for name, kept in found.items()}
        session.note("anchors_kept", role=role, measured_at=measured_at, at=session.clock.now())
    return found


def anchor_seconds(history: Sequence[Trial]) -> list[float]:
    """What scoring a first trial may take, from the anchor nearest to a trained model, which ends its turns.

    That is the instruct model, or else the quickest; and a tenth more, for a trial writes its weights, too. More would
    end a search of one trial too early; less may cut that trial while it is scored, and leave the search with nothing.
    """
    took = {each.id: each.outcome.cost.seconds for each in history if each.kind == "anchor" and each.outcome}
    return [FIRST_SCORING * took.get("instruct", min(took.values()))] if took else []


def closing_seconds(history: Sequence[Trial]) -> float:
    """About what scoring the final models will take: as long as the anchors took, and one more like the slowest."""
    took = [trial.outcome.cost.seconds for trial in history if trial.kind == "anchor" and trial.outcome]
    return sum(took) + max(took, default=0.0)


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
    what = ", ".join(map(_said, models))
    session.tell("progress", f"scoring {what} on the {role} split")
    jobs = [_job(session, name, model, place / name, role, key) for name, model in models.items()]
    keepers = _keepers(session, jobs)
    for name, ended in run_jobs(session, jobs, lambda name: f"scoring {_said(name)} on the {role} split"):
        folder = place / name
        if ended.exit_code:
            why = last_line(folder / "log.txt") or ended.reason
            kind = PosttrainError if session.benchmark.program is None else InputError
            raise kind(f"{name} cannot be scored: {_bare(why)[:300]}; {folder / 'log.txt'} says more")
        if name in keepers:
            now_at = partial(_place, session, folder)
            kept_anchors.keep(folder, keepers[name], session.threads, _model_name(session, name), now_at)
        found = Evaluated.model_validate(read_json(folder / OUTCOME))
        yield name, found.score, found.cost


def _said(name: str) -> str:
    return name.replace("_", " ")


def _bare(last_line: str) -> str:
    """The last line of a log without the class of our own error that it begins with."""
    return re.sub(r"^pipeline\.errors\.\w+: ", "", last_line)


def _keepers(session: Session, jobs: Sequence[Job]) -> dict[str, Path | None]:
    """Where the anchors among jobs will be kept: told before they are scored, so that a model that changes is seen."""
    if not _keeps_anchors(session):
        return {}
    folders = [Path(job.folder) for job in jobs if Path(job.folder).name in kept_anchors.ROLES]
    return {each.name: _place(session, each) for each in folders}


def _place(session: Session, folder: Path) -> Path | None:
    """The file in which the anchor that is scored in `folder` is kept."""
    sealed = shared_seal(session.folder, session.request)
    elsewhere = session.request.executor != "local"
    return kept_anchors.place(kept_anchors.job_of(folder), session.threads, sealed, only_sealed=elsewhere)


def _keeps_anchors(session: Session) -> bool:
    """Only where this machine scores: another one's arithmetic may differ. Arms of a comparison share them anyway.

    What decides a program's score is not known, so that it is never kept.
    """
    if session.benchmark.program is not None:
        return False
    is_here_or_shared = session.request.executor == "local" or session.request.sealed_with is not None
    return session.request.keeps_anchors and is_here_or_shared


def _model_name(session: Session, anchor: str) -> str:
    return (session.request.instruct if anchor == "instruct" else session.request.model) or anchor


def run_jobs(
    session: Session, jobs: Sequence[Job], doing: Callable[[str], str] = str
) -> Iterator[tuple[str, Finished]]:  # fmt: skip
    """Run jobs in all slots; yields folder name and end of each. Clients are heard meanwhile; nothing is started.

    How far each is, as far as it tells, is told as what `doing` says of its name.
    """
    waiting, running = deque(jobs), dict[str, Job]()
    while waiting or running:
        while waiting and len(running) < session.request.slots:
            job = waiting.popleft()
            session.executor.start(job)
            running[job.id] = job
        ended = _next_end(session, running, doing)
        running.pop(ended.job, None)
        yield Path(ended.job).name, ended


def _next_end(session: Session, running: Mapping[str, Job], doing: Callable[[str], str]) -> Finished:
    before, session.is_scoring = session.is_scoring, True
    try:
        while True:
            session.attend_to_clients()
            began = session.clock.now()
            ended = session.executor.wait(TICK_SECONDS)
            if ended is None and session.clock.now() - began < TICK_SECONDS / 2:  # that was no waiting: nothing runs?
                ended = session.executor.wait()
                if ended is None:
                    raise PosttrainError("the executor lost a job: start the command again with --resume")
            if ended is not None:
                return ended
            for name, job in running.items():
                if (at := latest_progress(Path(job.folder))) is not None:
                    session.tell("progress", doing(Path(name).name), progress=at)
    finally:
        session.is_scoring = before


def _job(session: Session, name: str, model: Model, folder: Path, role: Role, key: ItemsKey) -> Job:
    folder.mkdir(parents=True, exist_ok=True)
    request, path = session.request, folder.absolute()
    job = EvaluateJob(
        model_path=model.path,
        benchmark=request.benchmark,
        protocol=request.protocol,
        role=role,
        key=key,
        few_shot=model.few_shot,
        configured_as=model.configured_as,
        judge=judge_for(request.judge, session.folder, role),
        program=request.program,
        limit=request.search_limit if role == "search" else request.final_limit,
    )
    write_json(folder / JOB, job, mode=0o600)  # it may hold the salt
    return Job(id=f"{role}/{name}", call=EVALUATE_CALL, folder=str(path), threads=session.threads)
