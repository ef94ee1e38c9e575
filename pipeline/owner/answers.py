"""How an owner answers its clients: questions at once, on the caller's thread; what changes the run by its desk."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError, unknown
from pipeline.owner import desk
from pipeline.owner.desk import Desk, Ticket
from pipeline.owner.reading import READ, called, proposal_of, read
from pipeline.types import Trial
from pipeline.view import View

if TYPE_CHECKING:
    from pipeline.session import Session

NEWS_SECONDS = 1.0  # between two lines of news: a client knows that the owner lives
Tell = Callable[[dict[str, Any]], None]


class Answers:
    """Answers for one session. Called by the threads of connections: it touches nothing of the session but its desk."""

    def __init__(self, session: Session) -> None:
        self.folder: Path = session.folder
        self.now, self.desk = session.clock.now, session.desk

    def __call__(self, ask: str, arguments: dict[str, Any], tell: Tell) -> Any:
        """The answer to a request; `tell` sends news of it on the way."""
        if ask in READ:
            return read(View(self.folder, self.now), ask, arguments)
        if ask not in DOORS:
            raise unknown("request", ask, [*READ, *DOORS])
        return called(
            ask, lambda **given: DOORS[ask](_Talk(self.folder, self.now, self.desk, tell), **given), arguments
        )


class _Talk:
    """One request that needs the session, or waits."""

    def __init__(self, folder: Path, now: Callable[[], float], desk: Desk, tell: Tell) -> None:
        self.folder, self.now, self.desk, self.tell = folder, now, desk, tell

    def start(self, proposal: Any, waits: bool = False) -> Trial:
        """Start a trial; `waits`: also for a free slot, else it is refused if there is none."""
        wanted = proposal_of(proposal)
        if not waits:
            self._refuse_if_busy()
        return self._done(desk.start(wanted), "waiting for a free slot")

    def step(self, proposal: Any) -> Trial:
        """Start a trial as soon as there is a slot, and wait for its end."""
        return self._followed(self.start(proposal, waits=True))

    def submit(self, path: Any, rationale: str = "", author: str = "") -> Trial:
        """Score a checkpoint as soon as there is a slot, and wait for its score."""
        if not isinstance(path, str) or not Path(path).is_absolute():
            raise InputError(f"submit: a whole path is needed, not {path!r}")
        ticket = desk.submit(path, str(rationale), str(author))
        return self._followed(self._done(ticket, "waiting for a free slot"))

    def cancel(self, trial: str) -> None:
        """End a running trial."""
        self._done(desk.cancel(str(trial)), "cancelling")

    def wait(self, trials: Any = None, seconds: float | None = None) -> Trial | None:
        """The first of `trials` (None: those running now) that has ended; None when the time passed or none runs."""
        wanted = self._running() if trials is None else [str(each) for each in trials]
        return self._first_ended(wanted, seconds)

    def finish(self) -> dict[str, Any]:
        """Have the run finished; its report."""
        return self._done(desk.end("its user finished it"), "finishing")

    # ------------------------------------------------------------ inside

    def _refuse_if_busy(self) -> None:
        view = View(self.folder, self.now)
        if view.running() >= view.request.slots:
            raise InputError(f"{self.folder}: all slots are busy: wait for a trial")

    def _done(self, ticket: Ticket, meanwhile: str) -> Any:
        """What came of a ticket; the client hears in the meantime that it is not forgotten."""
        self.desk.lay(ticket)
        while not ticket.is_done.wait(NEWS_SECONDS):
            self.tell({"what": "progress", "text": meanwhile})
        if ticket.error is not None:
            raise ticket.error
        return ticket.result

    def _followed(self, trial: Trial) -> Trial:
        if trial.state != "pending":
            return trial
        return self._first_ended([trial.id], None) or trial

    def _running(self) -> list[str]:
        view = View(self.folder, self.now)
        return [trial.id for trial in view.history() if trial.state == "pending" and trial.kind != "anchor"]

    def _first_ended(self, wanted: Collection[str], seconds: float | None) -> Trial | None:
        view = View(self.folder, self.now)
        for trial_id in wanted:
            view.trial(trial_id)
        until = None if seconds is None else time.monotonic() + seconds
        while wanted:
            seen = self.desk.changes
            history = [trial for trial in view.history() if trial.id in wanted]
            ended = next((trial for trial in history if trial.state != "pending"), None)
            left = NEWS_SECONDS if until is None else min(NEWS_SECONDS, until - time.monotonic())
            if ended is not None or left <= 0 or self.desk.is_closed:
                return ended
            for trial in history:
                self._tell_progress(view, trial)
            self.desk.await_change(seen, left)
        return None

    def _tell_progress(self, view: View, trial: Trial) -> None:
        left = view.remaining().seconds
        at = view.progress(trial.id)
        self.tell({"what": "progress", "text": trial.id, "trial": trial.id, "progress": at, "seconds_left": left})


DOORS: dict[str, Callable[..., Any]] = {
    "start": _Talk.start,
    "step": _Talk.step,
    "submit": _Talk.submit,
    "cancel": _Talk.cancel,
    "wait": _Talk.wait,
    "finish": _Talk.finish,
}
