"""What a socket meets: strangers, garbage, floods, clients that stop in the middle. The owner goes on."""

from __future__ import annotations

import json
import os
import socket
import stat
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.owner import listener, wire
from pipeline.owner.client import Client
from pipeline.owner.listener import Listener, remove_stale
from pipeline.paths import read_json, write_json
from tests import runs
from tests.owner.visitors import raw, served, visitor
from tests.runs import GOOD, Bench

bench = runs.bench  # the fixture


def token(bench: Bench) -> str:
    return str(read_json(bench.folder / wire.SOCKET_FILE)["token"])


def test_the_socket_and_its_token_are_for_this_user_only(bench: Bench) -> None:
    bench.open()
    told = read_json(bench.folder / wire.SOCKET_FILE)
    assert stat.S_IMODE((bench.folder / wire.SOCKET_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(told["address"]).parent.stat().st_mode) == 0o700
    assert len(told["token"]) == 64


def test_a_long_run_folder_has_a_short_address(bench: Bench) -> None:
    bench.folder = bench.place / ("deep/" * 40) / "run"
    session = bench.open()
    assert len(os.fsencode(visitor(session).address)) <= 104 and visitor(session).remaining().seconds


def test_nothing_is_left_of_a_socket_that_was_closed(bench: Bench) -> None:
    session = bench.open()
    place = Path(visitor(session).address).parent
    session.close()
    assert not place.exists() and not (bench.folder / wire.SOCKET_FILE).exists()


def test_the_next_owner_removes_what_a_killed_one_left(bench: Bench) -> None:
    session = bench.open()
    stale = dict(read_json(bench.folder / wire.SOCKET_FILE))
    place = tempfile.mkdtemp(prefix="posttrain-")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{place}/socket")
    session.close()
    write_json(bench.folder / wire.SOCKET_FILE, {**stale, "address": f"{place}/socket"})
    assert Client.find(bench.folder) is None  # a socket without an owner is none
    assert bench.resume().step(GOOD).state == "scored" and not Path(place).exists()


@pytest.mark.parametrize("told", [{"address": "/etc/passwd"}, {"address": 3}, [], {}, "no"])
def test_a_socket_file_that_says_anything_else_removes_nothing(tmp_path: Path, told: object) -> None:
    write_json(tmp_path / wire.SOCKET_FILE, told)
    remove_stale(tmp_path)
    assert Path("/etc/passwd").exists() and not (tmp_path / wire.SOCKET_FILE).exists()


def test_a_file_of_that_form_that_is_no_socket_stays(tmp_path: Path) -> None:
    mine = tmp_path / "posttrain-x" / "socket"
    write_json(mine, "mine")
    write_json(tmp_path / wire.SOCKET_FILE, {"address": str(mine)})
    remove_stale(tmp_path)
    assert mine.exists()


@pytest.mark.parametrize("wrong", ["", "0" * 64, None, 7, ["x"]])
def test_without_the_token_nothing_is_told_but_that(bench: Bench, wrong: object) -> None:
    session = bench.open()
    answer = raw(session, json.dumps({"v": 1, "token": wrong, "ask": "remaining"}).encode() + b"\n")
    assert answer is not None and "not this run's token" in answer["error"]["text"] and "result" not in answer


def test_another_version_is_told_so(bench: Bench) -> None:
    session = bench.open()
    answer = raw(session, json.dumps({"v": 2, "token": token(bench), "ask": "ping"}).encode() + b"\n")
    assert answer is not None and "speaks version 1, not 2" in answer["error"]["text"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\n", "not a line of JSON"),
        (b"GET / HTTP/1.1\n", "not a line of JSON"),
        (b"\xff\xfe\n", "not a line of JSON"),
        (b"[" * 100_000 + b"\n", "not a line of JSON"),
        (b"[1, 2]\n", "a JSON object is needed"),
        (b'{"v": 1}', "was cut off"),
        (b"", "was cut off"),
        (b"x" * (wire.MOST_REQUEST_BYTES + 10), "longer than"),
    ],
)
def test_garbage_is_answered_or_hung_up_on_and_the_owner_goes_on(bench: Bench, data: bytes, problem: str) -> None:
    session = bench.open()
    answer = raw(session, data)
    assert answer is None or problem in answer["error"]["text"]
    assert served(session, lambda client: client.step(GOOD))[0].state == "scored"


@given(st.binary(max_size=300))
def test_no_bytes_open_a_request_without_the_token(data: bytes) -> None:
    with pytest.raises(InputError):
        wire.opened(data, "secret")


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
@settings(max_examples=40)
def test_whatever_arguments_are_given_a_request_is_read_or_refused(value: object) -> None:
    data = json.dumps({"v": 1, "token": "secret", "ask": value, "with": value}).encode()
    try:
        ask, arguments = wire.opened(data, "secret")
    except InputError:
        return
    assert isinstance(ask, str) and isinstance(arguments, dict)


def test_a_client_that_says_nothing_is_hung_up_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "PATIENCE_SECONDS", 0.05)
    session = bench.open()
    answer = raw(session, b'{"v": 1,', ends=False)
    assert answer is not None and "no whole request within" in answer["error"]["text"]


def test_a_client_that_takes_nothing_ends_its_own_connection_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "PATIENCE_SECONDS", 1.0)
    has_ended = threading.Event()

    def flood(ask: str, arguments: dict, tell) -> None:
        try:
            while True:
                tell({"text": "x" * 100_000})
        finally:
            has_ended.set()

    heard = Listener(bench.place, flood)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(heard.address)
        deaf.sendall(wire.request(heard.token, "flood", {}))
        assert has_ended.wait(120)
        heard.close()


def test_a_client_that_leaves_in_the_middle_of_a_step_leaves_the_trial_to_its_end(bench: Bench) -> None:
    session = bench.open()
    with socket.socket(socket.AF_UNIX) as fickle:
        fickle.connect(visitor(session).address)
        fickle.sendall(wire.request(token(bench), "step", {"proposal": GOOD.model_dump()}))
    while session.desk.is_empty:
        pass
    session.linger()
    assert session.trial("t001").state == "scored"


def test_a_full_house_lets_others_wait_at_the_door(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "MOST_CONNECTIONS", 2)
    monkeypatch.setattr(wire, "PATIENCE_SECONDS", 0.2)
    session = bench.open()
    address = visitor(session).address
    idle = [socket.socket(socket.AF_UNIX) for _ in range(4)]
    for each in idle:
        each.connect(address)
    assert visitor(session).remaining().seconds is not None
    for each in idle:
        each.close()


def test_without_local_sockets_a_run_works_and_has_no_client(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    session = bench.open()
    assert session.listener is None and session.step(GOOD).state == "scored"


def test_who_waits_when_the_owner_closes_is_told_that_it_has_ended(bench: Bench) -> None:
    from concurrent.futures import ThreadPoolExecutor

    session = bench.open()
    session.start(GOOD)
    client = visitor(session)
    with ThreadPoolExecutor(2) as threads:
        waits, ends = threads.submit(client.ask, "wait", trials=["t001"]), threads.submit(client.finish)
        while session.desk.is_empty:
            pass
        session.close()
        assert waits.result()["state"] == "abandoned"
        with pytest.raises(InputError, match="its owner has ended: start the command again"):
            ends.result()
