"""Into a run: as a client of the process that owns it, or else as its owner."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.errors import OwnedError
from pipeline.owner.client import Client
from pipeline.request import News
from pipeline.session import Session
from pipeline.view import View

DOOR_SECONDS = 5.0  # an owner that is just beginning or ending is waited for that long


@contextlib.contextmanager
def enter(folder: Path, watch: Callable[[News], None]) -> Iterator[Session | Client]:
    """The run's doors. As its owner this process stays until the trials that others started here have ended.

    Raises InputError if it is no run, OwnedError if its owner does not listen (it may be on another machine).
    """
    run = owned_or_visited(folder)
    run.on_event = watch
    if isinstance(run, Client):
        yield run
        return
    with run:
        yield run
        run.linger()


def owned_or_visited(folder: Path) -> Session | Client:
    """See `enter`; the session is to be closed."""
    deadline = time.monotonic() + DOOR_SECONDS
    while True:
        client = Client.find(folder)
        if client is not None:
            return client
        try:
            return Session.resume(folder)
        except OwnedError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)


def look(folder: Path) -> Client | View:
    """Something to ask about a run, without becoming its owner."""
    return Client.find(folder) or View(folder)
