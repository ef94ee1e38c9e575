"""Programs and their tests, good, wrong and hostile: the machine stays unharmed, the verdict says why."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from pipeline.sandbox import Check, Limits, Unavailable, check, check_all, guests
from tests.sandbox.hostile import HOSTILE

QUICK = Limits(seconds=4.0, memory_bytes=2**29, processes=16)
TESTS = "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(41) == 42\n"
contained = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


def judged(program, tests=TESTS, prompt="", limits=QUICK):
    return check(Check(program=program, tests=tests, entry="f", prompt=prompt), limits)


@contained
def test_a_right_program_passes_and_a_wrong_one_fails_with_the_reason():
    assert judged("def f(x):\n    return x + 1").passed
    wrong = judged("def f(x):\n    return x")
    assert not wrong.passed and "AssertionError" in wrong.reason
    assert "NameError" in judged("def f(x):\n    return y").reason
    assert "SyntaxError" in judged("def f(x) return x").reason
    assert "KeyError" in judged("def g(x):\n    return x + 1").reason


@contained
@pytest.mark.parametrize(
    "value",
    ["(1, 2)", "[1, (2, 3)]", "{1: 'a', (2, 3): None}", "{1, 2}", "10**40", "float('inf')", "1j", "b'x'", "'\\n\u2028'",
     "[True, 1, 1.0]", "frozenset([1])"],
)  # fmt: skip
def test_plain_data_crosses_with_its_types(value):
    tests = f"def check(f):\n    found, wanted = f({value}), {value}\n    assert found == wanted, found"
    assert judged("def f(x):\n    return x", tests).passed


@contained
def test_values_of_rarer_types_cross_as_the_data_that_they_are():
    program = """
import collections, decimal, enum, fractions
Point = collections.namedtuple("Point", "x y")
Level = enum.IntEnum("Level", "LOW HIGH")
class Liar(int):
    def __eq__(self, other): return True
    def __int__(self): return 7
def endless():
    while True: yield 1
VALUES = [Point(1, 2), Level.HIGH, range(1, 9, 2), {1: 2}.keys(), {1: 2}.values(), {1: 2}.items(), (x for x in "ab"),
          map(str, [1]), zip("a", "b"), decimal.Decimal("1.50"), fractions.Fraction(1, 3), collections.Counter("aa"),
          Liar(1), endless(), object()]
def f(number):
    return VALUES[number]
"""
    tests = """
from decimal import Decimal
from fractions import Fraction
def check(f):
    assert f(0) == (1, 2) and f(1) == 2 and f(2) == range(1, 9, 2) and list(f(2)) == [1, 3, 5, 7]
    assert f(3) == {1} and list(f(4)) == [2] and f(5) == {(1, 2)} and tuple(f(6)) == ("a", "b")
    assert list(f(7)) == ["1"] and list(f(8)) == [("a", "b")] and f(9) == Decimal("1.5") and f(10) == Fraction(1, 3)
    assert f(11) == {"a": 2} and f(12) == 1 and f(12) != 7 and f(13) != [1] and f(14) != f(14)
"""
    verdict = judged(program, tests)
    assert verdict.passed, verdict


@contained
@pytest.mark.parametrize(
    "test",
    [
        "assert all(map(lambda x: candidate(x) == x + 1, range(3)))",
        "for x, found in zip(range(3), map(candidate, range(3))): assert found == x + 1",
        "assert list(map(candidate, [])) == list(map(candidate, [1, 2]))",
    ],
)
@pytest.mark.parametrize("error", ["StopIteration", "type('Mine', (StopIteration,), {})"])
def test_a_program_that_ends_its_tests_loop_early_fails(test, error):
    verdict = judged(f"def f(x):\n    raise {error}", f"def check(candidate):\n    {test}\n")
    assert not verdict.passed and "RuntimeError" in verdict.reason


@contained
@pytest.mark.parametrize(
    "script",
    ["n = int(input())", "import unittest; unittest.main()", "import sys; sys.exit(f(1))", "print(sys.argv[1])"],
)
def test_what_a_program_does_as_a_script_does_not_matter(script):
    program = f"import sys\ndef f(x):\n    return x + 1\nif __name__ == '__main__':\n    {script}\n"
    assert judged(program).passed
    assert judged(
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: 'int'\ndef f(x):\n    return A(x + 1).x"
    ).passed


@contained
def test_tests_may_use_what_the_prompt_defines_and_expect_errors():
    tests = """
def check(f):
    assert f(helper(1)) == 3
    try:
        f(None)
    except TypeError:
        return
    raise AssertionError("no TypeError")
"""
    assert judged("def f(x):\n    return x + 1", tests, prompt="def helper(x):\n    return x + 1").passed


@contained
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_fails_and_is_gone(name):
    program, said = HOSTILE[name]
    begun = time.monotonic()
    verdict = judged(program)
    assert not verdict.passed and said in verdict.reason, verdict
    assert time.monotonic() - begun < 3 * QUICK.seconds + 10


@contained
def test_the_world_outside_cannot_be_read_or_written(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    (tmp_path / "key").write_text("secret")
    places = [str(tmp_path), str(Path.home()), str(guests.HERE), "/etc", "/usr", "/"]
    program = f"""
import os
def f(x):
    if x == 1:
        assert "secret" not in str(dict(os.environ)), "environment"
        for place in {places!r}:
            try:
                with open(place + "/harm", "w") as file: file.write("x")
            except OSError: continue
            assert not os.path.ismount("/"), place
        for path in ({str(tmp_path / "key")!r}, {str(Path.home())!r}, "/etc/passwd", "/etc/shadow"):
            assert not os.path.exists(path), path
    return x + 1
"""
    verdict = judged(program)
    assert verdict.passed, verdict
    assert not any((Path(place) / "harm").exists() for place in places)


@contained
def test_there_is_no_network_not_even_this_machine_s():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        program = f"""
import socket
def f(x):
    for address in (("127.0.0.1", {port}), ("1.1.1.1", 53)):
        try:
            socket.create_connection(address, 1)
            return 0
        except OSError: pass
    return x + 1
"""
        assert judged(program).passed


@contained
def test_a_daemon_does_not_outlive_its_program():
    program = """
import os
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            pass
    os._exit(0)
def f(x):
    return x + 1
"""
    before = _busy()
    assert judged(program).passed
    time.sleep(0.5)
    assert _busy() <= before


def _busy():
    """Python processes of the sandbox that are alive."""
    found = subprocess.run(["pgrep", "-fc", "guest.py"], capture_output=True, text=True)
    return int(found.stdout or 0)


@contained
def test_many_checks_keep_their_order():
    jobs = [Check(program=f"def f(x):\n    return x + {i % 2}", tests=TESTS, entry="f") for i in range(12)]
    heard = []
    verdicts = check_all(jobs, QUICK, told=heard.append)
    assert [verdict.passed for verdict in verdicts] == [i % 2 == 1 for i in range(12)] and heard == list(range(1, 13))


def test_without_a_sandbox_it_refuses_and_may_be_overruled(monkeypatch):
    monkeypatch.setattr(guests, "_why_not", lambda: "bwrap is not installed")
    with pytest.raises(Unavailable, match="--allow-unsafe-code"):
        judged("def f(x):\n    return x + 1")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    program = "import os\ndef f(x):\n    assert 'OPENAI_API_KEY' not in os.environ\n    return x + 1"
    if shutil.which("prlimit") and (os.getuid() or shutil.which("setpriv")):
        verdict = check(Check(program=program, tests=TESTS, entry="f"), QUICK, allow_unsafe=True)
        assert verdict.passed, verdict


root_alone = pytest.mark.skipif(
    os.getuid() != 0 or not (shutil.which("prlimit") and shutil.which("setpriv")),
    reason="only root, with prlimit and setpriv, gives code a user of its own",
)


@root_alone
@pytest.mark.parametrize("name", ["an endless loop", "a memory hog", "a fork bomb", "exit 0 at once"])
def test_without_a_sandbox_root_s_limits_bind_too(name, monkeypatch):
    monkeypatch.setattr(guests, "_why_not", lambda: "bwrap does not start")
    monkeypatch.setenv(guests.ALLOW, "1")
    program, said = HOSTILE[name]
    verdict = judged(program)
    assert not verdict.passed and said in verdict.reason, verdict


@root_alone
def test_without_a_sandbox_root_s_code_is_nobody_who_forks_and_writes_little(tmp_path, monkeypatch):
    monkeypatch.setattr(guests, "_why_not", lambda: "bwrap does not start")
    monkeypatch.setenv(guests.ALLOW, "1")
    places = [str(tmp_path), str(Path.home()), str(guests.HERE), "/etc", "/usr", "/"]
    program = f"""
import fractions, os, signal
def f(x):
    assert os.getuid() >= {guests.FIRST_UID} and not os.getgroups()
    with open("mine", "w") as file: file.write("x")
    for place in {places!r}:
        try: open(place + "/harm", "w")
        except OSError: continue
        raise AssertionError(place)
    children = []
    try:
        for _ in range(60):
            children.append(os.fork())
            if not children[-1]: signal.pause()
    except OSError: pass
    for child in children: os.kill(child, 9)
    assert len(children) < {QUICK.processes}, len(children)
    return x + 1
"""
    verdict = judged(program)
    assert verdict.passed, verdict
    assert not any((Path(place) / "harm").exists() for place in places)
