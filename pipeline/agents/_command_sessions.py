"""Sessions of a command-line agent: started, watched, ended, and started again when they stop with budget left."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.agents._command_cell import Cell
from pipeline.agents._command_options import Line, Options
from pipeline.agents._transcript import Transcript
from pipeline.agents._workfolder import WorkFolder
from pipeline.cage.folders import size
from pipeline.cage.process import Process
from pipeline.errors import InputError
from pipeline.paths import read_json, write_json
from pipeline.types import Record

TICK_SECONDS = 0.2
DISK_SECONDS = 5.0  # between two looks at how much it has written
QUICK_SECONDS = 10.0  # an agent that ends sooner, without a call, has exited at once
LEAST_PAUSE, MOST_PAUSE = 1.0, 60.0  # seconds before it is started again; doubled each time that it exits at once
KEPT_FILE = "command.json"  # what a resumed run needs: the settled command line, how many sessions there were
PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")
Note = Callable[..., None]


@dataclass(frozen=True)
class Ended:
    """How a session ended."""

    why: str
    status: int | None
    seconds: float
    calls: int
    lines: int

    @property
    def at_once(self) -> bool:
        """Whether it did nothing at all."""
        return self.seconds < QUICK_SECONDS and not self.calls


class Sessions:
    """One agent's sessions, for the thread that it runs on; `stop` may be set by any thread."""

    def __init__(self, place: Path, line: Line, bind: Sequence[Path], options: Options, note: Note) -> None:
        self.place, self.line, self.bind, self.options, self.note = place, line, bind, options, note
        self.stop = threading.Event()
        self.transcript = Transcript(place, int(options.transcript_mb * 10**6), line.usage)

    def run(self, cell: Cell, client: Any, tell: Callable[[int], Path]) -> str:
        """Start the program, and start it again when it stops early; why there is no more. `tell` writes PROMPT.md."""
        number, quick, ended = kept(self.place).sessions, 0, None
        for turn in range(self.options.restarts + 1):
            if turn and self.stop.wait(min(MOST_PAUSE, LEAST_PAUSE * 2 ** max(0, quick - 1))):
                break
            number += 1
            bind = tuple(map(str, self.bind))
            write_json(self.place / KEPT_FILE, Kept(argv=tuple(self.line.argv), bind=bind, sessions=number))
            ended = self._session(cell, client, number, tell(number))
            if self.stop.is_set():
                break
            quick = quick + 1 if ended.at_once else 0
            self._note_early(ended, self.options.restarts - turn)
        if self.stop.is_set() or ended is None:
            return "the agent was stopped"
        times = "once" if turn == 0 else f"{turn + 1} times"
        return f"the agent has stopped {times} with budget left: it {ended.why}"

    def _note_early(self, ended: Ended, more: int) -> None:
        how = f"the agent {ended.why} with budget left"
        then = f": it is told so and started again ({more} left)" if more else ": it is not started again"
        self.note("agent_early", how + then, why=ended.why, more=more)

    # ------------------------------------------------------------ one session

    def _session(self, cell: Cell, client: Any, number: int, prompt: Path) -> Ended:
        again, before = number > 1, client.calls
        argv = filled(self.line.argv, cell.folder, prompt, again)
        sandbox = "bubblewrap" if cell.walls else "none"
        self.transcript.begin(number, argv=argv, sandbox=sandbox)
        self.note("agent_session", f"the agent begins its session {number}" if again else "", session=number)
        try:
            process = Process(
                argv, cell.folder.work, self._variables(cell), self.transcript.hear, cell.walls, cell.proxy, cell.ports
            )
        except OSError as error:
            return self._close(number, Ended(f"could not be started ({error})", None, 0.0, 0, 0))
        why = self._watched(process, cell, client)
        process.end()
        status = process.wait(1.0)
        seconds, calls = process.seconds, client.calls - before
        return self._close(number, Ended(why or told(status), status, seconds, calls, self.transcript.lines))

    def _watched(self, process: Process, cell: Cell, client: Any) -> str:
        """Wait for the end of a session; why it has to be ended, "" if it has ended by itself."""
        looked = time.monotonic()
        while process.wait(TICK_SECONDS) is None:
            if self.stop.is_set():
                return "was ended with its budget"
            now = time.monotonic()
            silent = min(now - process.last_heard, client.idle_seconds(), process.seconds)
            if silent > self.options.patience:
                return f"was silent for {silent:.0f} s and was ended"
            if now - looked > DISK_SECONDS:
                looked = now
                written = size(cell.folder.work) + size(cell.folder.home)
                if written > self.options.limits.disk_bytes:
                    return f"wrote more than {self.options.limits.disk_bytes / 10**9:g} GB and was ended"
        return ""

    def _close(self, number: int, ended: Ended) -> Ended:
        usage, transcript = self.transcript.usage, self.transcript
        told = {"status": ended.status, "seconds": round(ended.seconds, 3), "tokens": usage.tokens,
                "dollars": usage.dollars}  # fmt: skip
        transcript.end(why=ended.why, **told)
        self.note(
            "agent_session_end", session=number, why=ended.why,
            calls=ended.calls, lines=ended.lines, left_out=transcript.left_out, said=transcript.last, **told,
        )  # fmt: skip
        return ended

    def _variables(self, cell: Cell) -> dict[str, str]:
        """The environment of the program: nothing of its user's but what was named."""
        python = [str(Path(sys.prefix) / "bin")] if self.options.freedom == "code" else []
        folders = [str(cell.folder.work), *python, str(Path(self.line.argv[0]).parent)]
        programs = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin", os.path.dirname(_python())]
        known = {name: os.environ[name] for name in PASSED_ON if os.environ.get(name)}
        return {
            "LANG": "C.UTF-8", **known, "HOME": str(cell.folder.home), "USER": "agent", "LOGNAME": "agent",
            "SHELL": "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh", "TERM": "dumb", "NO_COLOR": "1",
            "TMPDIR": "/tmp", "PATH": os.pathsep.join(dict.fromkeys([*folders, *programs])),
            "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1", "POSTTRAIN_WORKDIR": str(cell.folder.work),
            **self.line.variables,
        }  # fmt: skip


def _python() -> str:
    return os.path.realpath(sys.executable)


def filled(argv: Sequence[str], folder: WorkFolder, prompt: Path, again: bool) -> list[str]:
    """The command line with its placeholders filled in; all other braces stay."""
    values = {"{workdir}": str(folder.work), "{prompt}": str(prompt), "{home}": str(folder.home),
              "{ask}": folder.prompt(again)}  # fmt: skip
    found = []
    for part in argv:
        for name, value in values.items():
            part = part.replace(name, value)
        found.append(part)
    return found


def told(status: int | None) -> str:
    """How a program ended, in words."""
    if status is None:
        return "did not end"
    if status < 0:
        with_name = signal.Signals(-status).name if -status in list(signal.Signals) else str(-status)
        return f"was killed by {with_name}"
    return f"exited with status {status}" if status else "exited"


# ---------------------------------------------------------------- what a resumed run needs


class Kept(Record):
    """What of it was settled in the folder where the search was begun, and how many sessions there were."""

    argv: tuple[str, ...] = ()
    bind: tuple[str, ...] = ()
    sessions: int = 0


def kept(place: Path | None) -> Kept:
    """What an earlier owner wrote down; nothing if there was none, or its program is gone."""
    try:
        found = Kept.model_validate(read_json(place / KEPT_FILE)) if place else Kept()
    except (OSError, InputError, ValidationError):
        return Kept()
    return found if found.argv and Path(found.argv[0]).exists() else Kept(sessions=found.sessions)
