"""Owns a run in a thread of its own, while nobody else does and for as long as somebody wants it: for servers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import InputError, PosttrainError
from pipeline.owner.client import Client
from pipeline.owner.entrance import look, owned_or_visited
from pipeline.request import RUN_FILE, RunRequest
from pipeline.session import Session
from pipeline.view import View

CLOSE_SECONDS = 10.0  # for a session to record what it ends


class Host:
    """A run folder, which may not be a run yet. All methods may be called by any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def look(self) -> Client | View:
        """Something to ask about the run; nobody becomes its owner by that. Raises InputError if there is no run."""
        self._refuse_none()
        return look(self.folder)

    def client(self) -> Client:
        """The doors of the run: its owner's, which is this process from now on if nobody was. Raises InputError."""
        self._refuse_none()
        with self._lock:
            return Client.find(self.folder) or self._own(lambda: owned_or_visited(self.folder))

    def open(self, request: RunRequest) -> Client:
        """Open a run in the folder, measure its anchors, and own it. Raises InputError if there is one already."""
        with self._lock:
            return self._own(lambda: _begun(Session.open(self.folder, request)))

    def close(self) -> None:
        """End what this process runs, recorded as its end, and give the run up."""
        with self._lock:
            self._is_closed, thread = True, self._thread
            if self._session is not None:
                self._session.interrupt()
        if thread is not None:
            thread.join(CLOSE_SECONDS)

    def _refuse_none(self) -> None:
        if not (self.folder / RUN_FILE).is_file():
            raise InputError(f"{self.folder}: holds no run yet: `open` one first")

    def _own(self, make: Callable[[], Session | Client]) -> Client:
        """Make a session in a new thread, which it then belongs to. Raises what making it raises."""
        if self._is_closed:
            raise InputError(f"{self.folder}: this server is ending: start it again")
        is_made, errors = threading.Event(), list[Exception]()
        self._thread = threading.Thread(target=self._live, args=(make, is_made, errors), daemon=True, name="owner")
        self._thread.start()
        is_made.wait()
        if errors:
            raise errors[0]
        client = Client.find(self.folder)
        if client is None:
            raise InputError(f"{self.folder}: no local socket can be made here: `posttrain doctor` says what is known")
        return client

    def _live(self, make: Callable[[], Session | Client], is_made: threading.Event, errors: list[Exception]) -> None:
        try:
            made = make()
        except Exception as error:
            errors.append(error)
            is_made.set()
            return
        if isinstance(made, Client):  # another one was quicker
            is_made.set()
            return
        self._session = made
        try:
            with made:
                is_made.set()
                made.serve(lambda: self._is_closed)
        except KeyboardInterrupt:  # `close`
            pass
        except PosttrainError as error:
            print(f"error: {error}", file=sys.stderr)
        finally:
            self._session = None


def _begun(session: Session) -> Session:
    try:
        session.begin()
    except BaseException:
        session.close()
        raise
    return session
