"""Function calls in a text: Hermes blocks, JSON or Python, alone (strict) or among words (lenient)."""

from __future__ import annotations

import re

from pipeline.answers.call_forms import DECODER, Call, from_json, from_literal, from_python, from_value, together
from pipeline.answers.code import FENCE
from pipeline.answers.reasoning import spoken

HERMES = re.compile(r"<(tool_call|function_call)>\s*(.*?)\s*(?:</\1>|\Z)", re.DOTALL)
NAMED = re.compile(r"<function=([\w.-]+)>\s*(.*?)\s*(?:</function>|(?=<function=)|\Z)", re.DOTALL)  # Llama's way
CALL_START = re.compile(r"(?<![\w.])[A-Za-z_][\w.]*\s*\(")
VALUE_START = re.compile(r"[\[{]")
NOT_MEANT = re.compile(r"\bdef\s+\Z|(?:\bnot|\bnever|n't|n\u2019t)\s+(?:call|use|run|invoke)\W{1,4}\Z", re.IGNORECASE)
SIGN = re.compile(r"\\.|['\"()\[\]{}]", re.DOTALL)
DEEPEST = 100  # brackets within brackets, about half of what Python's own parser takes
MOST_OPEN = 100  # brackets that never close: a model that loops writes thousands


def strict_calls(text: str) -> list[Call] | None:
    """The calls of an answer that is nothing but calls, in one style, perhaps in one fence; None for anything else."""
    said = spoken(text).strip()
    fence = FENCE.fullmatch(said)
    said = fence["body"].strip() if fence else said
    blocks = [found[2] for found in HERMES.finditer(said)]
    if blocks:
        if HERMES.sub("", said).strip():
            return None
        return together(from_json(block) for block in blocks)
    return from_json(said) or from_python(said)


def hermes_call(text: str) -> Call | None:
    """The call of an answer that is `<tool_call>{"name": .., "arguments": {..}}</tool_call>` and nothing else."""
    found = HERMES.fullmatch(spoken(text).strip())
    if found is None or found[1] != "tool_call":
        return None
    try:
        value = DECODER.decode(found[2])
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    name, arguments = value.get("name"), value.get("arguments")
    return Call(name, arguments) if isinstance(name, str) and isinstance(arguments, dict) else None


def lenient_calls(text: str, wanted: int = 0) -> list[Call] | None:
    """The calls that a reader finds in an answer with words around them; None where there are none.

    Of several fences the last one counts that has as many calls as are `wanted`, as it corrects the others; where none
    has, or all have as many together, each fence has a part of the calls.
    """
    said = spoken(text)
    if blocks := [found[2] for found in HERMES.finditer(said)]:
        return together(_in_any_form(block) for block in blocks)
    if named := [found.groups() for found in NAMED.finditer(said)]:
        return together(_in_any_form(f'{{"name": "{name}", "arguments": {block}}}') for name, block in named)
    if fences := [calls for found in FENCE.finditer(said) if (calls := _in_any_form(found["body"]))]:
        every = [call for calls in fences for call in calls]
        fitting = [calls for calls in fences if len(calls) == wanted]
        return every if len(every) == wanted or not fitting else fitting[-1]
    return _scan_values(said) or _scan_python(said) or None


def _in_any_form(text: str) -> list[Call] | None:
    fence = FENCE.fullmatch(text.strip())
    text = (fence["body"] if fence else text).strip()
    return from_json(text) or from_python(text) or from_literal(text)


def _scan_values(text: str) -> list[Call]:
    """The calls in JSON values that stand anywhere in a text, also as Python writes them."""
    calls: list[Call] = []
    begin, is_open = 0, 0
    while is_open < MOST_OPEN and (found := VALUE_START.search(text, begin)):
        try:
            value, begin = DECODER.raw_decode(text, found.start())
            calls += from_value(value) or []
            continue
        except (ValueError, RecursionError):
            begin = found.end()
        end = _closing(text, begin)
        is_open += end is None
        if end and (group := from_literal(text[found.start() : end])):
            calls, begin = calls + group, end
    return calls


def _scan_python(text: str) -> list[Call]:
    """The calls in Python syntax that stand anywhere in a text, but for definitions and what is not to be called."""
    calls: list[Call] = []
    begin, is_open = 0, 0
    while is_open < MOST_OPEN and (found := CALL_START.search(text, begin)):
        begin, end = found.end(), _closing(text, found.end())
        is_open += end is None
        if end is None or NOT_MEANT.search(text, max(0, found.start() - 20), found.start()):
            continue
        group = from_python(text[found.start() : end])
        if group and (group[0].arguments or group[0].positional or "_" in group[0].name or "." in group[0].name):
            calls, begin = calls + group, end
    return calls


def _closing(text: str, begin: int) -> int | None:
    """The place after the bracket that closes the one before `begin`, quotes respected; None: none does."""
    depth, quote = 1, ""
    for found in SIGN.finditer(text, begin):
        sign = found[0]
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign[0] != "\\":
            depth += 1 if sign in "([{" else -1
            if not depth:
                return found.end()
            if depth > DEEPEST:
                return None
    return None
