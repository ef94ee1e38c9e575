"""Function calls in a text: Hermes blocks, JSON or Python, alone (strict) or among words (lenient)."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.answers.code import FENCE
from pipeline.answers.reasoning import spoken

HERMES = re.compile(r"<(tool_call|function_call)>\s*(.*?)\s*(?:</\1>|\Z)", re.DOTALL)
NAMES, ARGUMENTS = ("name", "function", "function_name"), ("arguments", "parameters", "args")
CALL_START = re.compile(r"(?<![\w.])[A-Za-z_][\w.]*\s*\(")
Schema = Mapping[str, Any]  # one function: name, parameters.properties


@dataclass(frozen=True)
class Call:
    """One call. Arguments without a name are in `positional` until a schema names them."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    positional: tuple[Any, ...] = ()

    def named(self, functions: Sequence[Schema]) -> Call:
        """The call with positional arguments named in the order of its function's properties."""
        known = next((each for each in functions if each["name"] == self.name), None)
        properties = list((known or {}).get("parameters", {}).get("properties", {}))
        if not self.positional or len(self.positional) > len(properties):
            return self
        named = dict(zip(properties, self.positional, strict=False))
        return self if named.keys() & self.arguments.keys() else Call(self.name, {**named, **self.arguments})


def strict_calls(text: str) -> list[Call] | None:
    """The calls of an answer that is nothing but calls, in one style, perhaps in one fence; None for anything else."""
    said = spoken(text).strip()
    fence = FENCE.fullmatch(said)
    said = fence[3].strip() if fence else said
    blocks = [found[2] for found in HERMES.finditer(said)]
    if blocks:
        if HERMES.sub("", said).strip():
            return None
        return _all(_from_json(block) for block in blocks)
    return _from_json(said) or _from_python(said)


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


def python_call(text: str) -> Call:
    """The one call in a Python text; an argument that is no literal stands for its source. Raises ValueError."""
    try:
        [node] = _elements(ast.parse(text.strip(), mode="eval").body)
    except SyntaxError as error:
        raise ValueError(error.msg) from None
    if not isinstance(node, ast.Call) or not _are_plain(node.keywords):
        raise ValueError("not a call with plain arguments")
    arguments = {str(each.arg): _literal_or_source(each.value) for each in node.keywords}
    return Call(ast.unparse(node.func), arguments, tuple(map(_literal_or_source, node.args)))


def lenient_calls(text: str) -> list[Call] | None:
    """The calls that a reader finds in an answer with words around them; None where there are none."""
    said = spoken(text)
    if blocks := [found[2] for found in HERMES.finditer(said)]:
        return _all(_from_json(block) or _from_python(block) for block in blocks)
    for fence in FENCE.finditer(said):
        if calls := _from_json(fence[3].strip()) or _from_python(fence[3].strip()):
            return calls
    return _scan_json(said) or _scan_python(said) or None


def _all(groups: Iterator[list[Call] | None]) -> list[Call] | None:
    calls: list[Call] = []
    for group in groups:
        if group is None:
            return None
        calls += group
    return calls or None


# ---------------------------------------------------------------- JSON


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is repeated")
    return found


DECODER = json.JSONDecoder(object_pairs_hook=_no_repeats)


def _from_json(text: str) -> list[Call] | None:
    try:
        return _from_value(DECODER.decode(text))
    except (ValueError, RecursionError):
        pass
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        return None
    try:  # one object a line
        return _all(_from_value(DECODER.decode(line.strip().rstrip(","))) for line in lines)
    except (ValueError, RecursionError):
        return None


def _from_value(value: Any) -> list[Call] | None:
    if isinstance(value, list):
        return _all(_from_value(each) for each in value) if value else None
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("tool_calls"), list) and "name" not in value:  # a whole message as servers give it
        return _from_value(value["tool_calls"])
    if isinstance(value.get("function"), dict):  # {"type": "function", "function": {...}}
        return _from_value(value["function"])
    name = next((value[key] for key in NAMES if isinstance(value.get(key), str)), None)
    arguments = next((value[key] for key in ARGUMENTS if key in value), None)
    if name is None and len(value) == 1:  # {"f": {"a": 1}}
        [(name, arguments)] = value.items()
    if isinstance(arguments, str):
        try:
            arguments = DECODER.decode(arguments)
        except (ValueError, RecursionError):
            return None
    if name is None or not isinstance(arguments if arguments is not None else {}, dict):
        return None
    return [Call(name, dict(arguments or {}))]


def _scan_json(text: str) -> list[Call]:
    """The calls in JSON values that stand anywhere in a text."""
    calls, begin = [], 0
    while found := re.compile(r"[\[{]").search(text, begin):
        try:
            value, begin = DECODER.raw_decode(text, found.start())
        except (ValueError, RecursionError):
            begin = found.end()
            continue
        calls += _from_value(value) or []
    return calls


# ---------------------------------------------------------------- Python


def _from_python(text: str) -> list[Call] | None:
    try:
        body = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    nodes: list[ast.expr] = []
    for statement in body:
        if not isinstance(statement, ast.Expr):
            return None
        nodes += _elements(statement.value)
    return _all(_from_node(node) for node in nodes) if nodes else None


def _from_node(node: ast.expr) -> list[Call] | None:
    if not isinstance(node, ast.Call) or not _are_plain(node.keywords):
        return None
    try:
        name = ast.unparse(node.func)
        positional = tuple(_literal(argument) for argument in node.args)
        return [Call(name, {str(each.arg): _literal(each.value) for each in node.keywords}, positional)]
    except (ValueError, RecursionError):
        return None


def _are_plain(keywords: Sequence[ast.keyword]) -> bool:
    """Whether each argument has a name of its own; ast.parse lets `f(a=1, a=2)` pass."""
    names = [each.arg for each in keywords]
    return None not in names and len(set(names)) == len(names)


def _elements(node: ast.expr) -> list[ast.expr]:
    """What stands in a list or tuple; anything else stands for itself."""
    return node.elts if isinstance(node, ast.List | ast.Tuple) else [node]


def _literal_or_source(node: ast.expr) -> Any:
    try:
        return _literal(node)
    except ValueError:
        return ast.unparse(node)


def _literal(node: ast.expr) -> Any:
    """A literal's value; true, false and null as JSON writes them count, too."""
    if isinstance(node, ast.Name) and node.id in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[node.id]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        if not _are_plain(node.keywords):
            raise ValueError("a key is repeated")
        return {str(each.arg): _literal(each.value) for each in node.keywords}
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(each) for each in node.elts]
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {str(_literal(key)): _literal(value) for key, value in pairs if key}  # JSON's keys are texts
    return ast.literal_eval(node)


def _scan_python(text: str) -> list[Call]:
    """The calls in Python syntax that stand anywhere in a text."""
    calls, begin = [], 0
    while found := CALL_START.search(text, begin):
        begin, end = found.end(), _closing(text, found.end())
        group = _from_python(text[found.start() : end]) if end else None
        if group and (group[0].arguments or group[0].positional or "_" in group[0].name or "." in group[0].name):
            calls += group
            begin = end or begin
    return calls


def _closing(text: str, begin: int) -> int | None:
    """The place after the bracket that closes the one before `begin`; quotes are respected."""
    depth, quote, place = 1, "", begin
    while place < len(text):
        sign = text[place]
        if quote:
            place += sign == "\\"
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        else:
            depth += {"(": 1, ")": -1}.get(sign, 0)
            if not depth:
                return place + 1
        place += 1
    return None
