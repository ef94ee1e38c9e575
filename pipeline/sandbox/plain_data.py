"""Values as JSON that keeps Python's own types apart. Runs on both sides of the sandbox: it imports nothing of ours.

Only plain data crosses: what is anything else arrives as an `Opaque`, which equals nothing.
"""

import math
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


def encode(value: Any, depth: int = 0) -> Any:
    """JSON for a value. Types are looked up exactly: a subclass could lie about itself."""
    kind = type(value)
    if depth > 100:
        return {"opaque": "nested too deeply"}
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if -(2**53) < value < 2**53 else {"int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind is complex:
        return {"complex": [repr(value.real), repr(value.imag)]}
    if kind in (bytes, bytearray):
        return {"bytes": bytes(value).hex()}
    if kind is list:
        return [encode(each, depth + 1) for each in list.__iter__(value)]
    if kind in (tuple, set, frozenset):
        return {kind.__name__: [encode(each, depth + 1) for each in kind.__iter__(value)]}
    if kind is dict or kind.__module__ == "collections" and issubclass(kind, dict):
        return {"dict": [[encode(key, depth + 1), encode(each, depth + 1)] for key, each in dict.items(value)]}
    return {"opaque": "a " + kind.__name__}


def decode(found: Any) -> Any:
    """The value of what `encode` made."""
    if isinstance(found, list):
        return [decode(each) for each in found]
    if not isinstance(found, dict):
        return found
    [(kind, inside)] = found.items()
    if kind == "int":
        return int(inside, 16)
    if kind == "float":
        return float(inside)
    if kind == "complex":
        return complex(float(inside[0]), float(inside[1]))
    if kind == "bytes":
        return bytes.fromhex(inside)
    if kind == "dict":
        return {decode(key): decode(each) for key, each in inside}
    if kind in ("tuple", "set", "frozenset"):
        return {"tuple": tuple, "set": set, "frozenset": frozenset}[kind](decode(each) for each in inside)
    return Opaque(str(inside))
