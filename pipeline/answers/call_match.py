"""Whether calls are the accepted ones, compared as trees of values: the rules of BFCL's AST categories.

Accepted answers give, for every parameter, a list of values that count; `""` in it means that it may be left out. Types
are those of the function's schema. Strings are compared without case, spaces and `,./-_*^`; whole numbers count where a
float is wanted; several calls may come in any order (Berkeley Function Calling Leaderboard, bfcl_eval's ast_checker).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.answers.call_forms import Call, Schema

Accepted = Mapping[str, Mapping[str, Sequence[Any]]]  # {function: {parameter: values that count}}
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "float": (float, int), "number": (float, int), "boolean": (bool,),
    "array": (list, tuple), "tuple": (list, tuple), "dict": (dict,), "object": (dict,),
}  # fmt: skip
LEFT_OUT = ""


def fault(calls: Sequence[Call] | None, accepted: Sequence[Accepted], functions: Sequence[Schema]) -> str | None:
    """Why the calls are not the accepted ones, in any order; None if they are."""
    if not calls:
        return "no call"
    if len(calls) != len(accepted):
        return f"{len(calls)} calls, {len(accepted)} wanted"
    named = [call.named(functions) for call in calls]
    faults = [[_fault(call, wanted, functions) for wanted in accepted] for call in named]
    if _pairs_up([[not each for each in row] for row in faults]):
        return None
    for call, row in zip(named, faults, strict=True):
        if all(row):  # of its reasons the one against the function that it names, if there is one
            return next((each for each in row if each and each.startswith(f"{call.name}:")), row[0])
    return "two calls for one"


def same_call(call: Call | None, gold: Call, functions: Sequence[Schema]) -> bool:
    """Whether a call is identical to the gold one: its name, and all arguments by value (BFCL's exec_simple)."""
    if call is None:
        return False
    one, other = call.named(functions), gold.named(functions)
    return one.name == other.name and not one.positional and identical(one.arguments, other.arguments)


def _pairs_up(fits: list[list[bool]]) -> bool:
    """Whether every row can have a column of its own (Kuhn's augmenting paths)."""
    taken: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column, fit in enumerate(fits[row]):
            if fit and column not in seen:
                seen.add(column)
                if column not in taken or place(taken[column], seen):
                    taken[column] = row
                    return True
        return False

    return all(place(row, set()) for row in range(len(fits)))


def _fault(call: Call, accepted: Accepted, functions: Sequence[Schema]) -> str | None:
    [(name, wanted)] = accepted.items()
    if call.name != name:
        return f"{call.name} called, {name} wanted"
    if call.positional:
        return f"{name}: {len(call.positional)} arguments without a name"
    schema: Mapping[str, Any] = next((each["parameters"] for each in functions if each["name"] == name), {})
    properties = schema.get("properties", {})
    for parameter in schema.get("required", ()):
        if parameter not in call.arguments:
            return f"{name}: {parameter} is missing"
    for parameter, value in call.arguments.items():
        if parameter not in wanted:  # the key decides: one of its parameters is not in its schema
            return f"{name}: {parameter} is not a parameter"
        if not _has_type(value, properties.get(parameter, {})) and not _listed(value, wanted[parameter]):
            return f"{name}: {parameter} has the wrong type"
        if not any(_matches(value, each) for each in wanted[parameter] if each != LEFT_OUT or value == LEFT_OUT):
            return f"{name}: {parameter} is {_shown(value)}"
    for parameter, values in wanted.items():
        if parameter not in call.arguments and LEFT_OUT not in values:
            return f"{name}: {parameter} is missing"
    return None


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except (ValueError, RecursionError):  # a whole number of more digits than Python writes, or too many brackets
        return "too long to show"


def _listed(value: Any, accepted: Sequence[Any]) -> bool:
    """Whether a value of another type than the schema's is accepted literally: a variable's name, or null."""
    return any(type(value) is type(each) and value == each and each != LEFT_OUT for each in accepted)


def _has_type(value: Any, schema: Mapping[str, Any]) -> bool:
    wanted = TYPES.get(str(schema.get("type", "any")))
    if wanted is None:
        return True
    if isinstance(value, bool) or bool in wanted:
        return isinstance(value, bool) and bool in wanted
    if not isinstance(value, wanted):
        return False
    if isinstance(value, list | tuple) and "items" in schema:
        return all(_has_type(each, schema["items"]) for each in value)
    return True


def _matches(value: Any, accepted: Any) -> bool:
    """Whether a value is an accepted one; in an accepted object every key has its own list of values."""
    if isinstance(value, bool) or isinstance(accepted, bool):
        return value is accepted
    if isinstance(value, str) and isinstance(accepted, str):
        return _normal(value) == _normal(accepted)
    if isinstance(value, list | tuple) and isinstance(accepted, list | tuple):
        return len(value) == len(accepted) and all(map(_matches, value, accepted))
    if isinstance(value, dict) and isinstance(accepted, dict):
        return _matches_object(value, accepted)
    numbers = isinstance(value, int | float) and isinstance(accepted, int | float)
    return bool(value == accepted) if numbers or type(value) is type(accepted) else False


def _matches_object(value: dict[str, Any], accepted: dict[str, Any]) -> bool:
    if any(key not in accepted for key in value):
        return False
    for key, values in accepted.items():
        options = values if isinstance(values, list) else [values]
        if key not in value:
            if LEFT_OUT not in options:
                return False
        elif not any(_matches(value[key], each) for each in options if each != LEFT_OUT or value[key] == LEFT_OUT):
            return False
    return True


def _normal(text: str) -> str:
    return re.sub(r"[ ,./\-_*^]", "", text).lower().replace("'", '"')


def identical(one: Any, other: Any) -> bool:
    """Equality by value: 1 is 1.0, but neither "1" nor True; the order of keys is free."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(identical(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(identical, one, other))
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    return bool(one == other) if numbers or type(one) is type(other) else False
