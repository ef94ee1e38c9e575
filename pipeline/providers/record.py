"""Every exchange with a model, one JSON object a line, for its owner only: what was sent, what came, what it cost.

A request is written before it is sent, at the most that it can cost, and again when its reply came: whoever is killed
in between has paid the most. A record is also what a search is replayed from. It never holds a key: clients see to it.

    {"kind": "asked", "turn", "part", "number", "question", "model", "system", "turns",
     "at_most": {"tokens", "dollars"}}
    {"kind": "came", "turn", "part", "number", "state", "text", "input_tokens", "output_tokens", "dollars", "seconds",
     "wait"}
    {"kind": "ended", "turn", "part", "question", "result", "why"}

Several may write to one record, a team's member and its critic: each reads what the others wrote, so that a cap on all
exchanges is one cap.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from pipeline.errors import InputError
from pipeline.paths import plain
from pipeline.types import Record

FILE = "exchanges.jsonl"
State = Literal["pending", "answered", "busy", "refused"]
Result = Literal["proposed", "handed over", "passed", "vetoed"]
PROPOSAL = "proposal"  # what of a turn is asked for; a critic's are `review 1`, `review 2`


class Subject(NamedTuple):
    """What is asked: in which turn, for which part of it, and the question as a digest."""

    turn: int
    question: str
    part: str = PROPOSAL


class Cost(Record):
    """Tokens and dollars; dollars are None where the price is not known."""

    tokens: int = 0
    dollars: float | None = None


class Exchange(Record):
    """One request of a turn and what came of it. `text` is the answer, or why there is none."""

    turn: int  # which of the questions: the number of the trial that it is about
    part: str = PROPOSAL
    number: int  # of the request within its turn
    question: str  # stands for what was asked, less what differs from clock to clock
    model: str
    state: State = "pending"
    text: str = ""
    wait: float | None = None  # seconds that the server asked to wait
    input_tokens: int = 0
    output_tokens: int = 0
    dollars: float | None = None
    seconds: float = 0.0
    at_most: Cost = Cost()

    @property
    def cost(self) -> Cost:
        """What it cost; the most it can have while that is not known."""
        if self.state == "pending":
            return self.at_most
        return Cost(tokens=self.input_tokens + self.output_tokens, dollars=self.dollars)


class Ended(Record):
    """How a turn, or a part of it, ended: with a proposal, with a review's result, or handed over, and why."""

    turn: int
    part: str = PROPOSAL
    question: str
    result: Result
    why: str = ""


@dataclass
class Turns:
    """What a record holds."""

    exchanges: list[Exchange] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)

    def of(self, turn: int, question: str | None = None, part: str = PROPOSAL) -> list[Exchange]:
        """A part's exchanges: those about one question, or else about the last one that was asked in it."""
        found = [each for each in self.exchanges if (each.turn, each.part) == (turn, part)]
        wanted = question or (found[-1].question if found else "")
        return [each for each in found if each.question == wanted]

    def end_of(self, turn: int, question: str | None = None, part: str = PROPOSAL) -> Ended | None:
        """How a part ended the last time; None if it did not, or was about another question."""
        found = [each for each in self.ended if (each.turn, each.part) == (turn, part)]
        return next((each for each in reversed(found) if question in (None, each.question)), None)

    def proposals(self) -> list[Ended]:
        """How the turns of whoever proposes ended."""
        return [each for each in self.ended if each.part.startswith(PROPOSAL)]

    def reviews(self) -> list[Ended]:
        """How the reviews of proposals ended."""
        return [each for each in self.ended if not each.part.startswith(PROPOSAL)]

    def spent(self) -> Cost:
        """What all exchanges cost; dollars are None if any price is not known."""
        return _sum(self.exchanges)

    def told_of(self, subject: Subject) -> dict[str, Any]:
        """What one part of a turn took, as a note of the ledger tells it; dollars are None if a price is not known."""
        own = self.of(subject.turn, subject.question, subject.part)
        cost = _sum(own)
        return {"requests": len(own), "tokens": cost.tokens, "dollars": cost.dollars}


def _sum(exchanges: Sequence[Exchange]) -> Cost:
    costs = [each.cost for each in exchanges]
    dollars = [cost.dollars for cost in costs]
    return Cost(
        tokens=sum(cost.tokens for cost in costs),
        dollars=None if None in dollars else sum(each for each in dollars if each is not None),
    )


def read(path: Path) -> Turns:
    """The turns of a record: a file, or a run's folder. A torn last line is left out.

    Raises InputError: it is not there, or not a record.
    """
    place = path / "agent" / FILE if path.is_dir() else path
    if not place.is_file():
        raise InputError(f"{path}: no record of exchanges: name the {FILE} that a search with a language model wrote")
    found = _read(place)
    if not found.exchanges:
        raise InputError(f"{place}: holds no exchange with a language model: there is nothing to replay")
    return found


def _read(place: Path) -> Turns:
    found = Turns()
    lines = place.read_bytes().split(b"\n")[:-1]  # what follows the last line's end was torn by a crash
    for number, line in enumerate(lines, start=1):
        if line.strip():
            _take(found, _parsed(line, place, number), place, number)
    return found


def _parsed(line: bytes, place: Path, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or value.get("kind") not in ("asked", "came", "ended"):
        raise InputError(f"{place}, line {number}: not of a record of exchanges: name another file, or correct it")
    return value


def _take(found: Turns, event: dict[str, Any], place: Path, number: int) -> None:
    try:
        if event["kind"] == "asked":
            found.exchanges.append(Exchange.model_validate(event))
        elif event["kind"] == "ended":
            found.ended.append(Ended.model_validate(event))
        else:
            asked = next(
                index
                for index in reversed(range(len(found.exchanges)))
                if _mark(found.exchanges[index].model_dump()) == _mark(event)
            )
            whole = found.exchanges[asked].model_dump() | event
            found.exchanges[asked] = Exchange.model_validate(whole)
    except (ValidationError, KeyError, StopIteration, TypeError):
        raise InputError(f"{place}, line {number}: not an exchange: name another file, or correct it") from None


def _mark(event: dict[str, Any]) -> tuple[Any, ...]:
    """What tells a request from the others."""
    return event["turn"], event.get("part", PROPOSAL), event["number"]


class Log:
    """The record of one run, read and appended to. Without a folder it lives in memory."""

    def __init__(self, folder: str = "") -> None:
        self.path, self._is_whole = Path(folder) / FILE if folder else None, False
        self._turns, self._size = Turns(), 0
        self.turns  # noqa: B018  a damaged record is told at once

    @property
    def turns(self) -> Turns:
        """All that is on the record, others' entries since the last look included. Raises InputError: damaged."""
        size = self.path.stat().st_size if self.path and self.path.is_file() else 0
        if self.path and size != self._size:
            self._turns, self._size = _read(self.path), size
        return self._turns

    def asked(self, exchange: Exchange, system: str, turns: Sequence[str]) -> None:
        """A request is about to be sent."""
        known = self.turns
        self._append("asked", {**exchange.model_dump(), "system": system, "turns": list(turns)})
        known.exchanges.append(exchange)

    def came(self, exchange: Exchange) -> None:
        """What came of the request that was written last."""
        known = self.turns
        self._append("came", exchange.model_dump(exclude={"question", "model", "at_most"}))
        known.exchanges[-1] = exchange

    def ended(self, ended: Ended) -> None:
        """A turn, or a part of it, is over."""
        known = self.turns
        self._append("ended", ended.model_dump())
        known.ended.append(ended)

    def _append(self, kind: str, fields: dict[str, Any]) -> None:
        if self.path is None:
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        line = json.dumps({"kind": kind, **plain(fields)}, allow_nan=False).encode() + b"\n"
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        with open(handle, "rb+") as file:
            if not self._is_whole:  # cut off what a crash has torn: it was never sent, or is charged at its most
                file.truncate(file.read().rfind(b"\n") + 1)
                self._is_whole = True
            file.seek(0, os.SEEK_END)
            file.write(line)
            file.flush()
            os.fsync(handle)
            self._size = file.tell()
