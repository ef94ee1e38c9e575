"""A run as it may be shown: what was asked, what was tried, what is left. Search scores only; nothing is written.

Any process may look at any run. Its owner, a `Session`, is a view that may also write.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline import catalogue, evaluations, flight, keeping, limits, opening, programs
from pipeline.admission import load_guards
from pipeline.appraisal import Appraisal, appraise
from pipeline.clock import Clock, wall
from pipeline.errors import InputError, unknown
from pipeline.judging import dollars_left
from pipeline.ledger import Ledger, pending
from pipeline.lock import is_owned, last_beat
from pipeline.recipe import search_space
from pipeline.request import read_run
from pipeline.types import Brief, Budget, Proposal, Trial

FREE = ("rejected", "abandoned")  # trials in these states did not spend one of the budget's trials


class View:
    """What agents and users may know of a run folder. Raises InputError if it is none. For one thread."""

    def __init__(self, folder: Path, now: Callable[[], float] = wall) -> None:
        self.folder, self.now = folder, now
        self.request, self.document = read_run(folder)
        self.ledger = Ledger(folder / "ledger.jsonl")
        self.benchmark = programs.benchmark(self.request.benchmark, self.request.protocol, self.request.program)
        self.sources = opening.sources(self.request, self.benchmark)
        self.space = search_space(self.request.recipe, self.sources)

    @cached_property
    def guards(self) -> dict[str, Any]:
        """The guards of the run, by name."""
        return load_guards(self.request.guards)

    def brief(self) -> Brief:
        """What an agent is told before it proposes."""
        return Brief(
            model=self.request.model,
            benchmark=self.benchmark.name,
            recipe=self.request.recipe,
            space=self.space,
            cards=tuple(catalogue.card(name, self.request.key) for name in self.sources),
            prior=self.request.prior,
            slots=self.request.slots,
            budget=self.budget(),
            facts=opening.facts(self.request, self.benchmark),
            options=self.request.agent_options,
            folder=str(self.folder / opening.AGENT),
        )

    def history(self) -> tuple[Trial, ...]:
        """All trials in the order of their start, pending ones too: search scores only."""
        gone = {event["trial"] for event in self.notes("checkpoint_deleted")}
        return keeping.without_checkpoints(self.ledger.history(), gone)

    def trial(self, trial_id: str) -> Trial:
        """One trial of the history. Raises InputError if there is none of that id."""
        found = {trial.id: trial for trial in self.history()}
        if trial_id not in found:
            raise unknown("trial", trial_id, list(found))
        return found[trial_id]

    def notes(self, name: str) -> list[dict[str, Any]]:
        """The ledger's notes of one name."""
        return [event for event in self.ledger.events() if event["kind"] == "note" and event.get("note") == name]

    def budget(self) -> Budget:
        """What the run may spend in all, extensions included."""
        asked, more = self.request.budget, self.notes("extended")
        seconds = None if asked.seconds is None else asked.seconds + sum(note["seconds"] for note in more)
        seconds = self._before_deadline(seconds)
        trials = None if asked.trials is None else asked.trials + sum(note["trials"] for note in more)
        return Budget(seconds=seconds, trials=trials, dollars=asked.dollars)

    def remaining(self) -> Budget:
        """What is left to spend. Pending trials count as spent; rejected and abandoned ones do not count."""
        budget, tried = self.budget(), [trial for trial in self.ledger.history() if trial.kind != "anchor"]
        counted = sum(trial.state not in FREE for trial in tried)
        dollars = self._dollars_left(budget, tried)
        return Budget(
            seconds=None if budget.seconds is None else max(0.0, budget.seconds - self.used()),
            trials=None if budget.trials is None else max(0, budget.trials - counted),
            dollars=dollars,
        )

    def used(self) -> float:
        """Seconds that count against the budget, up to now."""
        clock, lives = Clock(lambda *_, **__: None, self.now), is_owned(self.folder)
        beat = None if lives else last_beat(self.folder)
        clock.replay(self.ledger.events(), beat, counts_on=lives or self.request.agent is None)
        return clock.used()

    def running(self) -> int:
        """How many trials are in flight."""
        return sum(trial.kind != "anchor" for trial in pending(self.ledger.history()))

    def has_room(self) -> bool:
        """Whether a trial could be started now: a slot, and budget for it."""
        left = self.remaining()
        is_spent = left.trials == 0 or left.dollars == 0.0
        return self.running() < self.request.slots and not is_spent and self.train_seconds() != 0.0

    def train_seconds(self) -> float | None:
        """Seconds that a trial started now may train: 0 if that is not worth it, None without a time budget."""
        total, left = self.budget().seconds, self.remaining().seconds
        if total is None or left is None:
            return None
        return limits.train_seconds(left, self.measured_beside(), total)

    def measured_beside(self) -> list[float]:
        """Seconds that trials took beside their training, in the order of time; before the first, an anchor's."""
        measured = [event["beside_seconds"] for event in self.ledger.events() if event.get("beside_seconds")]
        return measured or evaluations.anchor_seconds(self.ledger.history())

    def progress(self, trial_id: str) -> dict[str, Any] | None:
        """The latest progress line of a trial; None before its first."""
        return flight.latest_progress(self.folder / "trials" / trial_id)

    def propose(self, proposal: Proposal) -> Appraisal:
        """Whether a proposal would be admitted, and what it would cost. Nothing is run."""
        return appraise(self, proposal)

    def items(self, trial_id: str) -> dict[str, float]:
        """A trial's search scores by item. Raises InputError if it has none."""
        trial = self.trial(trial_id)
        found = flight.search_items(self.folder, trial.id) if trial.score else {}
        if not found:
            raise InputError(f"trial {trial_id} is {trial.state} and has no scored items: choose a scored one")
        return found

    def _before_deadline(self, seconds: float | None) -> float | None:
        """A budget, or what of it ends early enough to score the final models by the run's deadline."""
        if self.request.deadline is None:
            return seconds
        closing = evaluations.closing_seconds(self.ledger.history())
        closing = closing if seconds is None else min(closing, limits.CLOSING_SHARE * seconds)
        left = self.request.deadline - self.now() - closing
        return limits.before_deadline(seconds, self.used(), left)

    def _dollars_left(self, budget: Budget, tried: list[Trial]) -> float | None:
        """What trials may still spend, on a judge above all."""
        if self.request.judge and self.request.judge.budget is not None:
            return dollars_left(self.request.judge, self.folder)
        spent = sum(trial.outcome.cost.dollars for trial in tried if trial.outcome)
        return None if budget.dollars is None else max(0.0, budget.dollars - spent)


def is_finished(folder: Path) -> bool:
    """Whether a run has its report and nothing has happened since the choice that it reports."""
    if not (folder / "report.json").is_file():
        return False
    marks = [event for event in Ledger(folder / "ledger.jsonl").events() if _is_mark(event)]
    return bool(marks) and marks[-1]["kind"] == "chosen"


def _is_mark(event: Any) -> bool:
    return event["kind"] in ("chosen", "started", "finished") or event.get("note") == "extended"
