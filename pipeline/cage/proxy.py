"""The only way out of a sandbox: a proxy on a Unix socket that connects to named hosts and to no other."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from pipeline.cage.inside import pump
from pipeline.errors import InputError

MOST_HEAD_BYTES = 2**16
MOST_CONNECTIONS = 256
CONNECT_SECONDS, HEAD_SECONDS = 30.0, 30.0


class Host(NamedTuple):
    """A host and a port that may be reached."""

    name: str
    port: int

    @property
    def is_here(self) -> bool:
        """Whether it is a server on this machine's loopback address."""
        return self.name in ("127.0.0.1", "localhost", "::1")


def parse(text: str) -> tuple[Host, ...]:
    """Hosts in a list such as `api.example.com, 127.0.0.1:8000`. Raises InputError for what is none."""
    found = []
    for part in (each.strip() for each in text.split(",") if each.strip()):
        name, _, port = part.rpartition(":") if ":" in part else (part, "", "443")
        is_name = name and all(letter.isalnum() or letter in "-._" for letter in name)
        if not is_name or not port.isdigit() or not 0 < int(port) < 65536:
            raise InputError(f"hosts '{part}': not a host: write it as api.example.com or 127.0.0.1:8000")
        found.append(Host(name.lower(), int(port)))
    return tuple(found)


class Proxy:
    """Listens from construction to `close`. `told` hears of every host that was refused, once."""

    def __init__(self, address: Path, hosts: Sequence[Host], told: Callable[[str], None] = lambda host: None) -> None:
        self.address, self.hosts, self.told = address, frozenset(hosts), told
        self.refused: dict[str, int] = {}
        self._lock, self._room = threading.Lock(), threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._is_closed = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(address))
        os.chmod(address, 0o666)  # its folder is private; inside of the sandbox it is another user's
        self._socket.listen(64)
        threading.Thread(target=self._accept, daemon=True, name="proxy").start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no more connections."""
        self._is_closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.address.unlink(missing_ok=True)

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            if not self._room.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._serve, args=(connection,), daemon=True, name="proxied").start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError, ValueError):
                connection.settimeout(HEAD_SECONDS)
                self._connect(connection, *_head(connection))
        finally:
            self._room.release()

    def _connect(self, connection: socket.socket, head: bytes, rest: bytes) -> None:
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        host = _host(target if method == "CONNECT" else target.removeprefix("http://").partition("/")[0], method)
        is_plain = method != "CONNECT" and target.startswith("http://")
        if host not in self.hosts or not (is_plain or method == "CONNECT"):
            self._refuse(connection, f"{host.name}:{host.port}")
            return
        try:
            there = socket.create_connection(host, CONNECT_SECONDS)
        except OSError as error:
            connection.sendall(f"HTTP/1.1 502 Bad Gateway\r\n\r\n{error}\n".encode())
            return
        with there:
            if method == "CONNECT":
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                there.sendall(rest)
            else:
                there.sendall(_relayed(head) + rest)
            pump(connection, there)

    def _refuse(self, connection: socket.socket, name: str) -> None:
        with self._lock:
            self.refused[name] = count = self.refused.get(name, 0) + 1
        if count == 1:
            self.told(name)
        body = f"{name}: the sandbox lets its provider's hosts through and no other\n".encode()
        head = f"HTTP/1.1 403 Forbidden\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + body)


def _head(connection: socket.socket) -> tuple[bytes, bytes]:
    """A request's head, its end included, and what came after it. Raises ValueError if there is none."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(4096)
        data += part
        if not part or len(data) > MOST_HEAD_BYTES:
            raise ValueError("no request")
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def _host(text: str, method: str) -> Host:
    name, colon, port = text.rpartition(":")
    if not colon:
        return Host(text.lower(), 443 if method == "CONNECT" else 80)
    return Host(name.strip("[]").lower(), int(port))


def _relayed(head: bytes) -> bytes:
    """The head of a plain request as the server wants it: its path alone, and no second request on the connection."""
    first, _, fields = head.partition(b"\r\n")
    method, target, version = first.split(b" ", 2)
    path = b"/" + target.removeprefix(b"http://").partition(b"/")[2]
    kept = [line for line in fields.split(b"\r\n") if line and not line.lower().startswith((b"proxy-", b"connection:"))]
    return b"\r\n".join([b" ".join([method, path, version]), *kept, b"Connection: close", b"", b""])
