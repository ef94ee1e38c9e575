"""Where clients lay down what is to be done with a run, for the thread that the session belongs to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError
from pipeline.owner.wire import Gone
from pipeline.types import Proposal

if TYPE_CHECKING:
    from pipeline.session import Session

Work = Callable[["Session"], Any]
When = Callable[["Session"], bool]
FINISHING = "the run is being finished: `report` will have its result"
LATER = object()  # what work gives whose ticket is answered another time


class Ticket:
    """One thing to be done, when it can be, and what came of it."""

    def __init__(self, work: Work, when: When = lambda session: True) -> None:
        self.work, self.when = work, when
        self.is_done = threading.Event()
        self.result: Any = None
        self.error: Exception | None = None

    def close(self, result: Any = None, error: Exception | None = None) -> None:
        """Say what came of it."""
        self.result, self.error = result, error
        self.is_done.set()


class Desk:
    """Tickets in the order of their coming. `lay` may be called by any thread, the rest by the session's only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._laid = threading.Event()
        self._tickets: list[Ticket] = []
        self._ends: list[Ticket] = []  # clients that wait for the run's report
        self._is_serving = False
        self._closed = ""
        self.refusal = ""  # why nothing is started now
        self._changed = threading.Condition()
        self.changes = 0  # counts the trials that ended

    def lay(self, ticket: Ticket) -> Ticket:
        """Add a ticket; after `close` it is answered at once."""
        with self._lock:
            if self._closed:
                ticket.close(error=Gone(self._closed))
            else:
                self._tickets.append(ticket)
                self._laid.set()
        return ticket

    @property
    def is_closed(self) -> bool:
        """Whether the session has ended."""
        return bool(self._closed)

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits for anything to be done."""
        with self._lock:
            return not self._tickets

    def serve(self, session: Session, seconds: float = 0.0) -> None:
        """Do what can be done now, after waiting up to `seconds` for something. Not within itself.

        What needs a slot waits for one, in the order of its coming, and gets it before the session's own agent does.
        """
        if self._is_serving:  # a trial that is started measures the anchors first, and that serves, too
            return
        if seconds:
            self._laid.wait(seconds)
        self._is_serving = True
        try:
            while ticket := self._next(session):
                try:
                    result = ticket.work(session)
                except Exception as error:  # a client's trouble is the client's; the ledger's is the owner's next line
                    ticket.close(error=error)
                    continue
                if result is LATER:
                    self._ends.append(ticket)
                else:
                    ticket.close(result)
        finally:
            self._is_serving = False

    def _next(self, session: Session) -> Ticket | None:
        with self._lock:
            self._laid.clear()
            ready = next((ticket for ticket in self._tickets if ticket.when(session)), None)
            if ready is not None:
                self._tickets.remove(ready)
        return ready

    def tell_change(self) -> None:
        """Wake those who wait for a trial's end."""
        with self._changed:
            self.changes += 1
            self._changed.notify_all()

    def await_change(self, seen: int, seconds: float) -> None:
        """Wait until `changes` is no longer `seen`, at most so many seconds. For any thread."""
        with self._changed:
            self._changed.wait_for(lambda: self.changes != seen, seconds)

    def ended(self, report: dict[str, Any]) -> None:
        """The run has its report: answer those who asked for its end."""
        ends, self._ends = self._ends, []
        for ticket in ends:
            ticket.close(report)

    def close(self, why: str) -> None:
        """Answer all that is still open."""
        with self._lock:
            self._closed = why
            left, self._tickets, self._ends = [*self._tickets, *self._ends], [], []
        for ticket in left:
            ticket.close(error=Gone(why))
        self.tell_change()


# ---------------------------------------------------------------- what may be laid down


def start(proposal: Proposal) -> Ticket:
    """Start a trial as soon as a slot is free."""
    return Ticket(lambda session: _allowed(session).start(proposal), _has_slot)


def submit(path: str, rationale: str, author: str) -> Ticket:
    """Score a checkpoint as soon as a slot is free."""
    return Ticket(lambda session: _allowed(session).start_submission(path, rationale, author), _has_slot)


def cancel(trial_id: str) -> Ticket:
    """End a running trial."""
    return Ticket(lambda session: session.cancel(trial_id))


def end(why: str) -> Ticket:
    """Have the run finished, by an owner that finishes runs; answered with the report."""

    def ask(session: Session) -> Any:
        if not session.desk.refusal:  # else it is being finished already
            session.asked_to_end = why
        return LATER

    return Ticket(ask, lambda session: session.ends_on_request)


def _has_slot(session: Session) -> bool:
    # one that is refused is told so at once
    return bool(session.desk.refusal) or (not session.is_scoring and session.running() < session.request.slots)


def _allowed(session: Session) -> Session:
    if session.desk.refusal:
        raise InputError(f"{session.folder}: {session.desk.refusal}")
    return session
