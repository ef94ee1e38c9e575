"""A run and its doors. Whoever searches, an agent or a user step by step, goes through `start` and `wait`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from pipeline import catalogue, evaluations, finish, flight, keeping, limits, opening, plugins, programs, strategy
from pipeline.admission import admit, load_guards
from pipeline.clock import Clock, wall
from pipeline.contracts import Executor
from pipeline.cores import cores
from pipeline.errors import InputError
from pipeline.judges.client import check
from pipeline.judging import dollars_left
from pipeline.ledger import Ledger, pending
from pipeline.lock import Lock
from pipeline.machine import known
from pipeline.recipe import search_space
from pipeline.request import News, RunRequest, read_run
from pipeline.types import Brief, Budget, Judge, Outcome, Proposal, Trial

TICK_SECONDS = 0.5  # how often a waiting session looks at its clock and tells of progress


class Session:
    """The owner of one run folder: it alone starts trials and writes the ledger. For one thread.

    Made by `open` or `resume`; `close` it, or use it in a `with`.
    """

    def __init__(self, folder: Path, lock: Lock, executor: Executor | None, now: Callable[[], float]) -> None:
        self.folder, self.lock = folder, lock
        self.request, self.document = read_run(folder)
        self.on_event: Callable[[News], None] = lambda news: None
        self.ledger = Ledger(folder / "ledger.jsonl")
        self.ledger.repair()
        self.clock = Clock(self.note, now)
        self.clock.replay(self.ledger.events(), lock.last_beat, counts_on=self.request.agent is None)
        self.benchmark = programs.benchmark(self.request.benchmark, self.request.protocol, self.request.program)
        self.guards = load_guards(self.request.guards)
        self.sources = opening.sources(self.request, self.benchmark)
        self.space = search_space(self.request.recipe, self.sources)
        self.flights: dict[str, flight.Flight] = {}
        slots, machine = self.request.slots, known()
        self.threads = self.request.threads or max(1, min(cores() // slots, machine.threads if machine else cores()))
        self.executor = executor or plugins.entry("executors", self.request.executor)(slots, self.threads)

    # ------------------------------------------------------------ a run's life

    @classmethod
    def open(
        cls, folder: str | Path, request: RunRequest, executor: Executor | None = None, now: Callable[[], float] = wall
    ) -> Self:
        """Start a run in a new or empty folder. Raises InputError if there is anything in it."""
        lock = opening.make_folder(Path(folder), request)
        session = cls._owning(Path(folder), lock, executor, now)
        for what, seconds in request.before.items():
            session.note("outside", what=what, seconds=seconds, at=session.clock.now())
        return session

    @classmethod
    def resume(
        cls,
        folder: str | Path,
        extra: Budget | float | None = None,
        executor: Executor | None = None,
        now: Callable[[], float] = wall,
    ) -> Self:
        """Take over a run that nobody owns; `extra` (seconds, or a Budget) is added to what it may spend."""
        request, _ = read_run(Path(folder))
        if request.judge:
            check(Judge(name=request.judge.name))  # its key may be missing today
        session = cls._owning(Path(folder), Lock(Path(folder)), executor, now)
        if extra is not None:
            more = extra if isinstance(extra, Budget) else Budget(seconds=extra)
            session.note("extended", seconds=more.seconds or 0.0, trials=more.trials or 0)
        session._settle()
        return session

    @classmethod
    def _owning(cls, folder: Path, lock: Lock, executor: Executor | None, now: Callable[[], float]) -> Self:
        try:
            return cls(folder, lock, executor, now)
        except BaseException:
            lock.release()
            raise

    def begin(self) -> None:
        """Measure the anchors if they are missing (outside the budget), then let the clock run. Idempotent."""
        evaluations.measure_anchors(self)
        self.clock.run()

    def end(self, why: str) -> None:
        """The search is over: what is done from here on is outside its budget."""
        self.clock.stop()
        self.note("search_ended", why=why, at=self.clock.now())
        self.tell("ended", f"search ended: {why}")

    def finish(self) -> dict[str, Any]:
        """Choose, score on the final split, write final_model/ and the report, and return it. May be done again."""
        return finish.finish(self)

    def close(self) -> None:
        """End what runs and give the folder up. A second call does nothing."""
        if self.lock.is_released:
            return
        self.executor.close()
        for trial in [self.flights.pop(trial_id).trial for trial_id in list(self.flights)]:
            self._abandon(trial, "its owner closed the run")
        if self.request.agent is not None:  # a run driven by steps counts on until it is finished
            self.clock.stop()
        self.lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------ ask

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
        budget, tried = self.budget(), [trial for trial in self.ledger.history() if trial.kind == "recipe"]
        counted = sum(trial.state not in ("rejected", "abandoned") for trial in tried)
        dollars = self._dollars_left(budget, tried)
        return Budget(
            seconds=None if budget.seconds is None else max(0.0, budget.seconds - self.clock.used()),
            trials=None if budget.trials is None else max(0, budget.trials - counted),
            dollars=dollars,
        )

    def has_room(self) -> bool:
        """Whether a trial could be started now: a slot, and budget for it."""
        left = self.remaining()
        is_spent = left.trials == 0 or left.dollars == 0.0
        return len(self.flights) < self.request.slots and not is_spent and self._train_seconds() != 0.0

    def progress(self, trial_id: str) -> dict[str, Any] | None:
        """The latest progress line of a trial; None before its first."""
        return flight.latest_progress(self.folder / "trials" / trial_id)

    # ------------------------------------------------------------ tell

    def start(self, proposal: Proposal) -> Trial:
        """Check a proposal and hand it to the executor. A rejected one comes back as a trial of that state.

        Raises InputError only if there is no room for a trial (see `has_room`).
        """
        self.begin()
        proposed_at = self.clock.now()
        if not self.has_room():
            busy = len(self.flights) >= self.request.slots
            hint = "all slots are busy: wait for a trial" if busy else "the budget is spent: finish or extend the run"
            raise InputError(f"{self.folder}: {hint}")
        history = self.history()
        recipe, verdicts = admit(proposal, self.request.recipe, self.space, self.guards, history)
        number = 1 + sum(trial.kind == "recipe" for trial in history)
        found = strategy.strategy_of(recipe, catalogue.kinds()) if recipe else None
        trial = Trial(id=f"t{number:03d}", recipe=recipe, strategy=found, proposal=proposal, verdicts=verdicts)
        switched = strategy.switched_from(trial, history)
        self.ledger.append("started", trial=trial, at=proposed_at, **({"switched_from": switched} if switched else {}))
        if recipe is None:
            self.ledger.append("finished", trial=trial.id, state="rejected", at=self.clock.now())
            trial = trial.model_copy(update={"state": "rejected"})
            self.tell("rejected", f"{trial.id} rejected: {verdicts[-1].reason}", trial)
            return trial
        begun = flight.prepare(self, trial, proposed_at, self._train_seconds())
        self.flights[trial.id] = begun
        self.executor.start(flight.job_of(begun, self.threads))
        self.tell("started", flight.describe(trial), trial)
        return trial

    def wait(self, timeout: float | None = None) -> Trial | None:
        """The next trial that ended; None when `timeout` seconds passed or none is running."""
        until = None if timeout is None else self.clock.now() + timeout
        while self.flights:
            left = TICK_SECONDS if until is None else min(TICK_SECONDS, max(0.0, until - self.clock.now()))
            ended = self.executor.wait(left)
            if ended is not None and ended.job in self.flights:
                landed, now = self.flights.pop(ended.job), self.clock.now()
                return self._land(landed.trial, flight.outcome_of(landed, ended, now), now - landed.started_at)
            self._cut_overdue()
            for trial_id in self.flights:
                self.tell("progress", trial_id, self.flights[trial_id].trial, self.progress(trial_id))
            if until is not None and self.clock.now() >= until:
                return None
        return None

    def step(self, proposal: Proposal) -> Trial:
        """Start a proposal and wait for that trial."""
        trial = self.start(proposal)
        while trial.state == "pending":
            ended = self.wait()
            assert ended is not None, "a started trial always ends"
            trial = ended if ended.id == trial.id else trial
        return trial

    def cancel(self, trial_id: str) -> None:
        """End a running trial; `wait` brings it as failed. Raises InputError if it is not running."""
        if trial_id not in self.flights:
            raise InputError(f"trial {trial_id} is not running: running are {', '.join(self.flights) or 'none'}")
        self.executor.cancel(trial_id)

    # ------------------------------------------------------------ inside

    def note(self, name: str, **fields: Any) -> None:
        """Write a note to the ledger."""
        self.ledger.append("note", note=name, **fields)

    def tell(self, what: Any, text: str, trial: Trial | None = None, progress: dict[str, Any] | None = None) -> None:
        """Tell whoever watches."""
        left = self.remaining().seconds
        self.on_event(News(what=what, text=text, trial=trial, progress=progress, seconds_left=left))

    def _before_deadline(self, seconds: float | None) -> float | None:
        """A budget, or what of it ends early enough to score the final models by the run's deadline."""
        if self.request.deadline is None:
            return seconds
        closing = evaluations.closing_seconds(self.ledger.history())
        closing = closing if seconds is None else min(closing, limits.CLOSING_SHARE * seconds)
        left = self.request.deadline - self.clock.now() - closing
        return limits.before_deadline(seconds, self.clock.used(), left)

    def _dollars_left(self, budget: Budget, tried: list[Trial]) -> float | None:
        """What trials may still spend, on a judge above all."""
        if self.request.judge and self.request.judge.budget is not None:
            return dollars_left(self.request.judge, self.folder)
        spent = sum(trial.outcome.cost.dollars for trial in tried if trial.outcome)
        return None if budget.dollars is None else max(0.0, budget.dollars - spent)

    def _train_seconds(self) -> float | None:
        """Seconds that a trial started now may train: 0 if that is not worth it, None without a time budget."""
        total, left = self.budget().seconds, self.remaining().seconds
        if total is None or left is None:
            return None
        measured = [event["beside_seconds"] for event in self.ledger.events() if event.get("beside_seconds")]
        measured = measured or evaluations.anchor_seconds(self.ledger.history())
        return limits.train_seconds(left, measured, total)

    def _cut_overdue(self) -> None:
        """Kill what still runs when the budget's end has passed: a trainer that keeps its limit is done by then."""
        total = self.budget().seconds
        if total is None or self.clock.used() < limits.cut_seconds(total):
            return
        for trial_id, running in self.flights.items():
            if not running.is_cut:
                running.is_cut = True
                self.executor.cancel(trial_id)

    def _land(self, trial: Trial, outcome: Outcome, wall_seconds: float | None) -> Trial:
        """Record a trial that ended, and let go of the weights that nobody needs any more."""
        state = flight.state_of(outcome)
        # all but its training, its process's start and end included: the next ones keep as much time free
        is_measured = wall_seconds is not None and state == "scored"
        beside = (wall_seconds or 0.0) - outcome.cost.train_seconds if is_measured else None
        self.ledger.append(
            "finished", trial=trial.id, state=state, outcome=outcome, beside_seconds=beside, at=self.clock.now()
        )
        best, open_ = self.request.keep_best, self.request.keep_open
        for trial_id in keeping.delete_spare(self.folder, self.history(), best, open_):
            self.note("checkpoint_deleted", trial=trial_id)
        landed = next(known for known in self.history() if known.id == trial.id)
        self.tell("finished", flight.summary(landed), landed)
        return landed

    def _settle(self) -> None:
        """Of trials that an earlier owner left pending the processes have ended, some perhaps with their work done."""
        for trial in pending(self.ledger.history()):
            outcome = flight.written_outcome(self.folder / "trials" / trial.id)
            if outcome and trial.kind != "anchor":  # an anchor's outcome has another form; it is measured again
                self._land(trial, outcome, None)
            else:
                self._abandon(trial, "its owner ended")

    def _abandon(self, trial: Trial, reason: str) -> None:
        self.ledger.append("abandoned", trial=trial.id, reason=reason, at=self.clock.now())
