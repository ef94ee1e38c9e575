"""The only way out: what it lets through, and what not. Everything is on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cage.inside import listen
from pipeline.cage.proxy import Host, Proxy, parse
from pipeline.errors import InputError


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that answers with what it gets, in capitals; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(connection.recv(65536).upper())

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)  # wakes the thread


def talk(address: Path, *data: bytes) -> bytes:
    """What comes back on one connection, until it ends."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(address))
        for part in data:
            connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_named_host_is_reached_by_a_tunnel(tmp_path: Path, echo: int) -> None:
    with Proxy(tmp_path / "proxy", [Host("127.0.0.1", echo)]) as proxy:
        answer = talk(proxy.address, f"CONNECT 127.0.0.1:{echo} HTTP/1.1\r\nHost: x\r\n\r\nhello".encode())
    assert answer == b"HTTP/1.1 200 Connection established\r\n\r\nHELLO"


def test_a_plain_request_is_relayed_with_its_path_alone(tmp_path: Path, echo: int) -> None:
    request = (
        f"GET http://127.0.0.1:{echo}/a?b HTTP/1.1\r\nHost: x\r\nProxy-Authorization: y\r\nConnection: keep\r\n\r\n"
    )
    with Proxy(tmp_path / "proxy", [Host("127.0.0.1", echo)]) as proxy:
        answer = talk(proxy.address, request.encode())
    assert answer == b"GET /A?B HTTP/1.1\r\nHOST: X\r\nCONNECTION: CLOSE\r\n\r\n"


@pytest.mark.parametrize(
    "first",
    [
        "CONNECT 127.0.0.1:{other} HTTP/1.1",
        "CONNECT localhost:{port} HTTP/1.1",
        "CONNECT 127.0.0.1 HTTP/1.1",
        "CONNECT 127.0.0.1.evil.example:{port} HTTP/1.1",
        "GET http://127.0.0.1:{other}/ HTTP/1.1",
        "GET http://127.0.0.1:{port}@evil.example/ HTTP/1.1",
        "GET https://127.0.0.1:{port}/ HTTP/1.1",
        "GET / HTTP/1.1",
        "CONNECT [::1]:{port} HTTP/1.1",
    ],
)
def test_everything_else_is_refused(tmp_path: Path, echo: int, first: str) -> None:
    told: list[str] = []
    with Proxy(tmp_path / "proxy", [Host("127.0.0.1", echo)], told.append) as proxy:
        answers = {talk(proxy.address, first.format(port=echo, other=9).encode() + b"\r\n\r\nhello") for _ in range(2)}
    [answer] = answers
    assert answer == b"" or answer.startswith(b"HTTP/1.1 403 Forbidden")
    assert b"HELLO" not in answer and len(told) <= 1


@pytest.mark.parametrize(
    "garbage", [b"", b"\r\n\r\n", b"x" * 100_000, b"CONNECT\r\n\r\n", b"CONNECT a:b c\r\n\r\n", b"\0"]
)
def test_garbage_ends_its_own_connection_and_nothing_else(tmp_path: Path, echo: int, garbage: bytes) -> None:
    with Proxy(tmp_path / "proxy", [Host("127.0.0.1", echo)]) as proxy:
        with contextlib.suppress(OSError):
            talk(proxy.address, garbage)
        assert talk(proxy.address, f"CONNECT 127.0.0.1:{echo} HTTP/1.1\r\n\r\nhi".encode()).endswith(b"HI")


def test_a_port_inside_leads_through_the_proxy_to_the_same_port_outside(tmp_path: Path, echo: int) -> None:
    with Proxy(tmp_path / "proxy", [Host("127.0.0.1", echo)]) as proxy:
        port = listen(0, str(proxy.address), f"127.0.0.1:{echo}")
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(b"hello")
            assert connection.recv(100) == b"HELLO"


def test_hosts_are_read_from_a_list() -> None:
    assert parse(" api.example.com , 127.0.0.1:8000,") == (Host("api.example.com", 443), Host("127.0.0.1", 8000))
    for wrong in ("http://a", "a:b", "a:0", "a:99999", "a b", ":80", "*"):
        with pytest.raises(InputError, match="not a host"):
            parse(wrong)
