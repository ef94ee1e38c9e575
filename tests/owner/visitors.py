"""Clients of a session in this process: they call from other threads while the session's own thread serves."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pipeline.owner.client import Client
from pipeline.owner.wire import SOCKET_FILE
from pipeline.paths import read_json
from pipeline.session import Session


def served(session: Session, *calls: Callable[[Client], Any]) -> list[Any]:
    """What calls give that clients make at the same time, each from its own thread, while `session` serves."""
    with ThreadPoolExecutor(len(calls)) as threads:
        futures = [threads.submit(call, visitor(session)) for call in calls]
        session.serve(lambda: all(future.done() for future in futures))
        return [future.result() for future in futures]


def visitor(session: Session) -> Client:
    found = Client.find(session.folder)
    assert found is not None
    return found


def raw(session: Session, data: bytes, ends: bool = True) -> dict[str, Any] | None:
    """What the owner answers to bytes; None if it only hangs up."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(30)
        connection.connect(read_json(session.folder / SOCKET_FILE)["address"])
        try:
            connection.sendall(data)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            answer = connection.makefile("rb").readline()
        except OSError:  # it hung up before all was sent
            return None
    return json.loads(answer) if answer else None
