"""A program against its tests: two guests, and this process that carries plain data between them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from pipeline.sandbox.guests import Gone, Guest, Limits, Mode, how
from pipeline.types import Record

MOST_CALLS = 20_000  # of the function by its tests
AHEAD = 2  # pairs of guests that are started before they are needed, per worker


class Check(Record):
    """One program and its tests."""

    program: str  # defines `entry`
    tests: str  # Python that defines check(candidate), or asserts on `entry` itself
    entry: str
    prompt: str = ""  # what helpers of the tests stand in; runs beside the tests


class Verdict(Record):
    """How it ended; `reason` is empty where all tests passed."""

    passed: bool
    reason: str = ""


def check(asked: Check, limits: Limits | None = None, allow_unsafe: bool = False) -> Verdict:
    """Whether a program passes its tests. Raises Unavailable where there is no sandbox."""
    return next(iter(check_all([asked], limits, allow_unsafe)))


def check_all(
    asked: Iterable[Check],
    limits: Limits | None = None,
    allow_unsafe: bool = False,
    workers: int | None = None,
    told: Callable[[int], None] = lambda done: None,
) -> list[Verdict]:
    """Verdicts in the order of the checks; `told` hears how many are done. Raises Unavailable."""
    mode, limits, jobs = how(allow_unsafe), limits or Limits(), list(asked)
    workers = min(workers or len(os.sched_getaffinity(0)), max(1, len(jobs)))
    with _pairs(limits, mode, len(jobs), AHEAD * workers) as pair, ThreadPoolExecutor(workers) as pool:
        verdicts = []
        for verdict in pool.map(lambda job: _examine(job, *pair()), jobs):
            verdicts.append(verdict)
            told(len(verdicts))
        return verdicts


@contextlib.contextmanager
def _pairs(limits: Limits, mode: Mode, needed: int, ahead: int) -> Iterator[Callable[[], tuple[Guest, Guest]]]:
    """As many pairs of guests as are needed, some started ahead: starting takes longer than most programs."""
    waiting: SimpleQueue[tuple[Guest, Guest]] = SimpleQueue()
    numbers = iter(range(needed))

    def start() -> None:
        if next(numbers, None) is not None:
            waiting.put((Guest("program", limits, mode), Guest("tests", limits, mode)))

    for _ in range(ahead):
        start()

    def take() -> tuple[Guest, Guest]:
        start()
        return waiting.get()

    try:
        yield take
    finally:
        while not waiting.empty():
            for guest in waiting.get():
                guest.close()


def _examine(asked: Check, program: Guest, tests: Guest) -> Verdict:
    try:
        program.begin()
        ready = program.ask({"code": asked.program, "entry": asked.entry})
        if "ready" not in ready:
            return Verdict(passed=False, reason=str(ready.get("raised", "it did not start")))
        tests.begin()
        said = _tests_ask(tests, {"code": asked.prompt, "tests": asked.tests, "entry": asked.entry})
        for _ in range(MOST_CALLS):
            if "passed" in said:
                return Verdict(passed=True)
            if "failed" in said:
                return Verdict(passed=False, reason=str(said["failed"]))
            said = _tests_ask(tests, program.ask({"args": said["args"], "kwargs": said["kwargs"]}))
        return Verdict(passed=False, reason=f"its tests called it more than {MOST_CALLS} times")
    except Gone as gone:
        return Verdict(passed=False, reason=str(gone))
    finally:
        program.close()
        tests.close()


def _tests_ask(tests: Guest, message: dict) -> dict:
    try:
        return tests.ask(message)
    except Gone as gone:
        raise Gone(f"the tests: {gone}") from None
