"""Asking one model in the course of a run: on the record, under a cap, with patience that ends and is seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from pipeline.errors import InputError
from pipeline.providers.client import Client, Form
from pipeline.providers.exchange import Busy, Reply, TooLong
from pipeline.providers.prices import dollars
from pipeline.providers.record import Cost, Exchange, Log, Subject, Turns

WAITS_SECONDS = (1.0, 2.0, 4.0)  # after a failed request; one more failure ends the turn
LEAST_CONTEXT = 1_000  # tokens: less holds no question worth asking
BYTES_PER_TOKEN = 2  # of what is sent, at worst: figures and brackets are short tokens


class Cap(NamedTuple):
    """What all exchanges of a run may cost together, in one of the two; None: no limit."""

    tokens: int | None = None
    dollars: float | None = None

    def holds(self, spent: Cost, more: Cost) -> bool:
        """Whether a request that costs so much still fits. What is not known fits no cap in dollars."""
        if self.tokens is not None and spent.tokens + more.tokens > self.tokens:
            return False
        if self.dollars is None:
            return True
        known = spent.dollars is not None and more.dollars is not None
        return known and (spent.dollars or 0.0) + (more.dollars or 0.0) <= self.dollars

    def __str__(self) -> str:
        return f"{self.tokens:,} tokens" if self.dollars is None else f"${self.dollars:g}"


class Room(NamedTuple):
    """Tokens that a model's context has, and those of them that a reply may take."""

    context: int
    reply: int


class NoReply(Exception):
    """There is no answer to this turn: its text says why."""


class Overlong(NoReply):
    """The model refused what was sent as too long; it may be asked again with less."""


class Speaker(Protocol):
    """What answers: a model, or a record."""

    room: Room

    def say(self, about: Subject, system: str, turns: Sequence[str], form: Form | None, until: float) -> str:
        """The answer to a conversation. Raises NoReply; Overlong once `room` has been made smaller."""
        ...


def tokens(text: str) -> int:
    """At most about so many tokens are in a text."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


class Live:
    """A model that is asked now."""

    def __init__(self, client: Client, log: Log, cap: Cap, tell: Callable[[str], None], room: Room) -> None:
        self.client, self.log, self.cap, self.tell, self.room = client, log, cap, tell, room
        self.address = client.address

    def say(self, about: Subject, system: str, turns: Sequence[str], form: Form | None, until: float) -> str:
        """See `Speaker.say`. `until` (of time.monotonic) is never passed, waiting included."""
        for tries, wait in enumerate((*WAITS_SECONDS, None), start=1):
            asked = Exchange(
                **about._asdict(), number=len(self.log.turns.of(*about)), model=str(self.address),
                at_most=self._most(system, turns),
            )  # fmt: skip
            if not self.cap.holds(self.log.turns.spent(), asked.at_most):
                raise NoReply(f"the cap of {self.cap} does not hold another request: raise {self.address.role.cap}")
            self.log.asked(asked, system, turns)
            came, error = self._exchange(asked, system, turns, form, until)
            self.log.came(came)
            if error is None:
                return came.text
            if not isinstance(error, Busy):
                raise self._refusal(error)
            self._wait(error, tries, wait, until)
        raise AssertionError("the last try returns or raises")

    def _refusal(self, error: InputError) -> NoReply:
        """Why there is no answer. A context that was found to be smaller than thought is kept in mind."""
        if not isinstance(error, TooLong):
            return NoReply(str(error))
        context = error.held if error.held and error.held < self.room.context else self.room.context * 2 // 3
        if context < LEAST_CONTEXT:
            return NoReply(str(error))
        self.room = Room(context, min(self.room.reply, context // 4))
        self.client.max_tokens = self.room.reply
        self.tell(f"language model {self.address}: that was too long for its context; asked with {context} tokens now")
        return Overlong(str(error))

    def _exchange(
        self, asked: Exchange, system: str, turns: Sequence[str], form: Form | None, until: float
    ) -> tuple[Exchange, Busy | InputError | None]:
        """The exchange with what came of it, and why there is no answer."""
        begun = time.monotonic()

        def ended(state: str, text: str, reply: Reply | None = None, **more: float | None) -> Exchange:
            used = self._cost(asked, reply) if reply else {}
            seconds = round(time.monotonic() - begun, 3)
            return asked.model_copy(update={"state": state, "text": text, "seconds": seconds, **used, **more})

        try:
            reply = self.client.ask(system, turns, form, max(0.01, until - begun))
        except Busy as busy:
            # a model that may have worked on it may bill it
            lost = {"input_tokens": asked.at_most.tokens if busy.may_be_billed else 0}
            price = asked.at_most.dollars if busy.may_be_billed else _free(asked)
            return ended("busy", str(busy), None, wait=busy.wait_seconds, dollars=price, **lost), busy
        except InputError as error:
            return ended("refused", str(error), None, dollars=_free(asked)), error
        return ended("answered", reply.text, reply), None

    def _wait(self, busy: Busy, tries: int, wait: float | None, until: float) -> None:
        """Wait before the next try, if there is one and time for it."""
        who = f"language model {self.address}"
        if wait is None:
            raise NoReply(f"{who}: {busy}, {tries} times in a row") from None
        seconds = max(wait, busy.wait_seconds or 0.0)
        if time.monotonic() + seconds >= until:
            asks = f", and it asks to wait {seconds:.0f} s" if busy.wait_seconds else ""
            raise NoReply(f"{who}: {busy}{asks}; the turn's time is over") from None
        self.tell(f"{who}: {busy}; again in {seconds:.0f} s ({tries} of {len(WAITS_SECONDS)})")
        time.sleep(seconds)

    def _most(self, system: str, turns: Sequence[str]) -> Cost:
        sent = sum(tokens(text) for text in (system, *turns))
        return Cost(
            tokens=sent + self.client.max_tokens, dollars=dollars(self.address, sent, self.client.max_tokens)
        )  # fmt: skip

    def _cost(self, asked: Exchange, reply: Reply) -> dict[str, float | None]:
        """What a reply cost, as the server says; by its length where it says nothing."""
        sent = reply.input_tokens or max(0, asked.at_most.tokens - self.client.max_tokens)
        came = reply.output_tokens or tokens(reply.text)
        return {"input_tokens": sent, "output_tokens": came, "dollars": dollars(self.address, sent, came)}


def _free(asked: Exchange) -> float | None:
    """No dollars, where dollars are counted at all."""
    return None if asked.at_most.dollars is None else 0.0


class Recorded:
    """A record in a model's place: the same answers and failures in the same order, at once and for nothing."""

    def __init__(self, turns: Turns, room: Room, log: Log | None = None, by_question: bool = False) -> None:
        self.turns, self.room, self.log, self.by_question = turns, room, log, by_question
        self.said: dict[tuple[int, str], int] = {}

    def has(self, about: Subject) -> bool:
        """Whether this was asked, and came to its end, in the record."""
        return self.turns.end_of(about.turn, self._asked(about), about.part) is not None

    def say(self, about: Subject, system: str, turns: Sequence[str], form: Form | None, until: float) -> str:
        """See `Speaker.say`."""
        found, key = self.turns.of(about.turn, self._asked(about), about.part), (about.turn, about.part)
        while self.said.get(key, 0) < len(found):
            exchange = found[self.said.get(key, 0)]
            self.said[key] = self.said.get(key, 0) + 1
            self._keep(exchange, about.question, system, turns)
            if exchange.state == "answered":
                return exchange.text
            if exchange.state == "refused" and self.said[key] == len(found):  # else it was asked again with less
                raise NoReply(exchange.text)
        ended = self.turns.end_of(about.turn, part=about.part)
        raise NoReply(ended.why if ended and ended.why else "the record ends here")

    def _asked(self, about: Subject) -> str | None:
        return about.question if self.by_question else None

    def _keep(self, exchange: Exchange, question: str, system: str, turns: Sequence[str]) -> None:
        """On the record of this run, too, as what costs nothing."""
        if self.log is None:
            return
        free = {"question": question, "dollars": 0.0, "input_tokens": 0, "output_tokens": 0, "at_most": Cost()}
        copied = exchange.model_copy(update=free)
        self.log.asked(copied.model_copy(update={"state": "pending", "text": ""}), system, turns)
        self.log.came(copied)
