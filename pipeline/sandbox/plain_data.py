"""Values as JSON that keeps Python's own types apart. Runs on both sides of the sandbox: it imports nothing of ours.

Only plain data crosses: what is anything else arrives as an `Opaque`, which equals nothing.
"""

import importlib
import itertools
import math
import sys
from typing import Any


class Opaque:
    """Stands for a value that is no plain data. It equals nothing, and is neither true nor false."""

    def __init__(self, told: str) -> None:
        self.told = told

    def __eq__(self, other: object) -> bool:
        return False

    def __bool__(self) -> bool:
        raise TypeError("not plain data: " + self.told)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return self.told


VIEWS: dict[str, Any] = {"keys": type({}.keys()), "values": type({}.values()), "items": type({}.items())}
STREAMS = (type(_ for _ in ()), map, filter, zip, enumerate, reversed)
MOST_STREAMED = 10_000  # values of an iterator, which is read to its end to cross


def encode(value: Any, depth: int = 0) -> Any:
    """JSON for a value. An object that is a number, text or collection crosses as what its base type holds.

    So a named tuple is a tuple, an IntEnum an int; what a class of the program's says of itself is never asked.
    """
    kind = type(value)
    if depth > 100:
        return {"opaque": "nested too deeply"}
    if value is None or kind is bool:
        return value
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, int):
        whole = int.__int__(value)
        return whole if -(2**53) < whole < 2**53 else {"int": hex(whole)}
    if issubclass(kind, float):
        real = float.__float__(value)
        return real if math.isfinite(real) else {"float": repr(real)}
    if kind is complex:
        return {"complex": [repr(value.real), repr(value.imag)]}
    if kind in (bytes, bytearray):
        return {"bytes": bytes(value).hex()}
    if issubclass(kind, list):
        return [encode(each, depth + 1) for each in list.__iter__(value)]
    if issubclass(kind, dict):
        return {"dict": [[encode(key, depth + 1), encode(each, depth + 1)] for key, each in dict.items(value)]}
    for base in (tuple, set, frozenset):
        if issubclass(kind, base):
            return {base.__name__: [encode(each, depth + 1) for each in base.__iter__(value)]}
    return _encode_rarer(value, kind, depth)


def _encode_rarer(value: Any, kind: type, depth: int) -> Any:
    if kind is range:
        return {"range": [encode(each) for each in (value.start, value.stop, value.step)]}
    for name, view in VIEWS.items():
        if kind is view:
            return {name: [encode(each, depth + 1) for each in value]}
    if kind in STREAMS:
        read = list(itertools.islice(value, MOST_STREAMED + 1))
        return {"stream": encode(read, depth + 1)} if len(read) <= MOST_STREAMED else {"opaque": "an endless iterator"}
    for module, name in (("fractions", "Fraction"), ("decimal", "Decimal")):
        if kind is getattr(sys.modules.get(module), name, None):
            return {name: str(value)}
    return {"opaque": "a " + kind.__name__}


def decode(found: Any) -> Any:
    """The value of what `encode` made."""
    if isinstance(found, list):
        return [decode(each) for each in found]
    if not isinstance(found, dict):
        return found
    [(kind, inside)] = found.items()
    return DECODED[kind](inside) if kind in DECODED else Opaque(str(inside))


def _imported(module: str, name: str) -> Any:
    return lambda text: getattr(importlib.import_module(module), name)(text)


DECODED = {
    "int": lambda digits: int(digits, 16),
    "float": float,
    "complex": lambda parts: complex(float(parts[0]), float(parts[1])),
    "bytes": bytes.fromhex,
    "dict": lambda pairs: {decode(key): decode(each) for key, each in pairs},
    "tuple": lambda parts: tuple(map(decode, parts)),
    "set": lambda parts: set(map(decode, parts)),
    "frozenset": lambda parts: frozenset(map(decode, parts)),
    "range": lambda parts: range(*map(decode, parts)),
    "keys": lambda parts: dict.fromkeys(map(decode, parts)).keys(),
    "values": lambda parts: dict(enumerate(map(decode, parts))).values(),
    "items": lambda parts: dict(map(decode, parts)).items(),
    "stream": lambda parts: iter(decode(parts)),
    "Fraction": _imported("fractions", "Fraction"),
    "Decimal": _imported("decimal", "Decimal"),
}
