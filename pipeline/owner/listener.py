"""The owner's socket: private to its user, one thread per connection, and nothing that a client does reaches the owner.

The address would not fit in a long run folder (108 bytes at most), so the socket lies in a folder of its own that only
this user may enter; DIR/socket.json, for this user only, says where, and holds the token that every request must have.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.owner import wire
from pipeline.paths import read_json, write_json

PREFIX, SOCKET = "posttrain-", "socket"
MOST_ADDRESS_BYTES = 100  # macOS takes 104 and Linux 108, the end included
MOST_CONNECTIONS = 64  # at once; more wait at the door
LAST_WORDS_SECONDS = 2.0  # for answers that are being sent when the owner ends

Tell = Callable[[dict[str, Any]], None]
Answer = Callable[[str, dict[str, Any], Tell], Any]  # (ask, with, news) -> result


class Listener:
    """Listens from construction to `close`. Raises OSError where there are no such sockets, or none can be made."""

    def __init__(self, folder: Path, answer: Answer) -> None:
        if not hasattr(socket, "AF_UNIX"):
            raise OSError("this platform has no local sockets")
        self.answer, self.token = answer, secrets.token_hex(32)
        self.file = folder / wire.SOCKET_FILE
        remove_stale(folder)
        self.place = private_folder()
        self.address = str(self.place / SOCKET)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.bind(self.address)
            self._socket.listen(2 * MOST_CONNECTIONS)
            told = {"v": wire.VERSION, "pid": os.getpid(), "address": self.address, "token": self.token}
            write_json(self.file, told, mode=0o600)
        except BaseException:
            self._socket.close()
            shutil.rmtree(self.place, ignore_errors=True)
            raise
        self._is_closed = False
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._talks: set[threading.Thread] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True, name="listener")
        self._thread.start()

    def close(self) -> None:
        """Take no more requests, let answers under way be sent, and leave nothing behind."""
        self._is_closed = True
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
            knock.settimeout(1.0)
            knock.connect(self.address)  # an accept does not notice that its socket is closed
        self._thread.join(LAST_WORDS_SECONDS)
        self._socket.close()
        deadline = time.monotonic() + LAST_WORDS_SECONDS
        for talk in list(self._talks):
            talk.join(max(0.0, deadline - time.monotonic()))
        self.file.unlink(missing_ok=True)
        shutil.rmtree(self.place, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            with contextlib.suppress(OSError):  # out of descriptors, or a client that is gone already
                connection, _ = self._socket.accept()
                if self._is_closed:
                    connection.close()
                    return
                self._room.acquire()
                talk = threading.Thread(target=self._talk, args=(connection,), daemon=True, name="client")
                self._talks.add(talk)
                talk.start()
                continue
            if self._is_closed:
                return
            time.sleep(0.1)

    def _talk(self, connection: socket.socket) -> None:
        """One request and its answer. A client that is slow, gone or wrong ends its own connection, nothing else."""
        try:
            with connection, contextlib.suppress(OSError):
                said = self._answer_to(connection)
                _send(connection, said)
                connection.shutdown(socket.SHUT_WR)
        finally:
            self._talks.discard(threading.current_thread())
            self._room.release()

    def _answer_to(self, connection: socket.socket) -> bytes:
        try:
            data = wire.read_line(connection, wire.MOST_REQUEST_BYTES, wire.PATIENCE_SECONDS)
            ask, arguments = wire.opened(data, self.token)
            said = wire.line({"result": self.answer(ask, arguments, lambda news: _tell(connection, news))})
        except _HungUpError:
            raise
        except Exception as error:
            return wire.line(wire.error(error))
        if len(said) > wire.MOST_ANSWER_BYTES:
            return wire.line(wire.error(InputError(f"the answer is longer than {wire.MOST_ANSWER_BYTES} bytes")))
        return said


class _HungUpError(OSError):
    """The client is gone, or takes nothing."""


def _tell(connection: socket.socket, news: dict[str, Any]) -> None:
    try:
        _send(connection, wire.line({"news": news}))
    except OSError as error:
        raise _HungUpError from error


def _send(connection: socket.socket, data: bytes) -> None:
    connection.settimeout(wire.PATIENCE_SECONDS)
    connection.sendall(data)


def private_folder() -> Path:
    """A new folder that only this user may enter, with a path short enough for a socket's address."""
    for parent in _parents():
        with contextlib.suppress(OSError):
            place = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))  # of mode 0700
            if len(os.fsencode(place / SOCKET)) <= MOST_ADDRESS_BYTES:
                return place
            place.rmdir()
    raise OSError("no folder for a socket: TMPDIR and XDG_RUNTIME_DIR are missing, too long or not writable")


def _parents() -> Iterator[str]:
    if os.environ.get("XDG_RUNTIME_DIR"):
        yield os.environ["XDG_RUNTIME_DIR"]
    yield tempfile.gettempdir()
    yield "/tmp"


def remove_stale(folder: Path) -> None:
    """Remove the socket of an owner that was killed. Only for who holds the run's lock."""
    file = folder / wire.SOCKET_FILE
    with contextlib.suppress(OSError, InputError, KeyError, TypeError):
        address = Path(str(read_json(file)["address"]))
        # the file may say anything: nothing but a socket of the form that is made here is removed
        if address.name == SOCKET and address.parent.name.startswith(PREFIX):
            if stat.S_ISSOCK(os.lstat(address).st_mode):
                address.unlink()
            address.parent.rmdir()
    file.unlink(missing_ok=True)
