"""Thinking aloud is not the answer: what stands after it is."""

from __future__ import annotations

import re

THOUGHT = re.compile(r"<(think|thinking|thought|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
CLOSED = re.compile(r"\A.*</(?:think|thinking|thought|reasoning)>", re.DOTALL | re.IGNORECASE)
OPENED = re.compile(r"<(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
DELIMITERS = re.compile(r"[\s`*_$\-=~#.\\\[\](){}|]*")  # a line of these says nothing


def spoken(text: str) -> str:
    """The answer without its think blocks; also where a template opened the block before the text began.

    A block that never ends has no answer after it: what comes before it is left.
    """
    rest = CLOSED.sub("", THOUGHT.sub("", text))
    opened = OPENED.search(rest)
    return rest[: opened.start()] if opened else rest


def last_line(text: str) -> str:
    """The last line that says something: fences, closing brackets and rules after it are skipped."""
    lines = [line.strip() for line in text.splitlines()]
    return next((line for line in reversed(lines) if not DELIMITERS.fullmatch(line)), "")
