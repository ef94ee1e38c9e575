"""Python out of a chat answer: what stands in a fence, or the whole text where there is none."""

from __future__ import annotations

import ast
import re

from pipeline.answers.reasoning import spoken

FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
PYTHON = ("python", "py", "python3")


def fenced(text: str) -> str | None:
    """The last Python fence, else the last fence of any language; None without one. An unclosed fence ends the text."""
    blocks = [(found[2].lower(), found[3]) for found in FENCE.finditer(spoken(text))]
    python = [body for language, body in blocks if language in PYTHON]
    return (python or [body for _, body in blocks] or [None])[-1]


def function_code(text: str, name: str) -> str:
    """The code that defines function `name`: of the fences the last that does, else the last fence, else the text.

    Prose around bare code is cut off line by line as long as what is left does not parse.
    """
    said = spoken(text)
    blocks = [found[3] for found in FENCE.finditer(said)]
    defining = [
        body for body in blocks if re.search(rf"^\s*(?:async\s+)?def\s+{re.escape(name)}\b", body, re.MULTILINE)
    ]
    if blocks:
        return (defining or blocks)[-1]
    return _without_prose(said)


def _without_prose(text: str) -> str:
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if re.match(r"(?:from|import|def|class|async|@|#)\b|@|#", line)]
    if _parses(text) or not starts:
        return text
    begin = starts[0]
    for end in range(len(lines), begin, -1):
        part = "\n".join(lines[begin:end])
        if _parses(part):
            return part + "\n"
    return "\n".join(lines[begin:]) + "\n"


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return bool(text.strip())
