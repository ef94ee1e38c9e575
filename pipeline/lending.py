"""A search by an agent that steps by itself: it has the run's doors until it ends, or the budget does."""

from __future__ import annotations

import threading
import traceback
from typing import Any

from pipeline.errors import PosttrainError
from pipeline.evaluations import TICK_SECONDS
from pipeline.owner.desk import Ticket
from pipeline.owner.gate import Gate, Lease
from pipeline.session import Session

STOP_SECONDS = 10.0  # that an agent is waited for when it was told to stop
SPENT = "the budget is spent"


def lend(session: Session, agent: Any) -> str:
    """Run the agent (`contracts.SelfDriven`) in a thread of its own and serve it; returns why it ended.

    What it started is waited for. An agent that fails is a note in the ledger: the best trial counts all the same.
    """
    agent.note = _notes(session)
    said: list[str] = []
    with Gate(session, agent.author, agent.refused) as gate:
        thread = threading.Thread(target=_drive, args=(agent, gate.lease, said), daemon=True, name="agent")
        thread.start()
        try:
            over = _serve(session, agent, thread)
        finally:
            agent.stop()
            thread.join(STOP_SECONDS)
    session.attend_to_clients()  # its last notes
    while session.wait():  # what it started is worth having
        pass
    return session.asked_to_end or over or (said[0] if said else "the agent did not stop when it was told to")


def _serve(session: Session, agent: Any, thread: threading.Thread) -> str | None:
    """Do what clients want until the agent ends (None), or until nothing is left for it to do."""
    while thread.is_alive():
        if session.flights:
            session.wait(TICK_SECONDS)
        else:
            session.attend_to_clients(TICK_SECONDS)
        over = session.asked_to_end or _is_over(session, agent)
        if over:
            return over
    return None


def _is_over(session: Session, agent: Any) -> str | None:
    left = session.remaining()
    if left.seconds == 0.0:
        return SPENT
    if session.flights:
        return None
    may_train = "submit" not in agent.refused  # a submission needs no time for training here
    is_spent = 0 in (left.trials, left.dollars) or (not may_train and session.train_seconds() == 0.0)
    return SPENT if is_spent else None


def _drive(agent: Any, lease: Lease, said: list[str]) -> None:
    try:
        said.append(str(agent.run(lease)))
    except PosttrainError as error:
        said.append(f"the agent failed: {error}")
    except Exception as error:  # whatever it is, the run has its result
        traceback.print_exc()
        said.append(f"the agent failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
    agent.note("agent_ended", "" if not said[0].startswith("the agent failed") else said[0], why=said[0])


def _notes(session: Session) -> Any:
    """As `search.listen`'s, for a thread that is not the session's."""

    def note(name: str, text: str = "", **fields: Any) -> None:
        at = session.clock.now()

        def write(session: Session) -> None:
            session.note(name, text=text, at=at, **fields)
            if text:
                session.tell("agent", text)

        session.desk.lay(Ticket(write))

    return note
