"""Many questions to one judge: kept replies first, a few requests at a time, patience that ends and is seen."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import JudgeError
from pipeline.judges import store
from pipeline.judges.client import check
from pipeline.judges.purse import Purse, money
from pipeline.providers.client import Client, open_client
from pipeline.providers.exchange import Busy, Reply
from pipeline.providers.prices import dollars, tokens
from pipeline.types import Judge

REQUESTS_AT_ONCE = 8
WAITS_SECONDS = (1.0, 2.0, 4.0, 8.0)  # after a failed request; one more failure ends it
LONGEST_WAIT_SECONDS = 60.0  # however long a server asks to wait
ATTEMPTS = 2  # a reply without a verdict is asked for once more
TELL_SECONDS = 10.0

Read = Callable[[str], Any]  # a reply's text -> its verdict; None if it holds none


@dataclass(frozen=True)
class Question:
    """What a judge is asked."""

    prompt: str
    system: str = ""

    def tokens(self) -> int:
        """About how many tokens it has."""
        return tokens(self.system) + tokens(self.prompt)


@dataclass(frozen=True)
class Ruling:
    """What a judge's reply amounts to: a verdict, or None where two replies held none. `kept`: nothing was asked."""

    verdict: Any
    kept: bool
    dollars: float = 0.0


@dataclass
class _Round:
    """The questions of one call and what has become of them."""

    waiting: queue.SimpleQueue[int]
    rulings: dict[int, Ruling] = field(default_factory=dict)
    failure: BaseException | None = None
    running: int = 0


class Asker:
    """Asks one judge."""

    def __init__(self, judge: Judge | None, who: str = "", say: Callable[[str], None] | None = None) -> None:
        self.client: Client = open_client(check(judge, who))
        assert judge is not None
        self.purse = Purse(judge.budget, Path(judge.purse) if judge.purse else None)
        self.say = say or _to_stderr

    def rule(self, questions: Sequence[Question], read: Read) -> list[Ruling]:
        """A ruling per question. What was ruled before a failure is kept and costs nothing the next time.

        Raises JudgeError (no reply in spite of waiting, the budget is spent), InputError (the judge refuses).
        """
        numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(len(questions)):
            numbers.put(number)
        state = _Round(numbers, running=min(REQUESTS_AT_ONCE, len(questions)))
        done = threading.Condition()

        def work() -> None:
            try:
                while state.failure is None:
                    number = state.waiting.get_nowait()
                    state.rulings[number] = self._ruling(questions[number], read, lambda: state.failure is not None)
            except queue.Empty:
                pass
            except BaseException as error:  # told to whoever waits
                state.failure = state.failure or error
            with done:
                state.running -= 1
                done.notify_all()

        for _ in range(state.running):
            threading.Thread(target=work, daemon=True).start()  # an interruption does not wait for replies
        self._watch(state, done, len(questions))
        if state.failure is not None:
            raise self._failure(state, len(questions))
        return [state.rulings[number] for number in range(len(questions))]

    def _watch(self, state: _Round, done: threading.Condition, n: int) -> None:
        told = time.monotonic()
        with done:
            while state.running:
                done.wait(0.2)
                if time.monotonic() - told >= TELL_SECONDS:
                    told = time.monotonic()
                    self.say(f"judge {self.client.address}: {len(state.rulings)} of {n} verdicts")

    def _failure(self, state: _Round, n: int) -> BaseException:
        assert state.failure is not None
        if not isinstance(state.failure, JudgeError):
            return state.failure
        missing = f"{n - len(state.rulings)} of {n} verdicts are missing, so there is no score"
        return JudgeError(f"{state.failure}; {missing}; the others are kept: start the same command again")

    def _ruling(self, question: Question, read: Read, is_over: Callable[[], bool]) -> Ruling:
        spent, kept = 0.0, True
        for attempt in range(ATTEMPTS):
            place = store.path(self.client, question.system, question.prompt, attempt)
            reply = store.find(place)
            if reply is None:
                reply, cost = self._asked(question, is_over)
                store.keep(place, self.client, reply)
                spent, kept = spent + cost, False
            verdict = read(reply.text)
            if verdict is not None:
                return Ruling(verdict, kept, spent)
        return Ruling(None, kept, spent)

    def _asked(self, question: Question, is_over: Callable[[], bool]) -> tuple[Reply, float]:
        """A new reply and its price, after as many tries as patience has."""
        judge = self.client.address
        at_most = dollars(judge, question.tokens(), self.client.max_tokens) or 0.0
        for number, wait in enumerate((*WAITS_SECONDS, None), start=1):
            try:
                return self._paid(question, at_most)
            except Busy as busy:
                if wait is None or is_over():
                    raise JudgeError(f"judge {judge}: {busy}, {number} times in a row") from None
                seconds = min(max(wait, busy.wait_seconds or 0.0), LONGEST_WAIT_SECONDS)
                self.say(f"judge {judge}: {busy}; again in {seconds:.0f} s ({number} of {len(WAITS_SECONDS)})")
                time.sleep(seconds)
        raise AssertionError("the last try returns or raises")

    def _paid(self, question: Question, at_most: float) -> tuple[Reply, float]:
        with self.purse.paying(at_most) as cost:
            try:
                reply = self.client.ask(question.system, [question.prompt])
            except Busy as busy:
                cost.append(at_most if busy.may_be_billed else 0.0)
                raise
            cost.append(dollars(self.client.address, reply.input_tokens, reply.output_tokens) or 0.0)
        return reply, cost[0]

    def tell(self, questions: Sequence[Question], output_tokens: int, what: str) -> None:
        """Say how much is about to be asked and about what it costs, each reply of so many tokens."""
        new = [each for each in questions if store.find(store.path(self.client, each.system, each.prompt, 0)) is None]
        cost = dollars(self.client.address, sum(each.tokens() for each in new), output_tokens * len(new))
        about = f", {'price unknown' if cost is None else 'about ' + money(cost)}" if new else ""
        kept = len(questions) - len(new)
        self.say(f"judge {self.client.address}: {what}, {len(new)} verdicts to ask for, {kept} from the cache{about}")


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
