"""Many programs in one sandbox: the same ones pass as alone, and none of them can help or harm another."""

from __future__ import annotations

import shutil

import pytest

from pipeline.sandbox import Check, Limits, check_all, check_together, together
from pipeline.sandbox.together import is_plain

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")

TESTS = "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(-5) == -4\n"
RIGHT = "def f(x):\n    return x + 1\n"
PROGRAMS = {
    "right": (RIGHT, True),
    "wrong": ("def f(x):\n    return x + 2\n", False),
    "right for one argument": ("def f(x):\n    return 2\n", False),
    "branches and loops": ("def f(x):\n    for i in range(1):\n        x += 1\n    return x if x < 9 else 0\n", True),
    "a helper": ("def one(x):\n    return 1\n\ndef f(x):\n    return x + one(x)\n", True),  # runs alone
    "raises": ("def f(x):\n    return x[0]\n", False),
    "raises when read": ("def f(x: no):\n    return x + 1\n", False),
    "no such function": ("def g(x):\n    return x + 1\n", False),
    "no Python": ("def f(x)\n    return x + 1\n", False),
    "nothing": ("", False),
    "a null byte": ("\0", False),
    "prints": ("def f(x):\n    print(x)\n    return x + 1\n", True),
    "exits": ("import os\nos._exit(0)\n", False),
    "equals everything": ("class E:\n    def __eq__(s, o):\n        return True\ndef f(x):\n    return E()\n", False),
    "patches a built-in": ("import builtins\nbuiltins.max = None\ndef f(x):\n    return x + 1\n", True),
    "a name of its own": ("def f(max):\n    return max + 1\n", True),
}


@pytest.fixture(scope="module")
def verdicts():
    asked = [Check(program=program, tests=TESTS, entry="f") for program, _ in PROGRAMS.values()]
    return dict(zip(PROGRAMS, check_together(asked, Limits(seconds=5)), strict=True))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_passes_or_fails_as_it_would_alone(verdicts, name):
    program, passes = PROGRAMS[name]
    assert verdicts[name].passed == passes
    assert bool(verdicts[name].reason) == (not passes)


def test_only_plain_computation_has_company():
    plain = {
        name
        for name, (program, _) in PROGRAMS.items()
        if name not in ("no Python", "a null byte") and is_plain(program, "f")
    }
    assert plain == {
        "right", "wrong", "right for one argument", "branches and loops", "raises", "raises when read",
        "a name of its own",
    }  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        "return x.real", "return __import__('os')", "return open(x)", "return getattr(x, 'a')",
        "global y\n    return 1",
        "return (lambda: 1)()", "return [i for i in x]", "return 9 ** 9 ** 9", "return 1 << x", "return f'{x}'",
        "while True:\n        pass", "return x()", "return eval(x)", "return __builtins__", "return f(x)",
        "import os\n    return 1", "try:\n        return 1\n    except Exception:\n        return 2", "return (y := 1)",
    ],
)  # fmt: skip
def test_whatever_could_reach_further_or_never_end_runs_alone(body):
    assert not is_plain(f"def f(x):\n    {body}\n", "f")


def test_a_program_that_ends_its_company_costs_no_other_its_verdict():
    programs = [RIGHT, "def f(x):\n    for i in range(10 * 10000 * 10000 * 100):\n        x = x\n    return x\n", RIGHT]
    asked = [Check(program=program, tests=TESTS, entry="f") for program in programs]
    assert [verdict.passed for verdict in check_together(asked, Limits(seconds=1))] == [True, False, True]


def test_more_programs_than_one_sandbox_takes(monkeypatch):
    monkeypatch.setattr(together, "COMPANY", 3)
    asked = [Check(program=f"def f{i}(x):\n    return x + {i % 2}\n", tests=TESTS, entry=f"f{i}") for i in range(7)]
    assert [verdict.passed for verdict in check_together(asked)] == [bool(i % 2) for i in range(7)]
    assert check_together([]) == []


def test_values_and_tests_with_braces_and_quotes_come_through():
    tests = "def check(candidate):\n    assert candidate({'a': '{}'}) == [\"'{x}\\\\n\"]\n"
    program = 'def f(x):\n    return ["\'{x}\\\\n"]\n'
    asked = Check(program=program, tests=tests, entry="f")
    assert check_all([asked])[0].passed and check_together([asked, asked])[0].passed and is_plain(program, "f")
