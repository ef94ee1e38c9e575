"""What a run may spend on its judge, counted before it is spent, by all of its processes together."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from pipeline.errors import InputError, JudgeError
from pipeline.paths import read_json, write_json

CENT = 0.01


class Purse:
    """Dollars spent, against a cap. With a file the sum lives there, else in this process. Safe for threads.

    A request is charged at the most that it can cost before it is sent, and at what it did cost afterwards. Whoever is
    killed in between has paid the most: the cap holds whatever happens.
    """

    def __init__(self, cap: float | None, file: Path | None = None) -> None:
        self.cap, self.file = cap, file
        self._spent = 0.0
        self._in_flight = 0
        self._changed = threading.Condition()

    def spent(self) -> float:
        """Dollars spent so far."""
        return self._read() if self.file else self._spent

    @contextlib.contextmanager
    def paying(self, at_most: float) -> Iterator[list[float]]:
        """Charge a request; put what it cost into the list. Waits for requests in flight if only they stand in the way.

        Raises JudgeError if the cap would not hold.
        """
        cost: list[float] = []
        with self._changed:
            while not self._charge(at_most):
                if not self._in_flight:
                    raise JudgeError(f"the judge's budget of {money(self.cap)} is spent: raise --judge-budget")
                self._changed.wait()
            self._in_flight += 1
        try:
            yield cost
        finally:
            with self._changed:
                self._in_flight -= 1
                self._add(sum(cost) - at_most)
                self._changed.notify_all()

    def _charge(self, dollars: float) -> bool:
        with self._locked():
            fits = self.cap is None or self.spent() + dollars <= self.cap
            if fits:
                self._write(self.spent() + dollars)
            return fits

    def _add(self, dollars: float) -> None:
        with self._locked():
            self._write(max(0.0, self.spent() + dollars))

    def _locked(self) -> contextlib.AbstractContextManager[object]:
        return FileLock(f"{self.file}.lock") if self.file else contextlib.nullcontext()

    def _read(self) -> float:
        assert self.file is not None
        if not self.file.exists():
            return 0.0
        try:
            return float(read_json(self.file)["dollars"])
        except (KeyError, TypeError, ValueError, InputError):
            raise JudgeError(f"{self.file}: not readable, so what was spent is not known: restore it") from None

    def _write(self, dollars: float) -> None:
        if self.file:
            write_json(self.file, {"dollars": dollars})
        else:
            self._spent = dollars


def money(dollars: float | None) -> str:
    """An amount as a person reads it."""
    if dollars is None:
        return "price unknown"
    return f"${dollars:.2f}" if dollars >= CENT or dollars == 0 else f"${dollars:.2g}"
