"""The ledger: the only state of a run. Append-only JSON Lines, one writer, fsynced, each line chained to the last.

A line is `{"v": 1, "seq": its number, "prev": SHA-256 of the previous line's bytes, "time": UTC, "kind": .., ...}`:

    started    trial={id, kind, recipe, strategy, proposal, ..}   a trial that is pending from here on; `switched_from`
               names the strategy of the trial before, if it was another
    finished   trial=ID, state=.., outcome={..}, verdicts=[..]    what became of it (state: see `_ended`)
    abandoned  trial=ID, reason=..                                 it will never finish
    scored, chosen, note                                           not of the history; final scores live here only

Readers ignore fields and kinds that they do not know. The chain shows any change but the removal of the last lines.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from pipeline.errors import LedgerError
from pipeline.paths import plain, sync_folder
from pipeline.types import Outcome, Trial, Verdict
from pipeline.validation import drop_unknown

VERSION = 1
ENVELOPE = ("v", "seq", "prev", "time", "kind")
Event = dict[str, Any]


class Ledger:
    """One run's ledger. Reading never writes, so any process may read; only the run's owner may append."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._scan = Scan([])
        self._owned = False
        self._trials: dict[str, Trial] = {}
        self._folded = 0  # events that `_trials` knows of

    def append(self, kind: str, **fields: Any) -> Event:
        """Write one event and return it once it is on disk. `fields` are plain data or nouns; NaN becomes null.

        Raises LedgerError if the chain is broken, if another process has written, or if the disk takes no more.
        """
        self.repair()
        if _size(self.path) != self._scan.size:
            raise LedgerError(f"{self.path}: another process wrote to it: end that process, then resume this run")
        return self._write(kind, fields)

    def events(self) -> tuple[Event, ...]:
        """All events in order, a torn last line left out. Raises LedgerError naming the line that breaks the chain."""
        if not self._owned and _size(self.path) != self._scan.size:
            self._scan = scan(self.path)
        return tuple(self._scan.events)

    def history(self) -> tuple[Trial, ...]:
        """The trials in the order of their start, as agents see them: pending ones too, final scores never."""
        events = self.events()
        if len(events) < self._folded:  # another ledger has taken this one's place
            self._trials, self._folded = {}, 0
        _fold_into(self._trials, events[self._folded :], self.path)
        self._folded = len(events)
        return tuple(self._trials.values())

    def repair(self) -> bool:
        """Become the writer: move a torn last line to `ledger.torn` beside the ledger, and say so in a note.

        Returns whether there was one. Whole lines are never touched: a broken chain raises LedgerError instead.
        """
        if self._owned:
            return False
        self._scan = found = scan(self.path)
        if found.torn:
            _set_aside(self.path, found)
        if found.unended:
            _extend(self.path, b"\n")
        self._scan = found._replace(size=_size(self.path), torn=b"", unended=False)
        self._owned = True
        if found.torn:
            self._write("note", {"text": "moved a torn last line to ledger.torn", "torn_bytes": len(found.torn)})
        return bool(found.torn)

    def _write(self, kind: str, fields: dict[str, Any]) -> Event:
        taken = [name for name in fields if name in ENVELOPE]
        if taken:
            raise ValueError(f"{', '.join(taken)}: the envelope's own")
        before = self._scan
        envelope = {
            "v": VERSION,
            "seq": len(before.events) + 1,
            "prev": before.head,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "kind": kind,
        }
        line = json.dumps({**envelope, **plain(fields)}, separators=(",", ":"), allow_nan=False).encode()
        is_new = before.size == 0 and not self.path.exists()
        if is_new:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        _extend(self.path, line + b"\n")
        if is_new:
            sync_folder(self.path.parent)
        event: Event = json.loads(line)
        before.events.append(event)
        self._scan = before._replace(head=_hash(line), size=before.size + len(line) + 1)
        return event


# ---------------------------------------------------------------- bytes


class Scan(NamedTuple):
    """What a ledger's bytes hold."""

    events: list[Event]
    head: str = ""  # hash of the last line: what the next line's `prev` must be
    size: int = 0  # bytes of the file
    torn: bytes = b""  # a last line that was not written to its end
    unended: bool = False  # only the last line's newline is missing


def scan(path: Path) -> Scan:
    """Read and verify a whole ledger; one that does not exist is empty. Raises LedgerError naming the line."""
    data = path.read_bytes() if path.exists() else b""
    *lines, unended = data.split(b"\n")
    lines += [unended] if unended else []
    events: list[Event] = []
    head, begin = "", 0
    for number, line in enumerate(lines, start=1):
        event = _parse(line)
        if event is None and number == len(lines) and _is_torn(line):
            return Scan(events, head, len(data), torn=data[begin:])
        events.append(_verified(path, number, event, head))
        head, begin = _hash(line), begin + len(line) + 1
    return Scan(events, head, len(data), unended=bool(unended))


def _parse(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _is_torn(line: bytes) -> bool:
    # what a crash leaves has no whole event in it; a whole event with something behind it was tampered with
    try:
        json.JSONDecoder().raw_decode(line.decode(errors="replace"))
    except ValueError:
        return True
    return False


def _verified(path: Path, number: int, event: Event | None, head: str) -> Event:
    advice = "restore the ledger from a copy, or start a new run in another folder"
    if event is None:
        raise LedgerError(f"{path}, line {number}: not an event: {advice}")
    if event.get("seq") != number:
        found = event.get("seq")
        raise LedgerError(f"{path}, line {number}: has number {found}: lines were deleted, added or moved: {advice}")
    if event.get("prev") != head:
        where = f"line {number - 1}" if number > 1 else "line 1"
        raise LedgerError(f"{path}, {where}: changed after it was written, the chain breaks here: {advice}")
    if not isinstance(event.get("kind"), str):
        raise LedgerError(f"{path}, line {number}: has no kind: {advice}")
    return event


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _set_aside(path: Path, found: Scan) -> None:
    _extend(path.with_suffix(".torn"), found.torn.rstrip(b"\n") + b"\n")
    with path.open("r+b") as file:
        file.truncate(found.size - len(found.torn))
        os.fsync(file.fileno())


def _extend(path: Path, data: bytes) -> None:
    """Append bytes and fsync; on failure the file is as before and a LedgerError says why."""
    with path.open("ab", buffering=0) as file:
        size = file.tell()
        try:
            written = 0
            while written < len(data):
                written += file.write(data[written:])
            os.fsync(file.fileno())
        except OSError as error:
            file.truncate(size)
            raise LedgerError(
                f"{path}: cannot be written ({error.strerror}): mend that, then resume the run"
            ) from error


# ---------------------------------------------------------------- history


def fold(events: Iterable[Event], path: str | Path = "ledger") -> tuple[Trial, ...]:
    """The trials that the events tell of. Raises LedgerError naming the line whose trial cannot be read."""
    trials: dict[str, Trial] = {}
    _fold_into(trials, events, path)
    return tuple(trials.values())


def _fold_into(trials: dict[str, Trial], events: Iterable[Event], path: str | Path) -> None:
    for event in events:
        try:
            trial = _told(trials, event)
        except (ValidationError, KeyError, TypeError) as error:
            what = " ".join(str(error).split())[:200]
            raise LedgerError(f"{path}, line {event.get('seq')}: not a readable '{event['kind']}' ({what})") from None
        if trial is not None:
            trials[trial.id] = trial


def _told(trials: dict[str, Trial], event: Event) -> Trial | None:
    """The trial as it is after the event; None if the event tells of none."""
    if event["kind"] == "started":
        known = drop_unknown(event["trial"], Trial)
        return Trial.model_validate({**known, "state": "pending", "outcome": None})
    if event["kind"] == "finished":
        return _ended(trials.get(event["trial"]) or Trial(id=event["trial"]), event)
    if event["kind"] == "abandoned":
        trial = trials.get(event["trial"]) or Trial(id=event["trial"])
        return trial.model_copy(update={"state": "abandoned"})
    return None


def _ended(trial: Trial, event: Event) -> Trial:
    """The trial with its outcome; without a `state` it failed if there is an error, and else is scored."""
    outcome = Outcome.model_validate(event["outcome"]) if event.get("outcome") else None
    state = event.get("state") or ("failed" if outcome is None or outcome.error else "scored")
    verdicts = [Verdict.model_validate(verdict) for verdict in event.get("verdicts") or ()]
    ended = {
        **trial.model_dump(),
        "state": state,
        "outcome": _without_final(outcome),
        "verdicts": (*trial.verdicts, *verdicts),
    }
    return Trial.model_validate(ended)


def _without_final(outcome: Outcome | None) -> Outcome | None:
    # a second lock on the door: whatever was recorded, no agent's history shows a final score
    if outcome is None:
        return None
    return outcome.model_copy(update={"scores": tuple(score for score in outcome.scores if score.role == "search")})


def pending(history: Sequence[Trial]) -> tuple[Trial, ...]:
    """The trials that have started and not ended."""
    return tuple(trial for trial in history if trial.state == "pending")
