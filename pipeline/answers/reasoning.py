"""Thinking aloud is not the answer: what stands after it is."""

from __future__ import annotations

import re

TAG = re.compile(r"<(/?)(think|thinking|thought|reasoning)>", re.IGNORECASE)
DELIMITERS = re.compile(r"[\s`*_$\-=~#.\\\[\](){}|]*")  # a line of these says nothing


def spoken(text: str) -> str:
    """The answer without its think blocks; also where a template opened the block before the text began.

    A block that never ends has no answer after it: what comes before it is left.
    """
    rest = _without_blocks(text)
    tags = list(TAG.finditer(rest))
    begin = max((tag.end() for tag in tags if tag[1]), default=0)
    end = min((tag.start() for tag in tags if not tag[1] and tag.start() >= begin), default=len(rest))
    return rest[begin:end]


def _without_blocks(text: str) -> str:
    """The text without whole blocks, in one pass: a model that loops opens thousands."""
    tags = list(TAG.finditer(text))
    last_ends = {tag[2].lower(): tag.start() for tag in tags if tag[1]}
    kept, begin, inside = [], 0, ""
    for tag in tags:
        name = tag[2].lower()
        if not inside and not tag[1] and last_ends.get(name, -1) > tag.start():
            kept.append(text[begin : tag.start()])
            inside = name
        elif tag[1] and inside == name:
            begin, inside = tag.end(), ""
    return "".join([*kept, text[begin:]])


def last_line(text: str) -> str:
    """The last line that says something: fences, closing brackets and rules after it are skipped."""
    lines = [line.strip() for line in text.splitlines()]
    return next((line for line in reversed(lines) if not DELIMITERS.fullmatch(line)), "")
