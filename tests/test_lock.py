"""One owner per run folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.errors import OwnedError
from pipeline.lock import Lock

HOLD = """
import pathlib, sys, time
from pipeline.lock import Lock
lock = Lock(pathlib.Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    owner = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None and owner.stdout.readline() == "held\n"
    return owner


def test_a_folder_that_a_living_process_owns_is_refused_with_its_pid(tmp_path: Path) -> None:
    owner = hold(tmp_path)
    with pytest.raises(OwnedError, match=f"living process {owner.pid}"):
        Lock(tmp_path)
    owner.kill()
    owner.wait()


def test_the_same_process_cannot_own_a_folder_twice(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    with pytest.raises(OwnedError, match=str(os.getpid())):
        Lock(tmp_path)
    lock.release()


def test_a_released_folder_can_be_owned_again_and_tells_of_no_crash(tmp_path: Path) -> None:
    first = Lock(tmp_path)
    assert first.last_beat is None
    first.release()
    first.release()
    second = Lock(tmp_path)
    assert second.last_beat is None
    second.release()


def test_after_a_kill_the_folder_is_free_and_its_last_beat_is_known(tmp_path: Path) -> None:
    owner = hold(tmp_path)
    time.sleep(1.2)
    died = time.time()
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    time.sleep(0.3)
    lock = Lock(tmp_path)
    assert lock.last_beat is not None and died - 0.7 < lock.last_beat <= died + 0.1
    lock.release()
