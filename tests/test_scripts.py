"""The scripts that a newcomer and continuous integration run. They are tried on a copy with a stand-in for Python, so
that no test installs anything."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ["scripts/reproduce", "scripts/test", "scripts/real_parts", ".ci/run"]

# Stands for python3 and for .venv/bin/python: it knows `-c` and what the scripts call with `-m`, and notes each call.
PYTHON = """#!/usr/bin/env bash
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
case "$1 $2" in
  "-c import sys"*) exit ${FAKE_TOO_OLD:-0} ;;
  "-c import fcntl"*) exec %(python)s "$@" ;;
  "-m venv") mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; echo venv >> "$FAKE_LOG"
             printf '#!/bin/sh\\necho posttrain "$@" in "$PWD"\\n' > "$4/bin/posttrain"; chmod +x "$4/bin/posttrain" ;;
  "-m pip") [ "$3" = --version ] && exit; sleep ${FAKE_PIP_SECONDS:-0}
            echo "pip ${*:4}" >> "$FAKE_LOG"; [ -z "$FAKE_PIP_FAILS" ] || exit 1 ;;
  "-m pytest") echo pytest "${@:3}" in "$PWD"; [ -z "$FAKE_FAILS" ] || case "$*" in *"$FAKE_FAILS"*) exit 1 ;; esac ;;
  "-m tests.real_parts") echo "real_parts ${*:3} in $PWD" >> "$FAKE_LOG"; exit ${FAKE_NO_PARTS:-0} ;;
  --version*) echo Python 3.11.99 ;;
esac
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A copy of the scripts in a folder whose name has a space, and a stand-in python3 before the real one in PATH."""
    root = tmp_path / "a checkout"
    for name in ("scripts", ".ci"):
        shutil.copytree(ROOT / name, root / name)
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, root / name)
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    real = shutil.which("python3", path=os.defpath) or shutil.which("python3")
    python.write_text(PYTHON % {"python": real})
    python.chmod(0o755)
    monkeypatch.setenv("PATH", f"{python.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))
    monkeypatch.delenv("PYTHON", raising=False)
    return root


def call(*command, cwd, **environment):
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def log(checkout):
    return (checkout.parent / "log").read_text().splitlines()


def everything(checkout):
    """What the stand-in prints when all but the slow tests are run."""
    return [f"pytest -n 2 -m not slow and not clock in {checkout}", f"pytest -m not slow and clock in {checkout}"]


@pytest.mark.parametrize("script", [*SCRIPTS, "scripts/_setup"])
def test_bash_accepts_every_script(script):
    assert call("bash", "-n", ROOT / script, cwd=ROOT).returncode == 0


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_is_executable(script):
    assert os.access(ROOT / script, os.X_OK)


def test_reproduce_sets_up_and_runs_in_the_callers_folder_with_the_arguments(checkout, tmp_path):
    done = call(checkout / "scripts/reproduce", "--seed", "3", "--out", "a b", cwd=tmp_path)
    assert done.stdout.strip() == f"posttrain reproduce --seed 3 --out a b in {tmp_path}"
    assert log(checkout) == [
        "venv",
        f"pip --quiet -c {checkout}/constraints.txt torch==2.13.0",
        f"pip --quiet -c {checkout}/constraints.txt -e {checkout}[dev]",
    ]


def test_a_second_call_installs_nothing_until_the_requirements_change(checkout, tmp_path):
    call(checkout / "scripts/reproduce", cwd=tmp_path)
    call(checkout / "scripts/reproduce", cwd=tmp_path)
    assert len(log(checkout)) == 3
    with open(checkout / "constraints.txt", "a") as constraints:
        constraints.write("# changed\n")
    call(checkout / "scripts/reproduce", cwd=tmp_path)
    assert [line.split()[0] for line in log(checkout)] == ["venv", "pip", "pip", "pip", "pip"]


def test_a_script_works_through_a_symbolic_link(checkout, tmp_path):
    link = tmp_path / "bin" / "my-tests"
    link.symlink_to(checkout / "scripts/test")
    assert call(link, cwd=tmp_path).stdout.splitlines() == everything(checkout)


def test_test_runs_from_the_repository_and_passes_arguments_on(checkout, tmp_path):
    done = call(checkout / "scripts/test", "tests/test_cli.py", "-k", "a or b", cwd=tmp_path)
    assert done.stdout.strip() == f"pytest tests/test_cli.py -k a or b in {checkout}"


def test_full_lifts_the_choice_of_quick_tests(checkout, tmp_path):
    done = call(checkout / "scripts/test", "--full", "-x", cwd=tmp_path)
    assert done.stdout.strip() == f"pytest -m  -x in {checkout}"
    done = call(checkout / "scripts/test", "--full", cwd=tmp_path)
    assert done.stdout.splitlines() == [*everything(checkout), f"pytest -m slow in {checkout}"]


@pytest.mark.parametrize("failing", ["-n 2", "and clock", "-m slow"])
def test_any_part_that_fails_fails_the_whole_and_the_others_are_run(checkout, tmp_path, failing):
    done = call(checkout / "scripts/test", "--full", cwd=tmp_path, FAKE_FAILS=failing)
    assert done.returncode == 1 and len(done.stdout.splitlines()) == 3
    assert call(checkout / "scripts/test", "--full", cwd=tmp_path).returncode == 0


def test_real_parts_are_fetched_from_the_repository_with_the_arguments(checkout, tmp_path):
    assert call(checkout / "scripts/real_parts", "qwen3", cwd=tmp_path).returncode == 0
    assert log(checkout)[-1] == f"real_parts qwen3 in {checkout}"


@pytest.mark.parametrize(("failed", "told"), [("0", ""), ("2", "tests marked real are skipped\n")])
def test_test_fetches_the_tokenizers_where_npm_is_and_goes_on_without_them(checkout, tmp_path, failed, told):
    npm = tmp_path / "bin" / "npm"
    npm.write_text("#!/bin/sh\n")
    npm.chmod(0o755)
    call(checkout / "scripts/reproduce", cwd=tmp_path)  # the set-up tells what it does
    done = call(checkout / "scripts/test", cwd=tmp_path, FAKE_NO_PARTS=failed)
    assert log(checkout)[-1] == f"real_parts --quiet qwen3 gemma3 in {checkout}"
    assert (
        done.stdout.splitlines() == everything(checkout)
        and done.stderr.endswith(told)
        and bool(told) == ("skipped" in done.stderr)
    )


def test_continuous_integration_calls_the_test_script(checkout, tmp_path):
    assert call("bash", checkout / ".ci/run", cwd=tmp_path).stdout.splitlines() == everything(checkout)


def test_two_at_once_install_once(checkout, tmp_path):
    environment = {**os.environ, "FAKE_PIP_SECONDS": "0.3"}
    command = [str(checkout / "scripts/reproduce")]
    both = [subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert [line.split()[0] for line in log(checkout)] == ["venv", "pip", "pip"]


def test_a_killed_set_up_leaves_no_lock_and_is_done_again(checkout, tmp_path):
    command = [str(checkout / "scripts/reproduce")]
    environment = {**os.environ, "FAKE_PIP_SECONDS": "1"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not (checkout.parent / "log").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert call(command[0], cwd=tmp_path).returncode == 0
    assert log(checkout)[-1].endswith("[dev]")


def test_an_old_python_is_one_clear_line(checkout, tmp_path):
    done = call(checkout / "scripts/test", cwd=tmp_path, FAKE_TOO_OLD="1", PYTHON="python3")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "Python 3.11" in done.stderr and "PYTHON=" in done.stderr


def test_a_failing_pip_is_an_error_and_no_stamp_is_left(checkout, tmp_path):
    assert call(checkout / "scripts/test", cwd=tmp_path, FAKE_PIP_FAILS="1").returncode == 2
    assert call(checkout / "scripts/test", cwd=tmp_path).returncode == 0
