"""The search: an agent proposes, the session runs and records, until the budget is spent; then one is chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.contracts import Agent
from pipeline.lending import lend
from pipeline.request import News
from pipeline.session import Session

MOST_REJECTIONS = 20  # in a row; an agent that goes on so would go on forever


def search(session: Session, agent: Agent, on_event: Callable[[News], None] | None = None) -> dict[str, Any]:
    """Run a search to its end and return its report. `on_event` is told whatever happens.

    Interrupted or killed, it goes on where it was: `Session.resume`, the same agent, `search` again.
    """
    session.on_event, session.ends_on_request = on_event or session.on_event, True
    listen(session, agent)
    session.begin()
    session.end(run(session, agent))
    return session.finish()


def listen(session: Session, agent: Agent) -> None:
    """Let an agent that has something to say write it to the ledger, and tell whoever watches."""

    def note(name: str, text: str = "", **fields: Any) -> None:
        session.note(name, text=text, at=session.clock.now(), **fields)
        if text:
            session.tell("agent", text)

    if hasattr(agent, "note"):
        agent.note = note


def run(session: Session, agent: Agent) -> str:
    """Keep all slots busy with what the agent proposes, until the budget is spent; returns why it ended.

    An agent that steps by itself has the run's doors for that time.
    """
    if hasattr(agent, "run"):
        return lend(session, agent)
    rejected = 0
    while True:
        has_more = True
        while has_more and session.has_room() and not session.asked_to_end:
            proposal = agent.propose(session.history(), session.remaining())
            has_more = proposal is not None
            if proposal is not None and not session.has_room():  # thinking about it took what was left
                break
            if proposal is not None:
                trial = session.start(proposal)
                rejected = rejected + 1 if trial.state == "rejected" else 0
            if rejected == MOST_REJECTIONS:
                while session.wait():  # what runs in other slots is worth having
                    pass
                return f"{rejected} proposals in a row were rejected"
        if session.wait() is None:  # nothing is running any more, or a client ends the run
            spent = "the agent has nothing more to propose" if not has_more else "the budget is spent"
            return session.asked_to_end or spent
