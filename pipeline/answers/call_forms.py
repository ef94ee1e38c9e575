"""A text that is nothing but calls, as JSON or as Python, and the values of their arguments."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NAMES, ARGUMENTS = ("name", "function", "function_name"), ("arguments", "parameters", "args")
Schema = Mapping[str, Any]  # one function: name, parameters.properties
UNREADABLE = (
    SyntaxError,
    ValueError,
    TypeError,
    RecursionError,
    MemoryError,
)  # what a text makes Python's parser raise


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


def together(groups: Iterable[list[Call] | None]) -> list[Call] | None:
    """The calls of all groups; None where one of them is none, or there is no call."""
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


def from_json(text: str) -> list[Call] | None:
    """The calls of one JSON value, or of one a line."""
    try:
        return from_value(DECODER.decode(text))
    except (ValueError, RecursionError):
        pass
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        return None
    try:  # one object a line
        return together(from_value(DECODER.decode(line.strip().rstrip(","))) for line in lines)
    except (ValueError, RecursionError):
        return None


def from_value(value: Any) -> list[Call] | None:
    """The calls of a JSON value, in any of the usual forms."""
    if isinstance(value, list):
        return together(from_value(each) for each in value) if value else None
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("tool_calls"), list) and "name" not in value:  # a whole message as servers give it
        return from_value(value["tool_calls"])
    if isinstance(value.get("function"), dict):  # {"type": "function", "function": {...}}
        return from_value(value["function"])
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


# ---------------------------------------------------------------- Python


def from_python(text: str) -> list[Call] | None:
    """The calls of Python expressions."""
    try:
        body = ast.parse(text.strip()).body
    except UNREADABLE:
        return None
    nodes: list[ast.expr] = []
    for statement in body:
        if not isinstance(statement, ast.Expr):
            return None
        nodes += _elements(statement.value)
    return together(_from_node(node) for node in nodes) if nodes else None


def _from_node(node: ast.expr) -> list[Call] | None:
    if not isinstance(node, ast.Call) or not _are_plain(node.keywords):
        return None
    try:
        name = ast.unparse(node.func)
        positional = tuple(_literal(argument) for argument in node.args)
        return [Call(name, {str(each.arg): _literal(each.value) for each in node.keywords}, positional)]
    except UNREADABLE:
        return None


def from_literal(text: str) -> list[Call] | None:
    """The calls of JSON as Python writes it: `{'name': 'f', 'arguments': {'a': True}}`."""
    try:
        return from_value(_literal(ast.parse(text.strip(), mode="eval").body))
    except UNREADABLE:
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
    except UNREADABLE:
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
        if None in node.keys:
            raise ValueError("what ** stands for is not written out")
        pairs = zip(node.keys, node.values, strict=True)
        return _no_repeats([(str(_literal(key)), _literal(value)) for key, value in pairs if key])  # as JSON's keys are
    return ast.literal_eval(node)


def python_call(text: str) -> Call:
    """The one call in a Python text; an argument that is no literal stands for its source. Raises ValueError."""
    try:
        [node] = _elements(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(str(error)) from None
    if not isinstance(node, ast.Call) or not _are_plain(node.keywords):
        raise ValueError("not a call with plain arguments")
    arguments = {str(each.arg): _literal_or_source(each.value) for each in node.keywords}
    return Call(ast.unparse(node.func), arguments, tuple(map(_literal_or_source, node.args)))
