"""A second way in, for an agent that steps by itself: the same doors, but those only that it may use.

It has a socket and a token of its own, which open nothing else: no `finish`, no report. What it proposes carries its
name. What it submits has to lie in its working folder: the gate takes hold of the files there without following a
link, so that a path that is changed in between leads nowhere.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pipeline import benchmarks, catalogue, opening, protocols
from pipeline.errors import InputError, unknown
from pipeline.owner.answers import Answers, Tell
from pipeline.owner.client import Client
from pipeline.owner.listener import Listener
from pipeline.paths import plain
from pipeline.session import Session
from pipeline.view import View

# of a run's questions and doors, those that are open to a guest
OPEN = ("ping", "brief", "space", "catalogue", "budget", "remaining", "has_room", "history", "trials", "trial",
        "progress", "compare", "propose", "start", "step", "wait", "cancel", "submit")  # fmt: skip
PATIENT_REJECTIONS, PAUSE_SECONDS = 20, 1.0  # after so many in a row every further one waits: a ledger has no end
MOST_ROWS = 5_000  # of a source in one answer
STAGED = "staged"


class Lease(Client):
    """What an agent that steps by itself is given: the run's doors, and what its runner has to know."""

    def __init__(self, gate: Gate, address: str, token: str) -> None:
        super().__init__(gate.place, address, token)
        self.gate = gate
        self.hidden = gate.hidden  # folders that the agent must not see

    def idle_seconds(self) -> float:
        """Seconds since the agent last asked for something; 0 while it waits for an answer."""
        return self.gate.idle_seconds()

    @property
    def calls(self) -> int:
        """How often the agent has asked for something."""
        return self.gate.calls


class Gate:
    """Open from construction to `close`. Its answers are given on the threads of its own listener."""

    def __init__(self, session: Session, author: str, refused: Mapping[str, str]) -> None:
        self.session, self.author, self.refused = session, author, dict(refused)
        self.place = session.folder / opening.AGENT
        self.place.mkdir(parents=True, exist_ok=True)
        self.answers = Answers(session)
        self.calls = self._open = self._rejections = self._staged = 0
        self._last, self._lock = time.monotonic(), threading.Lock()
        self._verdicts: dict[str, str] = {}
        try:
            self.listener = Listener(self.place, self._answer)
        except OSError as error:
            raise InputError(f"{session.folder}: no local socket can be made for the agent ({error})") from None
        self.lease = Lease(self, self.listener.address, self.listener.token)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """No more calls, and nothing left of what was submitted."""
        self.listener.close()
        shutil.rmtree(self.place / STAGED, ignore_errors=True)

    @property
    def hidden(self) -> tuple[Path, ...]:
        """The run's folder, and where the instruct model lies."""
        instruct = self.session.request.instruct_path
        return (self.session.folder.absolute(), *([Path(instruct)] if instruct else ()))

    def idle_seconds(self) -> float:
        """See `Lease`."""
        with self._lock:
            return 0.0 if self._open else time.monotonic() - self._last

    # ------------------------------------------------------------ answers

    def _answer(self, ask: str, arguments: dict[str, Any], tell: Tell) -> Any:
        with self._lock:
            self.calls, self._open = self.calls + 1, self._open + 1
        try:
            return self._admitted(ask, arguments, tell)
        finally:
            with self._lock:
                self._open, self._last = self._open - 1, time.monotonic()

    def _admitted(self, ask: str, arguments: dict[str, Any], tell: Tell) -> Any:
        if ask in self.refused:
            raise InputError(self.refused[ask])
        if ask in OWN:
            try:
                return OWN[ask](self, **arguments)
            except (TypeError, ValueError):
                raise InputError(f"{ask}: not the arguments that it takes") from None
        if ask not in OPEN:
            raise unknown("request", ask, [*OPEN, *OWN])
        if isinstance(arguments.get("proposal"), dict):
            arguments = {**arguments, "proposal": {**arguments["proposal"], "author": self.author}}
        if ask == "submit":
            arguments = {**arguments, "path": str(self._taken(arguments.get("path"))), "author": self.author}
        if ask in ("start", "step") and self._rejections >= PATIENT_REJECTIONS:
            time.sleep(PAUSE_SECONDS)
        found = self.answers(ask, arguments, tell)
        if ask in ("start", "step"):
            self._rejections = self._rejections + 1 if found.state == "rejected" else 0
        return found

    def _search_items(self) -> list[Any]:
        """The items that trials are scored on; none where final items are the same ones, or a program has its own."""
        view, request = self._view, self.session.request
        if view.benchmark.program is not None or protocols.is_whole_test(view.benchmark):
            return []
        found: list[Any] = plain(benchmarks.items(view.benchmark, "search", request.key, request.search_limit))
        return found

    def _base_folder(self) -> str:
        """Where the base model lies: for an agent that trains by itself."""
        return str(Path(self.session.request.model_path).absolute())

    def _rows(self, source: str, start: int = 0) -> dict[str, Any]:
        """Rows of a source from `start` on, and how many there are; of one that holds final items none."""
        if source not in self._view.sources:
            raise unknown("source", str(source), list(self._view.sources))
        rows = catalogue.rows(source, self.session.request.key)
        if source not in self._verdicts:
            self._verdicts[source] = self._why_not(source, rows)
        if self._verdicts[source]:
            raise InputError(self._verdicts[source])
        first = max(0, int(start))
        return {"total": len(rows), "rows": plain(list(rows[first : first + MOST_ROWS]))}

    def _why_not(self, source: str, rows: Any) -> str:
        view = self._view
        pool = benchmarks.final_pool(view.benchmark, self.session.request.key)
        asked = [guard for guard in view.guards.values() if hasattr(guard, "on_source")]
        verdicts = [guard.on_source(source, rows, pool) for guard in asked]
        return next((verdict.reason for verdict in verdicts if not verdict.ok), "")

    @cached_property
    def _view(self) -> View:
        return View(self.session.folder, self.session.clock.now)

    # ------------------------------------------------------------ submissions

    def _taken(self, path: Any) -> Path:
        """A folder of the run's own that holds the submitted files, the same ones by another name."""
        work = self.place / opening.WORK
        given = Path(os.path.normpath(path)) if isinstance(path, str) else Path()
        if not given.is_absolute():
            raise InputError(f"submit: a whole path is needed, not {path!r}")
        roots = (work.absolute(), work.resolve())
        root = next((each for each in roots if given.is_relative_to(each)), None)
        if root is None or given == root:
            raise InputError(
                f"submit {given}: lies outside of the working folder: submit a folder in {work.absolute()}"
            )
        with self._lock:
            self._staged += 1
            target = self.place / STAGED / f"{self._staged:03d}-{given.name}"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True, mode=0o700)
        _link_files(root, given.relative_to(root), target)
        return target.absolute()


OWN: dict[str, Callable[..., Any]] = {
    "search_items": Gate._search_items,
    "base_folder": Gate._base_folder,
    "rows": Gate._rows,
}


def _link_files(root: Path, below: Path, target: Path) -> None:
    """Give the regular files of a folder a second name in `target`. Raises InputError where the way leads over a link.

    Hard links: nothing is copied, and the name cannot be made to mean another file any more.
    """
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in below.parts:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
            os.close(handle)
            handle = inner
        for name in os.listdir(handle):
            if stat.S_ISREG(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode):
                with contextlib.suppress(FileNotFoundError):
                    os.link(name, target / name, src_dir_fd=handle, follow_symlinks=False)
    except OSError as error:
        why = "no such folder" if isinstance(error, FileNotFoundError) else "not a plain folder (a link?)"
        raise InputError(f"submit {root / below}: {why}: submit a folder that holds the files themselves") from None
    finally:
        os.close(handle)
