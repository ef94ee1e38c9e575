"""A run that another process owns, by the same doors as a `Session`."""

from __future__ import annotations

import contextlib
import socket
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from pipeline.appraisal import Appraisal
from pipeline.errors import InputError
from pipeline.owner import wire
from pipeline.owner.wire import Gone
from pipeline.paths import plain, read_json
from pipeline.request import News
from pipeline.types import Brief, Budget, Proposal, Trial

SILENCE_SECONDS = 120.0  # a living owner says something every second; a stopped one does not
CONNECT_SECONDS = 5.0


class Client:
    """Speaks to a run's owner. For one thread; each call is a connection of its own, so that none outlives its use.

    Every call raises InputError if the owner refuses, and `wire.Gone`, an InputError, if it has ended.
    """

    def __init__(self, folder: Path, address: str, token: str) -> None:
        self.folder, self.address, self.token = folder, address, token
        self.on_event: Callable[[News], None] = lambda news: None
        self._started: list[str] = []  # and not brought by `wait` yet
        self._connections: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    @classmethod
    def find(cls, folder: str | Path) -> Self | None:
        """The client of the process that owns a run folder; None if none listens."""
        folder = Path(folder)
        try:
            told = read_json(folder / wire.SOCKET_FILE)
            client = cls(folder, str(told["address"]), str(told["token"]))
            with client._connected():
                return client
        except (OSError, InputError, KeyError, TypeError, AttributeError):  # none, gone, or half a file
            return None

    # ------------------------------------------------------------ ask

    def brief(self) -> Brief:
        """What an agent is told before it proposes."""
        return Brief.model_validate(self.ask("brief"))

    def history(self) -> tuple[Trial, ...]:
        """All trials in the order of their start, pending ones too: search scores only."""
        return tuple(Trial.model_validate(trial) for trial in self.ask("history"))

    def trial(self, trial_id: str) -> Trial:
        """One trial of the history."""
        return Trial.model_validate(self.ask("trial", trial=trial_id))

    def budget(self) -> Budget:
        """What the run may spend in all."""
        return Budget.model_validate(self.ask("budget"))

    def remaining(self) -> Budget:
        """What is left to spend."""
        return Budget.model_validate(self.ask("remaining"))

    def has_room(self) -> bool:
        """Whether a trial could be started now."""
        return bool(self.ask("has_room"))

    def progress(self, trial_id: str) -> dict[str, Any] | None:
        """The latest progress line of a trial; None before its first."""
        found: dict[str, Any] | None = self.ask("progress", trial=trial_id)
        return found

    def propose(self, proposal: Proposal) -> Appraisal:
        """Whether a proposal would be admitted, and what it would cost. Nothing is run."""
        return Appraisal.model_validate(self.ask("propose", proposal=proposal))

    # ------------------------------------------------------------ tell

    def start(self, proposal: Proposal) -> Trial:
        """Start a trial. A rejected one comes back as a trial of that state. Raises InputError if there is no room."""
        trial = Trial.model_validate(self.ask("start", proposal=proposal))
        if trial.state == "pending":
            self._started.append(trial.id)
        return trial

    def wait(self, timeout: float | None = None) -> Trial | None:
        """The next trial that ended of those that this client started; None when `timeout` passed or none is left."""
        if not self._started:
            return None
        found = self.ask("wait", trials=self._started, seconds=timeout)
        if found is None:
            return None
        trial = Trial.model_validate(found)
        self._started.remove(trial.id)
        return trial

    def step(self, proposal: Proposal) -> Trial:
        """Start a proposal, as soon as there is a slot for it, and wait for that trial."""
        return Trial.model_validate(self.ask("step", proposal=proposal))

    def submit(self, path: str | Path, rationale: str = "", author: str = "") -> Trial:
        """Score a checkpoint that was made outside, as soon as there is a slot for it."""
        where = str(Path(path).expanduser().absolute())
        return Trial.model_validate(self.ask("submit", path=where, rationale=rationale, author=author))

    def cancel(self, trial_id: str) -> None:
        """End a running trial; `wait` brings it as failed."""
        self.ask("cancel", trial=trial_id)

    def finish(self) -> dict[str, Any]:
        """Have the run finished: choice, final split, report, which is returned."""
        found: dict[str, Any] = self.ask("finish")
        return found

    # ------------------------------------------------------------ inside

    def ask(self, name: str, **arguments: Any) -> Any:
        """The plain answer to a request; news on the way go to `on_event`."""
        try:
            with self._connected() as connection:
                connection.sendall(wire.request(self.token, name, plain(arguments)))
                for message in wire.read_lines(connection, SILENCE_SECONDS):
                    if "result" in message:
                        return message["result"]
                    if "error" in message:
                        raise wire.raised(message["error"])
                    self._hear(message.get("news"))
        except TimeoutError:
            raise InputError(f"{self.folder}: its owner does not answer: end that process, then try again") from None
        except OSError as error:
            raise Gone(f"{self.folder}: its owner is gone ({error.strerror}): start the command again") from None
        raise Gone(f"{self.folder}: its owner ended before it answered: start the command again")

    def _connected(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(CONNECT_SECONDS)
            self._knock(connection)
            self._connections.add(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _knock(self, connection: socket.socket) -> None:
        """Connect; where many do at once the system may refuse for the moment (EAGAIN)."""
        deadline = time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                return connection.connect(self.address)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.02)

    def hang_up(self) -> None:
        """End all calls under way, which raise Gone. For any other thread."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _hear(self, told: Any) -> None:
        if not isinstance(told, dict):
            return
        trial = told.get("trial")
        with contextlib.suppress(ValueError):  # of a later version
            self.on_event(News.model_validate({**told, "trial": {"id": trial} if trial else None}))
