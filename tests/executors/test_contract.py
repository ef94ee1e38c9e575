"""What every executor promises: the folder is listed, so that a new one is tested by existing."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline import plugins
from pipeline.contracts import Executor
from pipeline.types import Finished, Job

NAMES = plugins.names("executors")


@pytest.fixture(params=NAMES)
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    module = importlib.import_module(f"pipeline.executors.{request.param}")
    made = module.create(2, 1, warm=()) if request.param == "local" else module.create(2, 1)
    yield made
    made.close()


def start(executor: Executor, folder: Path, call: str, job_id: str = "job", threads: int = 1) -> Path:
    place = folder / job_id
    place.mkdir()
    executor.start(Job(id=job_id, call=f"tests.executors.jobs.{call}", folder=str(place), threads=threads))
    return place


def outcome(place: Path) -> Any:
    return json.loads((place / "outcome.json").read_text())


def until(condition: Any, seconds: float = 5.0) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "waited in vain"
        time.sleep(0.02)
    return time.monotonic() - began


def gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


def test_a_job_runs_in_its_own_process_with_its_threads_and_its_log(executor: Executor, tmp_path: Path) -> None:
    place = start(executor, tmp_path, "hello", threads=3)
    assert executor.wait(20) == Finished(job="job", exit_code=0)
    assert outcome(place)["threads"] == "3"
    assert outcome(place)["pid"] != os.getpid()
    assert set((place / "log.txt").read_text().split("\n")) >= {"hello", "to the log"}


def test_two_jobs_overlap_in_time(executor: Executor, tmp_path: Path) -> None:
    places = [start(executor, tmp_path, "span", name) for name in ("a", "b")]
    assert {executor.wait(20).job, executor.wait(20).job} == {"a", "b"}  # type: ignore[union-attr]
    (began_a, ended_a), (began_b, ended_b) = map(outcome, places)
    assert max(began_a, began_b) < min(ended_a, ended_b)


def test_an_exception_is_an_exit_code_with_a_traceback_in_the_log(executor: Executor, tmp_path: Path) -> None:
    place = start(executor, tmp_path, "boom")
    finished = executor.wait(20)
    assert finished is not None and finished.exit_code == 1 and finished.reason == "ended with exit code 1"
    assert "ValueError: no luck in job" in (place / "log.txt").read_text()


def test_an_exit_code_comes_back_as_it_is(executor: Executor, tmp_path: Path) -> None:
    start(executor, tmp_path, "leave")
    assert executor.wait(20) == Finished(job="job", exit_code=7, reason="ended with exit code 7")


def test_waiting_ends_at_its_timeout_and_at_once_when_nothing_runs(executor: Executor, tmp_path: Path) -> None:
    assert executor.wait() is None
    start(executor, tmp_path, "linger")
    began = time.monotonic()
    assert executor.wait(0.1) is None
    assert 0.1 <= time.monotonic() - began < 0.6


def test_cancelling_kills_one_job_with_its_children_and_leaves_the_others(executor: Executor, tmp_path: Path) -> None:
    doomed, other = (start(executor, tmp_path, call, call) for call in ("linger", "span"))
    until((doomed / "pids.json").exists)
    executor.cancel("linger")
    executor.cancel("unknown")
    ended = {finished.job: finished for finished in (executor.wait(20), executor.wait(20)) if finished}
    assert ended["linger"].exit_code != 0 and ended["linger"].reason == "cancelled"
    assert ended["span"].exit_code == 0 and (other / "outcome.json").exists()
    until(lambda: gone(json.loads((doomed / "pids.json").read_text())))


def test_a_killed_job_is_reported_with_its_signal_and_its_log_so_far(executor: Executor, tmp_path: Path) -> None:
    place = start(executor, tmp_path, "linger")
    until((place / "pids.json").exists)
    os.kill(json.loads((place / "pids.json").read_text())[0], signal.SIGKILL)
    assert executor.wait(20) == Finished(job="job", exit_code=-9, reason="killed by signal 9")
    assert (place / "log.txt").read_text() == "begun\n"
    until(lambda: gone(json.loads((place / "pids.json").read_text())))


def test_an_executor_is_ready_after_its_imports_and_runs_a_job_then(executor: Executor, tmp_path: Path) -> None:
    executor.get_ready()
    executor.get_ready()
    assert executor.is_ready
    start(executor, tmp_path, "hello")
    assert executor.wait(20) == Finished(job="job", exit_code=0)


def test_closing_ends_every_job(executor: Executor, tmp_path: Path) -> None:
    place = start(executor, tmp_path, "linger")
    until((place / "pids.json").exists)
    executor.close()
    until(lambda: gone(json.loads((place / "pids.json").read_text())))


@pytest.mark.parametrize("name", NAMES)
def test_no_process_outlives_a_killed_owner_by_five_seconds(name: str, tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-m", "tests.executors.owner", name, str(tmp_path), ""])
    until((tmp_path / "pids.json").exists, 20)
    others = [process.pid for process in psutil.Process(owner.pid).children(recursive=True)]
    assert len(others) >= 2
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    until(lambda: gone(others), 5.0)
