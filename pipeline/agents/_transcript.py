"""What an agent's program said, as JSON Lines in the run's folder, and the tokens and dollars that it told of.

Lines that are JSON are kept as JSON. The file has a limit: what does not fit is counted and left out, and the file and
the report say so.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.types import Strict

FILE = "transcript.jsonl"


class UsageRule(Strict):
    """Where a program's JSON tells what it used: in objects that have the values of `when`.

    Paths are dotted. `tokens` are added up; `once_per` names what makes two objects tell of the same thing, the later
    of which counts; one that `replaces` tells of the whole session.
    """

    when: dict[str, str]
    tokens: tuple[str, ...] = ()
    dollars: str = ""
    once_per: str = ""
    replaces: bool = False


@dataclass
class Usage:
    """What one session told of."""

    parts: dict[str, tuple[int, float | None]] = field(default_factory=dict)
    whole: list[tuple[int, float | None]] = field(default_factory=list)

    def add(self, rules: Sequence[UsageRule], found: Mapping[str, Any]) -> None:
        """Take what an object tells, if it tells anything."""
        for rule in rules:
            if all(_at(found, path) == value for path, value in rule.when.items()):
                tokens = sum(int(_number(_at(found, path)) or 0) for path in rule.tokens)
                told = (tokens, _number(_at(found, rule.dollars)) if rule.dollars else None)
                if rule.replaces:
                    self.whole.append(told)
                else:
                    self.parts[str(_at(found, rule.once_per)) if rule.once_per else f"#{len(self.parts)}"] = told
                return

    @property
    def tokens(self) -> int | None:
        """Tokens, those read from a cache included; None if nothing was told."""
        told = self.whole or list(self.parts.values())
        return sum(tokens for tokens, _ in told) if told else None

    @property
    def dollars(self) -> float | None:
        """US dollars, where the program told any."""
        told = [dollars for _, dollars in self.whole or self.parts.values() if dollars is not None]
        return sum(told) if told else None


class Transcript:
    """Appends to the file. May be called by any thread."""

    def __init__(self, folder: Path, most_bytes: int, rules: Sequence[UsageRule]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.most_bytes, self.rules = folder / FILE, most_bytes, rules
        self.usage, self.session = Usage(), 0
        self.lines = self.left_out = 0
        self.last = ""  # what it said last, for a note
        self._bytes = self.path.stat().st_size if self.path.exists() else 0
        self._lock = threading.Lock()

    def begin(self, session: int, **fields: Any) -> None:
        """A session of the program begins."""
        self.usage, self.session, self.lines, self.last = Usage(), session, 0, ""
        self._write({"event": "session", **fields})

    def end(self, **fields: Any) -> None:
        """It ended."""
        with self._lock:
            self._append({"event": "end", "left_out_lines": self.left_out, **fields}, always=True)

    def hear(self, stream: str, line: bytes, cut: int) -> None:
        """A line of its output."""
        self.lines += 1
        text = line.decode(errors="replace")
        found = _object(text)
        if found is not None and not cut:
            with self._lock:
                self.usage.add(self.rules, found)
        if text.strip():
            self.last = text.strip()[-300:]
        said = {"json": found} if found is not None else {"text": text}
        self._write({"stream": stream, **said, **({"cut_bytes": cut} if cut else {})})

    def _write(self, row: dict[str, Any]) -> None:
        with self._lock:
            self._append(row)

    def _append(self, row: dict[str, Any], always: bool = False) -> None:
        told = {"time": round(time.time(), 3), "session": self.session, **row}
        try:
            data = json.dumps(told, allow_nan=False).encode() + b"\n"
        except ValueError:  # NaN is no JSON
            data = json.dumps({**told, "json": None, "text": str(row.get("json"))}).encode() + b"\n"
        if self._bytes + len(data) > self.most_bytes and not always:
            if not self.left_out:
                self._append({"event": "full", "why": f"the limit of {self.most_bytes} bytes is reached"}, always=True)
            self.left_out += 1
            return
        with self.path.open("ab") as file:
            file.write(data)
        self._bytes += len(data)


def _object(text: str) -> dict[str, Any] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _at(found: Any, path: str) -> Any:
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
    return float(value) if is_number else None
