"""A command-line agent in a working folder and a sandbox: `command:claude`, or a command line of your own.

It steps by itself, through the client in its folder, and is started again when it stops with budget left. What it
proposes goes through the same doors as anybody's. Nothing of its user's is visible to it but the one key that it needs.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import agent_options
from pipeline.agents import _command_options as command_options
from pipeline.agents._command_cell import cell_of, walls_of
from pipeline.agents._command_options import Options
from pipeline.agents._command_prompt import prompt
from pipeline.agents._command_sessions import Sessions, kept
from pipeline.agents._workfolder import BASE_INSIDE, WorkFolder
from pipeline.cage import walls
from pipeline.contracts import SelfDriven
from pipeline.errors import InputError
from pipeline.types import Brief

__all__ = ["Options", "check_argument", "create", "ready"]

EXAMPLE = "claude"
CLOSED = {
    "submit": "submit is closed: this run takes recipes only (its user may open it with --freedom code)",
    "rows": "rows are closed: this run takes recipes only; `catalogue` shows sample rows of every source",
    "base_folder": "the base model is closed: this run takes recipes only",
}
LEAKS = (
    "final items' results and the salt that selects final items (sealed/)",
    "the instruct model's weights",
    "all that its user may read: files, keys, other programs",
    "anything on the network",
    "it could have written to the run's folder, the ledger included",
)


def check_argument(argument: str) -> None:
    """Raises InputError unless `argument` is a preset's name or a command line."""
    command_options.words(argument)


def ready(argument: str, given: Mapping[str, Any]) -> None:
    """Raises InputError if the program, its key, a place or the sandbox that was asked for is missing here."""
    options = agent_options.read(Options, given, "command")
    command_options.settle(argument, options)
    command_options.readable(options, argument)
    if options.sandbox == "on" and walls.why_not():
        raise InputError(f"sandbox=on: there is none here: {walls.why_not()}; or run it without, with sandbox=off")


def create(brief: Brief, seed: int, argument: str) -> SelfDriven:
    """The agent; its program is not started yet."""
    return Command(brief, argument)


class Command:
    """See `contracts.SelfDriven`."""

    def __init__(self, brief: Brief, argument: str) -> None:
        self.brief, self.options = brief, agent_options.read(Options, brief.options, "command")
        self.place, self.note = Path(brief.folder), lambda name, text="", **fields: None
        before = kept(self.place if brief.folder else None)  # whoever resumes may be in another folder
        self.line = command_options.settle(argument, self.options, list(before.argv))
        kept_binds = [Path(path) for path in before.bind]
        self.readable = kept_binds if before.argv else command_options.readable(self.options, argument)
        self.author = f"command:{command_options.name_of(argument, self.line.argv)}"
        self.refused: Mapping[str, str] = {} if self.options.freedom == "code" else CLOSED
        self._sessions: Sessions | None = None
        self._lock, self._is_stopped = threading.Lock(), False

    def stop(self) -> None:
        """See `contracts.SelfDriven`."""
        with self._lock:
            self._is_stopped = True
            if self._sessions is not None:
                self._sessions.stop.set()

    def run(self, client: Any) -> str:
        """Prepare the folder, then session after session; why there is no more."""
        why = "--agent-option sandbox=off" if self.options.sandbox == "off" else walls.why_not()
        if why and self.options.sandbox == "on":
            raise InputError(f"no sandbox: {why}")
        sessions = Sessions(self.place, self.line, self.readable, self.options, self.note)
        with self._lock:
            self._sessions = sessions
            if self._is_stopped:
                return "the agent was stopped"
        place = self.place.absolute()
        code = self.options.freedom == "code"
        base = Path(client.ask("base_folder")) if code else None
        inner = None if why else walls_of(place, self.line.argv, self.readable, self.options, client.hidden, base)
        folder = WorkFolder(place, inner.uid if inner else 0)
        has_items = folder.fill(self.brief, client)
        folder.open_doors(client.address, client.token)
        shown = BASE_INSIDE if inner else base

        def tell(number: int) -> Path:
            left, history = client.remaining(), client.history()
            return folder.tell(prompt(self.brief, left, history, shown if code else None, number, has_items))

        self._note_terms(why)
        with cell_of(folder, inner, self.line.hosts, Path(client.address), self._note_refused) as cell:
            return sessions.run(cell, client, tell)

    # ------------------------------------------------------------ inside

    def _note_refused(self, host: str) -> None:
        self.note("agent_refused_host", f"the agent tried to reach {host}: refused", host=host)

    def _note_terms(self, why: str | None) -> None:
        text = f"the agent runs without a sandbox ({why}): the run is not sealed" if why else ""
        self.note(
            "agent_terms", text, agent=self.author, freedom=self.options.freedom, unsealed_because=why,
            sandbox="none" if why else "bubblewrap", hosts=[f"{each.name}:{each.port}" for each in self.line.hosts],
            could_have_leaked=list(LEAKS) if why else [],
        )  # fmt: skip
