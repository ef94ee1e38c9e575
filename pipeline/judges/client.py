"""Which judge can be asked."""

from __future__ import annotations

from pipeline.errors import InputError
from pipeline.providers import client
from pipeline.providers.names import JUDGE, Address, parse
from pipeline.types import Judge


def check(judge: Judge | None, who: str = "") -> Address:
    """The judge's address if it can be asked: one is named, its package and key are there, a budget can be kept.

    Asks nothing. Raises InputError with the reason.
    """
    if judge is None:
        raise InputError(
            f"{who or 'this benchmark'} is scored by a judge and none is given: name one with --judge; {JUDGE.forms}"
        )
    return client.check(parse(judge.name, JUDGE), judge.budget is not None)
