"""The end of a run: one trial is chosen, scored once on the final split, checked, and written out with the report."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import decoding, export, flight, published, report, sideeffects, unpaired
from pipeline.errors import InputError, PosttrainError
from pipeline.evaluations import Model, anchors, measure_anchors, run_jobs, score_models, take_kept
from pipeline.keeping import stops
from pipeline.noise import Candidate, Choice, choose
from pipeline.opening import SEALED, sealed_key
from pipeline.paths import write_atomic, write_json
from pipeline.training import MODEL
from pipeline.types import Cost, Job, Score, Trial, Verdict

if TYPE_CHECKING:
    from pipeline.session import Session

FINAL_MODEL, AS_CONFIGURED = "final_model", "base_as_configured"


def finish(session: Session) -> dict[str, Any]:
    """See `Session.finish`."""
    measure_anchors(session)  # a run without a single step still has them
    for trial_id in list(session.flights):
        session.cancel(trial_id)
    while session.wait():
        pass
    session.clock.stop()
    choice = choose_best(session)
    session.ledger.append("chosen", **choice.model_dump(), at=session.clock.now())
    session.tell("final", f"chosen: {choice.trial or 'the base'} ({choice.why})")
    with session.clock.outside("final scoring"):
        score_final(session, choice)
    sideeffects.measure(session, choice.trial)
    with session.clock.outside("final model and guards"):
        write_final_model(session, choice)
        for verdict in ask_guards(session):
            session.note("verdict", verdict=verdict)
            if not verdict.ok:
                session.tell("final", f"flagged by the guard '{verdict.guard}': {verdict.reason}")
    return report.write_report(session.folder)


# ---------------------------------------------------------------- choosing


def choose_best(session: Session) -> Choice:
    """The best trial by search score, tested against the runner-up and the base; the base if nothing beats it.

    All scored trials count, as the test against the base must know of how many the best one is the best.
    """
    scored = [trial for trial in session.history() if trial.state == "scored" and trial.kind != "anchor"]
    if session.benchmark.program is not None:
        return _choose_by_scores(session, scored)
    base = flight.search_items(session.folder, "base")
    choice = choose(_candidates(session, scored), base)
    if choice.trial is None or _weights(session, choice.trial).exists():
        return choice
    there = [trial for trial in scored if _weights(session, trial.id).exists()]  # somebody deleted the best one's
    return choose(_candidates(session, there), base, tried=len(scored))


def _choose_by_scores(session: Session, scored: Iterable[Trial]) -> Choice:
    """The same where a program tells scores and no items."""
    base = next((trial.score for trial in session.history() if trial.id == "base"), None)
    marked = [unpaired.Marked(id=trial.id, score=trial.score) for trial in scored if trial.score]
    choice = unpaired.choose(marked, base)
    if choice.trial is None or _weights(session, choice.trial).exists():
        return choice
    there = [each for each in marked if _weights(session, each.id).exists()]
    return unpaired.choose(there, base, tried=len(marked))


def _candidates(session: Session, trials: Iterable[Trial]) -> list[Candidate]:
    return [
        Candidate(id=trial.id, items=flight.search_items(session.folder, trial.id), stops=stops(trial))
        for trial in trials
    ]


def _weights(session: Session, trial_id: str) -> Path:
    return session.folder / "trials" / trial_id / MODEL


# ---------------------------------------------------------------- the final split


def score_final(session: Session, choice: Choice) -> None:
    """Score the anchors (once in a run's life) and the choice on the final items.

    A choice that has been scored is not scored again unless trials came between: an end that was interrupted is gone on
    with, and that is no further look. Jobs and per-item results lie in DIR/sealed/, for the owner only; the scores go
    into the ledger and nowhere else.
    """
    before = {event["which"]: event for event in session.ledger.events() if event["kind"] == "scored"}
    looks = sum(event["kind"] == "scored" and event["which"] == "best" for event in session.ledger.events())
    for name, score in published_finals(session).items():
        if name not in before:
            before[name] = session.ledger.append("scored", which=name, trial=None, score=score, at=session.clock.now())
    models = {name: model for name, model in anchors(session).items() if name not in before}
    done = _scored_since(session, choice)
    if choice.trial is not None:
        models["best"] = Model(str(_weights(session, choice.trial)))
        models |= _as_configured(session, choice.trial)
        models = {name: model for name, model in models.items() if name not in done}
    place = session.folder / SEALED / f"final-{looks if 'best' in done else looks + 1}"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = sealed_key(session.folder, session.request)

    kept = take_kept(session, models, place, "final", key)
    rest = {name: model for name, model in models.items() if name not in kept}
    fresh = score_models(session, rest, place, "final", key) if rest else ()
    known = ((name, found.score, Cost()) for name, found in kept.items())
    for name, score, cost in chain(known, fresh):
        path = place / name / "items.jsonl"
        items = str(path.relative_to(session.folder)) if session.benchmark.program is None else None
        trial = choice.trial if name in ("best", AS_CONFIGURED) else None
        event = {"which": name, "trial": trial, "score": score, "items": items}
        before[name] = session.ledger.append("scored", **event, seconds=cost.seconds, at=session.clock.now())
        session.tell("final", f"{name.replace('_', ' ')} scores {score.value:.3f} on the final split")
    if choice.trial is None and "best" not in done:  # the base is the result: its score is looked at as the best one
        base = {name: before["base"].get(name) for name in ("score", "items")}
        session.ledger.append("scored", which="best", trial=None, **base, at=session.clock.now())


def _scored_since(session: Session, choice: Choice) -> set[str]:
    """Which final scores of the choice there are already, since the last trial."""
    names: set[str] = set()
    for event in session.ledger.events():
        if event["kind"] in ("started", "finished"):
            names.clear()
        elif event["kind"] == "scored" and event["trial"] == choice.trial and event["which"] in ("best", AS_CONFIGURED):
            names.add(event["which"])
    return names


def _as_configured(session: Session, trial_id: str) -> dict[str, Model]:
    """The base once more, decoded as the chosen model's generation_config.json says, if that is not as the base's."""
    if session.benchmark.program is not None:  # it decodes as it likes
        return {}
    best, base = _weights(session, trial_id), session.request.model_path
    try:
        if not decoding.set_apart(best, base):
            return {}
    except InputError as error:
        session.tell("final", f"what the settings of {trial_id} bring is not measured: {error}")
        return {}
    return {AS_CONFIGURED: Model(base, configured_as=str(best.absolute()))}


def published_finals(session: Session) -> dict[str, Score]:
    """The published anchors that stand in for measured ones, where the run was told to use them."""
    request = session.request
    return published.scores(session.benchmark, request.model) if request.anchors == "published" else {}


# ---------------------------------------------------------------- what is handed over


def write_final_model(session: Session, choice: Choice) -> None:
    """Write final_model/: the chosen weights, merged, with tokenizer, template and a model card."""
    target, fresh = session.folder / FINAL_MODEL, session.folder / f"{FINAL_MODEL}.new"
    export_model(session, chosen_weights(session, choice.trial), fresh)
    trial = next((trial for trial in session.history() if trial.id == choice.trial), None)
    card = export.model_card(session.request, session.benchmark, choice, trial, session.ledger)
    write_atomic(fresh / "README.md", card)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


def chosen_weights(session: Session, trial_id: str | None) -> Path:
    """Where a trial's scored weights lie; without one the base's."""
    return _weights(session, trial_id) if trial_id else Path(session.request.model_path)


def export_model(session: Session, model_path: Path, target: Path) -> None:
    """Write a model, an adapter merged, as a whole one to `target`, which is made anew. No trial may be running."""
    place = session.folder / SEALED / "export"
    shutil.rmtree(target, ignore_errors=True)
    write_json(place / "job.json", {"model_path": str(model_path.absolute()), "target": str(target.absolute())})
    job = Job(id="final/export", call=export.CALL, folder=str(place.absolute()), threads=session.threads)
    for _, ended in run_jobs(session, [job]):
        if ended.exit_code:
            raise PosttrainError(f"{FINAL_MODEL}/ cannot be written ({ended.reason}); {place / 'log.txt'} says more")


def ask_guards(session: Session) -> list[Verdict]:
    """What the guards say of the finished run; a guard that sealed something at the start gets its seal back."""
    verdicts = []
    for name, guard in session.guards.items():
        if hasattr(guard, "on_finish"):
            sealed = session.document["seals"].get(name)
            more = {"sealed": sealed} if sealed is not None else {}
            verdicts.append(guard.on_finish(session.folder, **more))
    return verdicts
