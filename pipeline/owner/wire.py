"""What owner and client say to each other: one JSON object per line, of a limited size, each with the version.

A connection carries one request, `{"v", "token", "ask", "with": {..}}`. The answer is any number of lines with `news`,
then one with `result` or `error` (`{"kind", "text"}`).
"""

from __future__ import annotations

import hmac
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

from pipeline.errors import DataError, InputError, OwnedError, PosttrainError
from pipeline.paths import plain

VERSION = 1
SOCKET_FILE = "socket.json"  # in the run folder, for its owner's user only: where the owner listens, and the token
MOST_REQUEST_BYTES = 2**20
MOST_ANSWER_BYTES = 2**26
PATIENCE_SECONDS = 10.0  # for a request to arrive whole, and for each line of an answer to be taken
KINDS: dict[str, type[PosttrainError]] = {"input": InputError, "owned": OwnedError, "data": DataError}


class Gone(InputError):
    """The owner ended before it answered."""


def line(message: dict[str, Any]) -> bytes:
    """A message as it is sent. Raises TypeError for what is not plain data."""
    return json.dumps({"v": VERSION, **plain(message)}, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def read_line(connection: socket.socket, most_bytes: int, seconds: float) -> bytes:
    """The one line that the other side sends. Raises InputError: too long, too slow, or cut off."""
    deadline, received = time.monotonic() + seconds, bytearray()
    while b"\n" not in received:
        left = deadline - time.monotonic()
        if left <= 0:
            raise InputError(f"no whole request within {seconds:.0f} s: send one line of JSON")
        connection.settimeout(left)
        try:
            part = connection.recv(min(1 << 16, most_bytes + 1 - len(received)))
        except TimeoutError:
            continue
        received += part
        if not part and b"\n" not in received:
            raise InputError("the request was cut off: end it with a newline")
        if len(received) > most_bytes:
            raise InputError(f"the request is longer than {most_bytes} bytes: send less")
    return bytes(received.partition(b"\n")[0])


def read_lines(connection: socket.socket, seconds: float) -> Iterator[dict[str, Any]]:
    """The messages of an answer. Raises TimeoutError if `seconds` pass in silence, Gone if it ends in between."""
    connection.settimeout(seconds)
    received = bytearray()
    while True:
        part = connection.recv(1 << 16)
        if not part:
            return
        received += part
        if len(received) > MOST_ANSWER_BYTES:
            raise InputError(f"the answer is longer than {MOST_ANSWER_BYTES} bytes: ask for less")
        *whole, rest = received.split(b"\n") if b"\n" in part else [received]
        received = bytearray(rest)
        for each in whole:
            yield _object(bytes(each))


def request(token: str, ask: str, arguments: dict[str, Any]) -> bytes:
    """A request as it is sent."""
    return line({"token": token, "ask": ask, "with": arguments})


def opened(data: bytes, token: str) -> tuple[str, dict[str, Any]]:
    """What a request asks, and with what. Raises InputError: not a request, another version, not the token."""
    found = _object(data)
    given = found.get("token")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), token.encode()):
        raise InputError(f"not this run's token: read it from {SOCKET_FILE} in the run's folder")
    if found.get("v") != VERSION:
        raise InputError(
            f"this owner speaks version {VERSION}, not {found.get('v')!r}: use the same posttrain for both"
        )
    ask, arguments = found.get("ask"), found.get("with", {})
    if not isinstance(ask, str) or not isinstance(arguments, dict):
        raise InputError('a request is {"v", "token", "ask": NAME, "with": {..}}')
    return ask, arguments


def error(found: Exception) -> dict[str, Any]:
    """An error as it is sent; one that is nobody's fault but the program's says so."""
    if not isinstance(found, PosttrainError):
        text = " ".join(f"unexpected {type(found).__name__}: {found}".split())
        return {"error": {"kind": "bug", "text": text[:500]}}
    kind = next((name for name, each in reversed(KINDS.items()) if isinstance(found, each)), "other")
    kind = "owned" if isinstance(found, OwnedError) else kind
    return {"error": {"kind": kind, "text": " ".join(str(found).split())}}


def raised(told: Any) -> PosttrainError:
    """The error that an answer tells of."""
    kind, text = (told.get("kind"), told.get("text")) if isinstance(told, dict) else (None, told)
    return KINDS.get(str(kind), PosttrainError)(str(text))


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise InputError("not a line of JSON") from None
    if not isinstance(found, dict):
        raise InputError("a JSON object is needed")
    return found
