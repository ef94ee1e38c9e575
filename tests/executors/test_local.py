"""The fork server: warm, quick, and restarted when it dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.errors import PosttrainError
from pipeline.executors import local
from pipeline.types import Job
from tests.executors.test_contract import gone, outcome, start, until

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the fork server is for Linux; elsewhere jobs are spawned"
)


def make(warm: tuple[str, ...] = ()) -> local.LocalExecutor:
    return local.LocalExecutor(2, 1, warm)


def test_a_job_forks_with_the_imports_done_and_starts_in_milliseconds(tmp_path: Path) -> None:
    executor = make(("statistics",))
    start(executor, tmp_path, "hello", "first")
    assert executor.wait(20)
    began = time.monotonic()
    start(executor, tmp_path, "hello", "second")
    assert executor.wait(20)
    assert time.monotonic() - began < 0.3
    assert executor.import_seconds is not None
    executor.close()


def test_imports_that_fail_are_told_in_one_line(tmp_path: Path) -> None:
    executor = make(("no_such_module",))
    start(executor, tmp_path, "hello")
    with pytest.raises(PosttrainError, match="workers cannot start: ModuleNotFoundError.*no_such_module.*doctor"):
        executor.wait(20)
    executor.close()


def test_jobs_of_a_server_that_dies_end_with_a_reason_and_the_next_ones_run(tmp_path: Path) -> None:
    executor = make()
    place = start(executor, tmp_path, "linger")
    until((place / "pids.json").exists)
    executor.server.send_signal(signal.SIGKILL)
    finished = executor.wait(20)
    assert finished is not None and finished.exit_code == -9 and "worker server died" in finished.reason
    until(lambda: gone(json.loads((place / "pids.json").read_text())))
    start(executor, tmp_path, "hello", "after")
    assert executor.wait(20).exit_code == 0  # type: ignore[union-attr]
    executor.close()


def test_a_server_that_dies_before_it_is_ready_is_an_error_not_a_loop(tmp_path: Path) -> None:
    executor = make(("tests.executors.slow_import",))
    start(executor, tmp_path, "hello")
    os.kill(executor.server.pid, signal.SIGKILL)
    with pytest.raises(PosttrainError, match="worker server died"):
        executor.wait(20)
    executor.close()


def test_a_killed_owner_takes_a_server_with_it_that_is_still_importing(tmp_path: Path) -> None:
    arguments = ["local", str(tmp_path), "tests.executors.slow_import"]
    owner = subprocess.Popen([sys.executable, "-m", "tests.executors.owner", *arguments])
    until((tmp_path / "started").exists, 20)
    others = [process.pid for process in psutil.Process(owner.pid).children(recursive=True)]
    assert len(others) == 1
    time.sleep(0.3)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    until(lambda: gone(others), 5.0)


def test_ctrl_c_in_the_terminal_does_not_reach_the_jobs(tmp_path: Path) -> None:
    executor = make()
    place = start(executor, tmp_path, "linger")
    until((place / "pids.json").exists)
    pid = json.loads((place / "pids.json").read_text())[0]
    assert os.getpgid(pid) != os.getpgid(0) and os.getsid(pid) != os.getsid(0)
    executor.close()


@pytest.mark.slow
def test_with_torch_and_friends_imported_once_a_job_starts_at_once_with_its_own_threads(tmp_path: Path) -> None:
    executor = make(("torch", "transformers", "peft", "datasets", "trl", "lm_eval"))
    start(executor, tmp_path, "torch_threads", "first", threads=1)
    assert executor.wait(120).exit_code == 0  # type: ignore[union-attr]
    began = time.monotonic()
    place = start(executor, tmp_path, "torch_threads", "second", threads=2)
    assert executor.wait(20).exit_code == 0  # type: ignore[union-attr]
    assert time.monotonic() - began < 4.0  # the imports alone take longer
    assert outcome(place) == 2
    executor.close()


def test_a_cancel_that_comes_right_after_the_start_is_not_lost(tmp_path: Path) -> None:
    executor = make()
    for number in range(20):
        name = f"job{number}"
        (tmp_path / name).mkdir()
        executor.start(Job(id=name, call="tests.executors.jobs.linger", folder=str(tmp_path / name)))
        executor.cancel(name)
    for _ in range(20):
        finished = executor.wait(10)
        assert finished is not None and finished.reason == "cancelled"
    executor.close()
