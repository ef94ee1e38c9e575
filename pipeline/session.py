"""A run and its doors. Whoever searches, an agent or a user step by step, goes through `start` and `wait`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from pipeline import catalogue, checkpoint, evaluations, finish, flight, keeping, limits, opening, plugins, strategy
from pipeline.admission import admit
from pipeline.clock import Clock, wall
from pipeline.contracts import Executor
from pipeline.errors import InputError
from pipeline.evaluations import TICK_SECONDS
from pipeline.judges.client import check
from pipeline.ledger import pending
from pipeline.lock import Lock
from pipeline.machine import threads_each
from pipeline.owner.answers import Answers
from pipeline.owner.desk import FINISHING, Desk
from pipeline.owner.listener import Listener
from pipeline.request import News, RunRequest, read_run
from pipeline.types import Budget, Judge, Outcome, Proposal, Trial
from pipeline.view import View


class Session(View):
    """The owner of one run folder: it alone starts trials and writes the ledger. For one thread.

    Made by `open` or `resume`; `close` it, or use it in a `with`. Other processes reach it through `pipeline.owner`:
    what they want done is done in this thread, whenever it waits.
    """

    def __init__(self, folder: Path, lock: Lock, executor: Executor | None, now: Callable[[], float]) -> None:
        super().__init__(folder, now)
        self.lock = lock
        self.on_event: Callable[[News], None] = lambda news: None
        self.ledger.repair()
        self.clock = Clock(self.note, now)
        self.clock.replay(self.ledger.events(), lock.last_beat, counts_on=self.request.agent is None)
        self.flights: dict[str, flight.Flight] = {}
        slots = self.request.slots
        self.threads = threads_each(slots, self.request.threads)
        self.executor = executor or plugins.entry("executors", self.request.executor)(slots, self.threads)
        self.desk = Desk()
        self.listener: Listener | None = None
        self.is_scoring = False  # anchors or finals: nothing is started meanwhile
        self.asked_to_end: str | None = None  # why, where a client asked for it
        self.ends_on_request = False  # whether whoever drives this session looks at that
        self._interrupted = threading.Event()

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
            session = cls(folder, lock, executor, now)
        except BaseException:
            lock.release()
            raise
        with contextlib.suppress(OSError):  # without a socket others are refused, as on another machine
            session.listener = Listener(folder, Answers(session))
        return session

    def begin(self) -> None:
        """Measure the anchors if they are missing (outside the budget), then let the clock run. Idempotent."""
        evaluations.measure_anchors(self)
        self.clock.run()

    def end(self, why: str) -> None:
        """The search is over: what is done from here on is outside its budget."""
        self.asked_to_end, self.desk.refusal = None, FINISHING
        self.clock.stop()
        self.note("search_ended", why=why, at=self.clock.now())
        self.tell("ended", f"search ended: {why}")

    def finish(self) -> dict[str, Any]:
        """Choose, score on the final split, write final_model/ and the report, and return it. May be done again."""
        self.asked_to_end, self.desk.refusal = None, FINISHING
        try:
            report = finish.finish(self)
        finally:
            self.desk.refusal = ""
        self.desk.ended(report)
        return report

    def close(self) -> None:
        """End what runs and give the folder up. A second call does nothing."""
        if self.lock.is_released:
            return
        self.executor.close()
        for trial in [self.flights.pop(trial_id).trial for trial_id in list(self.flights)]:
            self._abandon(trial, "its owner closed the run")
        if self.request.agent is not None:  # a run driven by steps counts on until it is finished
            self.clock.stop()
        self.desk.close(f"{self.folder}: its owner has ended: start the command again")
        if self.listener is not None:
            self.listener.close()
        self.lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------ tell

    def start(self, proposal: Proposal) -> Trial:
        """Check a proposal and hand it to the executor. A rejected one comes back as a trial of that state.

        Raises InputError only if there is no room for a trial (see `has_room`).
        """
        self.begin()
        proposed_at = self.clock.now()
        if not self.has_room():
            raise self._no_room()
        history = self.history()
        recipe, verdicts = admit(proposal, self.request.recipe, self.space, self.guards, history)
        number = 1 + sum(trial.kind == "recipe" for trial in history)
        found = strategy.strategy_of(recipe, catalogue.kinds(self.benchmark.folder)) if recipe else None
        trial = Trial(id=f"t{number:03d}", recipe=recipe, strategy=found, proposal=proposal, verdicts=verdicts)
        switched = strategy.switched_from(trial, history)
        self.ledger.append("started", trial=trial, at=proposed_at, **({"switched_from": switched} if switched else {}))
        if recipe is None:
            self.ledger.append("finished", trial=trial.id, state="rejected", at=self.clock.now())
            trial = trial.model_copy(update={"state": "rejected"})
            self.tell("rejected", f"{trial.id} rejected: {verdicts[-1].reason}", trial)
            return trial
        begun = flight.prepare(self, trial, proposed_at, self.train_seconds())
        self.flights[trial.id] = begun
        self.executor.start(flight.job_of(begun, self.threads))
        self.tell("started", flight.describe(trial), trial)
        return trial

    def start_submission(self, path: str | Path, rationale: str = "", author: str = "") -> Trial:
        """Have a checkpoint that was made outside (a whole model, or an adapter on the base) copied in and scored.

        It is a trial of kind `submission`, labelled `unverified`. Raises InputError, and records nothing, if the folder
        can be no checkpoint of the base or nothing is left to spend.
        """
        source = Path(path).expanduser()
        checkpoint.check(source, self.folder, Path(self.request.model_path), self.request.model)
        self.begin()
        now, left = self.clock.now(), self.remaining()
        if len(self.flights) >= self.request.slots or 0 in (left.seconds, left.trials, left.dollars):
            raise self._no_room()
        number = 1 + sum(trial.kind == "submission" for trial in self.history())
        proposal = Proposal(rationale=rationale, author=author or "user")
        trial = Trial(id=f"s{number:03d}", kind="submission", proposal=proposal)
        self.ledger.append("started", trial=trial, source=str(source.absolute()), at=now)
        begun = flight.prepare_submission(self, trial, source, now)
        self.flights[trial.id] = begun
        self.executor.start(flight.job_of(begun, self.threads))
        self.tell("started", flight.describe(trial), trial)
        return trial

    def wait(self, timeout: float | None = None) -> Trial | None:
        """The next trial that ended; None when `timeout` seconds passed, none is running, or a client ends the run."""
        until = None if timeout is None else self.clock.now() + timeout
        while self.flights:
            self.attend_to_clients()
            if self.asked_to_end:
                return None
            left = TICK_SECONDS if until is None else min(TICK_SECONDS, max(0.0, until - self.clock.now()))
            ended = self.executor.wait(left)
            if ended is not None and ended.job in self.flights:
                landed, now = self.flights.pop(ended.job), self.clock.now()
                trial = self._land(landed.trial, flight.outcome_of(landed, ended, now), now - landed.started_at)
                self.attend_to_clients()  # one that waits for a slot gets it before the next proposal does
                return trial
            self._cut_overdue()
            for trial_id in self.flights:
                self.tell("progress", trial_id, self.flights[trial_id].trial, self.progress(trial_id))
            if until is not None and self.clock.now() >= until:
                return None
        return None

    def step(self, proposal: Proposal) -> Trial:
        """Start a proposal and wait for that trial. It comes back pending only if a client ends the run meanwhile."""
        return self._followed(self.start(proposal))

    def submit(self, path: str | Path, rationale: str = "", author: str = "") -> Trial:
        """Score a checkpoint that was made outside, as a trial of its own. See `start_submission`."""
        return self._followed(self.start_submission(path, rationale, author))

    def _followed(self, trial: Trial) -> Trial:
        while trial.state == "pending":
            ended = self.wait()
            if ended is None:  # a client ends the run
                return trial
            trial = ended if ended.id == trial.id else trial
        return trial

    def cancel(self, trial_id: str) -> None:
        """End a running trial; `wait` brings it as failed. Raises InputError if it is not running."""
        if trial_id not in self.flights:
            raise InputError(f"trial {trial_id} is not running: running are {', '.join(self.flights) or 'none'}")
        self.executor.cancel(trial_id)

    # ------------------------------------------------------------ clients

    def attend_to_clients(self, seconds: float = 0.0) -> None:
        """Do what clients want done, after waiting up to `seconds` for one. Raises KeyboardInterrupt if interrupted."""
        if self._interrupted.is_set():
            raise KeyboardInterrupt
        self.desk.serve(self, seconds)

    def serve(self, until: Callable[[], bool]) -> None:
        """Do nothing but what clients want, until `until` says so: finishing the run, too, where one asks for it."""
        self.ends_on_request = True
        while not until():
            if self.asked_to_end:
                self.end(self.asked_to_end)
                self.finish()
            elif self.flights:
                self.wait(TICK_SECONDS)
            else:
                self.attend_to_clients(TICK_SECONDS)

    def linger(self) -> None:
        """Stay until the trials that clients started have ended, and nothing more is wanted."""
        self.serve(lambda: not self.flights and self.desk.is_empty)

    def interrupt(self) -> None:
        """Have the session's thread stop at its next tick, by KeyboardInterrupt. For any other thread."""
        self._interrupted.set()

    # ------------------------------------------------------------ inside

    def used(self) -> float:
        """Seconds that count against the budget, up to now: by the clock that this session turns."""
        return self.clock.used()

    def note(self, name: str, **fields: Any) -> None:
        """Write a note to the ledger."""
        self.ledger.append("note", note=name, **fields)

    def tell(self, what: Any, text: str, trial: Trial | None = None, progress: dict[str, Any] | None = None) -> None:
        """Tell whoever watches."""
        left = self.remaining().seconds
        self.on_event(News(what=what, text=text, trial=trial, progress=progress, seconds_left=left))

    def _no_room(self) -> InputError:
        busy = len(self.flights) >= self.request.slots
        hint = "all slots are busy: wait for a trial" if busy else "the budget is spent: finish or extend the run"
        return InputError(f"{self.folder}: {hint}")

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
        is_measured = wall_seconds is not None and state == "scored" and trial.kind == "recipe"
        beside = (wall_seconds or 0.0) - outcome.cost.train_seconds if is_measured else None
        self.ledger.append(
            "finished", trial=trial.id, state=state, outcome=outcome, beside_seconds=beside, at=self.clock.now()
        )
        best, open_ = self.request.keep_best, self.request.keep_open
        for trial_id in keeping.delete_spare(self.folder, self.history(), best, open_):
            self.note("checkpoint_deleted", trial=trial_id)
        landed = self.trial(trial.id)
        self.desk.tell_change()
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
        self.desk.tell_change()
