"""What a run folder says, read once: run.json, the ledger and the sealed per-item results. Writes nothing.

Whatever is missing, because a run is unfinished or a file cannot be read, is None here; the report names it in words.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline import reference as references
from pipeline import totals
from pipeline.errors import InputError
from pipeline.judges import agreement
from pipeline.ledger import Ledger
from pipeline.paths import read_json, read_jsonl
from pipeline.reporting.controls import controls_of
from pipeline.types import Reference, Score, Trial, Verdict

ROLES = ("base", "base_few_shot", "instruct", "best")
AS_CONFIGURED = "base_as_configured"  # the base, decoded as the chosen model's generation_config.json says
Event = Mapping[str, Any]


@dataclass(frozen=True)
class Final:
    """A score on the final split; `items` are `totals.shares` by item id, or None and `problem` says why.

    `judging` is what judged items say of their judging (`judges.agreement.facts`).
    """

    score: Score
    items: dict[str, float] | None
    problem: str | None = None
    judging: dict[str, Any] | None = None


@dataclass(frozen=True)
class Point:
    """A scored trial on the budget's clock. `stops` is False where the model does not end its turns."""

    seconds: float
    trial: str
    value: float
    stops: bool


@dataclass(frozen=True)
class Story:
    """One run. `choice` is the `chosen` event (its trial None: the base), None while nothing was chosen."""

    folder: Path
    run: dict[str, Any]
    trials: tuple[Trial, ...]
    finals: dict[str, Final]
    choice: dict[str, Any] | None
    verdicts: tuple[Verdict, ...]
    final_looks: int
    seconds: float  # counted by the budget's clock
    budget_seconds: float | None  # extensions included
    outside: dict[str, float]  # seconds outside the budget, by what they were for
    curve: tuple[Point, ...]
    ended: str | None  # why the search ended
    folder_bytes: int
    notes: tuple[Event, ...]  # of the ledger
    kept: dict[str, dict[str, float]]  # anchors that were measured before this run: split -> anchor -> Unix time
    controls: tuple[dict[str, Any], ...] = ()  # what other agents reached with this run's seed and budget

    @property
    def best(self) -> Trial | None:
        """The chosen trial; None when the base was chosen or nothing was."""
        chosen = self.choice and self.choice.get("trial")
        return next((trial for trial in self.trials if trial.id == chosen), None)

    @property
    def base_is_the_result(self) -> bool:
        """Whether the choice was made and fell on the base."""
        return self.choice is not None and self.choice.get("trial") is None

    @property
    def tried(self) -> tuple[Trial, ...]:
        """The trials that are not anchors."""
        return tuple(trial for trial in self.trials if trial.kind != "anchor")


def read_run(folder: str | Path) -> Story:
    """Read a run folder. Raises InputError if it is none, LedgerError if its ledger is broken."""
    folder = Path(folder)
    if not (folder / "run.json").is_file():
        raise InputError(f"{folder} is no run folder (no run.json): name one that search, open or reproduce made")
    run = read_json(folder / "run.json")
    run = {**run, **(run.get("request") or {})}
    ledger = Ledger(folder / "ledger.jsonl")
    events, trials = ledger.events(), ledger.history()
    spans = _counted(events)
    notes = [event for event in events if event["kind"] == "note"]
    ended = [note.get("why") for note in notes if note.get("note") == "search_ended"]
    return Story(
        folder=folder,
        run=run,
        trials=trials,
        finals=_finals(folder, events) | _given(run),
        choice=next((dict(event) for event in reversed(events) if event["kind"] == "chosen"), None),
        verdicts=_verdicts(events),
        final_looks=sum(_role(event) == "best" for event in events),
        seconds=sum(end - start for start, end in spans),
        budget_seconds=_budget(run, notes),
        outside=_outside(events, notes),
        curve=_curve(events, trials, spans),
        ended=ended[-1] if ended else None,
        folder_bytes=_size(folder),
        notes=tuple(notes),
        kept=_kept(notes),
        controls=controls_of(folder, run),
    )


# ---------------------------------------------------------------- final scores


def _role(event: Event) -> str | None:
    """Whose final score an event brings; None if it brings none."""
    if event["kind"] != "scored" or (event.get("score") or {}).get("role") != "final":
        return None
    return event.get("which") or event.get("model")


def _finals(folder: Path, events: Sequence[Event]) -> dict[str, Final]:
    """The latest final score of each role."""
    latest = {role: event for event in events if (role := _role(event)) in (*ROLES, AS_CONFIGURED)}
    if latest.get(AS_CONFIGURED, {}).get("trial") != latest.get("best", {}).get("trial"):
        latest.pop(AS_CONFIGURED, None)  # of an earlier choice
    return {str(role): _final(folder, event) for role, event in latest.items()}


def _final(folder: Path, event: Event) -> Final:
    """A final score with its items, if these can be read and give the score that the ledger has."""
    score, name = Score.model_validate(event["score"]), event.get("items")
    if score.source == "published":
        return Final(score, None, "a published score has none")
    try:
        rows = read_jsonl(folder / str(name)) if name else []
        items = totals.by_item(rows)
    except (OSError, InputError, KeyError, TypeError, ValueError) as error:
        return Final(score, None, f"{name} cannot be read ({type(error).__name__})")
    if not items:
        return Final(score, None, "no per-item results" if not name else f"{name} is empty")
    mean = sum(items.values()) / len(items)
    if abs(mean - score.value) > 5e-4 or len(items) != score.n or len(rows) != len(items):
        said = f"{mean:.4f} over {len(items)} items, the ledger says {score.value:.4f} over {score.n}"
        return Final(score, None, f"{name} does not fit the ledger: {said}")
    return Final(score, items, judging=agreement.facts(rows))


def _given(run: Mapping[str, Any]) -> dict[str, Final]:
    """The score that a run is measured against where its user gave a number instead of a model."""
    against = reference_of(run)
    found = references.score(against, Path(str(run.get("benchmark"))).name, str(run.get("metric"))) if against else None
    return {"instruct": Final(found, None, "a given number has none")} if found else {}


def reference_of(run: Mapping[str, Any]) -> Reference | None:
    """What a run's user named instead of an instruct model."""
    return Reference.model_validate(run["against"]) if run.get("against") else None


def _verdicts(events: Iterable[Event]) -> tuple[Verdict, ...]:
    """What guards found on the final model: the latest verdict of each guard. Refused trials are not among them."""
    found: dict[str, Verdict] = {}
    for event in events:
        if event["kind"] == "note" and event.get("note") == "verdict":
            given = [event["verdict"]]
        elif event["kind"] in ("note", "scored", "chosen"):
            given = event.get("verdicts") or []
        else:
            continue
        found |= {verdict["guard"]: Verdict.model_validate(verdict) for verdict in given}
    return tuple(found.values())


# ---------------------------------------------------------------- time


def _at(event: Event) -> float:
    """Unix seconds of an event."""
    return float(event["at"]) if "at" in event else datetime.fromisoformat(event["time"]).timestamp()


def _counted(events: Sequence[Event]) -> list[tuple[float, float]]:
    """The stretches of unix time that count against the budget (see `pipeline.clock`).

    One that an owner left open, or that is still open, ends with the last event.
    """
    spans, since, last = [], None, 0.0
    for event in events:
        last = max(last, _at(event))
        if event["kind"] != "note" or event.get("note") != "clock":
            continue
        if since is not None:
            spans.append((since, max(since, _at(event))))
        since = _at(event) if event["state"] == "runs" else None
    if since is not None:
        spans.append((since, max(since, last)))
    return spans


def _used_at(spans: Sequence[tuple[float, float]], moment: float) -> float:
    """Counted seconds up to a moment."""
    return sum(max(0.0, min(end, moment) - start) for start, end in spans)


def _budget(run: Mapping[str, Any], notes: Iterable[Event]) -> float | None:
    """The budget in seconds with its extensions; None where it is unlimited."""
    budget = run.get("budget")
    seconds = budget.get("seconds") if isinstance(budget, Mapping) else budget
    if seconds is None:
        return None
    return float(seconds) + sum(float(note["seconds"]) for note in notes if note.get("note") == "extended")


def _outside(events: Iterable[Event], notes: Iterable[Event]) -> dict[str, float]:
    """Seconds outside the budget by what they were for: as noted, else as the final scores tell."""
    spent: dict[str, float] = {}
    for note in notes:
        if note.get("note") == "outside":
            spent[note["what"]] = spent.get(note["what"], 0.0) + float(note["seconds"])
    if spent:
        return spent
    for event in events:
        if event["kind"] == "scored" and event.get("seconds"):
            what = f"score {event.get('which') or event.get('model')}"
            spent[what] = spent.get(what, 0.0) + float(event["seconds"])
    return spent


def _kept(notes: Iterable[Event]) -> dict[str, dict[str, float]]:
    """Which anchors were taken from the cache, and when they were measured, by split."""
    found: dict[str, dict[str, float]] = {}
    for note in notes:
        if note.get("note") == "anchors_kept":
            found.setdefault(note["role"], {}).update(note["measured_at"])
    return found


def _curve(events: Iterable[Event], trials: Iterable[Trial], spans: Sequence[tuple[float, float]]) -> tuple[Point, ...]:
    """The scored trials in the order in which they finished."""
    scored = {trial.id: trial for trial in trials if trial.kind != "anchor" and trial.state == "scored"}
    points = []
    for event in events:
        trial = scored.get(_trial_id(event)) if event["kind"] == "finished" else None
        if trial and trial.score and trial.outcome:
            stops = "does not stop" not in trial.outcome.labels
            points.append(Point(_used_at(spans, _at(event)), trial.id, trial.score.value, stops))
    return tuple(points)


def improvements(points: Sequence[Point]) -> list[Point]:
    """The points at which the best search score so far rose; trials that do not stop only count if none stops."""
    field = [point for point in points if point.stops] or list(points)
    risen: list[Point] = []
    for point in field:
        if not risen or point.value > risen[-1].value:
            risen.append(point)
    return risen


def _trial_id(event: Event) -> str:
    trial = event.get("trial")
    return str(trial.get("id") if isinstance(trial, Mapping) else trial)


def _size(folder: Path) -> int:
    """Bytes of all files under a folder, links not followed, unreadable ones left out."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except OSError:  # a running search deletes checkpoints under us
                continue
    return total
