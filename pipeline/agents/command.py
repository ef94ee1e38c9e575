"""A command-line agent in a working folder and a sandbox: `command:claude`, or a command line of your own.

It steps by itself, through the client in its folder, and is started again when it stops with budget left. What it
proposes goes through the same doors as anybody's. Nothing of its user's is visible to it but the one key that it needs.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline import agent_options
from pipeline.agents import _command_options as options_of
from pipeline.agents._command_options import Options
from pipeline.agents._command_prompt import prompt
from pipeline.agents._command_sessions import Cell, Sessions, kept_line
from pipeline.agents._workfolder import BASE_INSIDE, WorkFolder
from pipeline.cage import programs, walls
from pipeline.cage.proxy import Proxy
from pipeline.cage.walls import Walls, python_places
from pipeline.contracts import SelfDriven
from pipeline.errors import InputError
from pipeline.paths import home
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
    options_of.words(argument)


def ready(argument: str, given: Mapping[str, Any]) -> None:
    """Raises InputError if the program, its key, a place or the sandbox that was asked for is missing here."""
    options, who = agent_options.read(Options, given, "command"), f"agent 'command:{argument}'"
    options_of.settle(argument, options)
    options_of.readable(options, who)
    if options.sandbox == "on" and walls.why_not():
        raise InputError(f"{who}: no sandbox: {walls.why_not()}; or run it without, by --agent-option sandbox=off")


def create(brief: Brief, seed: int, argument: str) -> SelfDriven:
    """The agent; its program is not started yet."""
    return Command(brief, argument)


class Command:
    """See `contracts.SelfDriven`."""

    def __init__(self, brief: Brief, argument: str) -> None:
        self.brief, self.options = brief, agent_options.read(Options, brief.options, "command")
        self.place, self.note = Path(brief.folder), lambda name, text="", **fields: None
        line = options_of.settle(argument, self.options) if not (kept := kept_line(self.place)) else None
        self.line = line or options_of.settle(argument, self.options, kept)
        self.readable = options_of.readable(self.options, f"agent 'command:{argument}'")
        named = argument.strip() if options_of.preset_of(argument) else Path(self.line.argv[0]).name
        self.author = f"command:{named}"
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
        sessions = Sessions(self.place, self.line, self.options, self.note)
        with self._lock:
            self._sessions = sessions
            if self._is_stopped:
                return "the agent was stopped"
        place = self.place.absolute()
        inner = None if why else self._walls(place, client)
        folder = WorkFolder(place, inner.uid if inner else 0)
        has_items = folder.fill(self.brief, client)
        folder.open_doors(client.address, client.token)
        base = ""
        if self.options.freedom == "code":
            base = str(BASE_INSIDE) if inner else client.ask("base_folder")

        def tell(number: int) -> Path:
            freedom = self.options.freedom
            left, history = client.remaining(), client.history()
            return folder.tell(prompt(self.brief, left, history, freedom, number, has_items, base))

        self._note_terms(why)
        with self._way_out(inner) as (proxy, ports):
            return sessions.run(Cell(folder, self._with_socket(inner, proxy, client), proxy, ports), client, tell)

    # ------------------------------------------------------------ inside

    def _walls(self, place: Path, client: Any) -> Walls:
        hidden = (*client.hidden, home().absolute())
        for path in self.readable:
            if programs.holds(path, hidden):
                raise InputError(f"bind {path}: holds what the agent must not see (the run, or the cache): name less")
        program = programs.needed(self.line.argv, hidden)
        named: dict[str, Path] = {}
        if self.options.freedom == "code":
            base = Path(client.ask("base_folder"))
            named = {str(BASE_INSIDE / path.name): path.resolve() for path in sorted(base.iterdir()) if path.is_file()}
        return Walls(
            own=(place / "work", place / "home"), home=place / "home", place=place / "etc", limits=self.options.limits,
            seen=(*python_places(), *program, *self.readable), hidden=hidden, named=named,
            devices=self.options.freedom == "code",
        )  # fmt: skip

    def _with_socket(self, inner: Walls | None, proxy: Path | None, client: Any) -> Walls | None:
        """The sandbox with its two ways out: to the run, and to the proxy if there is one."""
        if inner is None:
            return None
        address = Path(client.address)
        address.chmod(0o666)  # its folder is this user's alone; inside of the sandbox root's agent is another user
        return inner.through(address, *([proxy] if proxy else []))

    @contextlib.contextmanager
    def _way_out(self, inner: Walls | None) -> Iterator[tuple[Path | None, tuple[int, ...]]]:
        """The proxy's socket, and the ports of this machine that are reached through it; none without a sandbox."""
        hosts = self.line.hosts
        if inner is None or not hosts:
            yield None, ()
            return
        with tempfile.TemporaryDirectory(prefix="posttrain-proxy-") as private:
            address = Path(private) / "proxy"
            with Proxy(address, hosts, self._note_refused):
                yield address, tuple(host.port for host in hosts if host.is_here)

    def _note_refused(self, host: str) -> None:
        self.note("agent_refused_host", f"the agent tried to reach {host}: refused", host=host)

    def _note_terms(self, why: str | None) -> None:
        text = f"the agent runs without a sandbox ({why}): the run is not sealed" if why else ""
        self.note(
            "agent_terms", text, agent=self.author, freedom=self.options.freedom, unsealed_because=why,
            sandbox="none" if why else "bubblewrap", hosts=[f"{each.name}:{each.port}" for each in self.line.hosts],
            could_have_leaked=list(LEAKS) if why else [],
        )  # fmt: skip
