"""A program of the user's as the scorer: its score, its failures, and that nothing of it outlives."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline import programs
from pipeline.errors import ProgramError
from pipeline.evaluate import evaluate
from pipeline.fakes import fake_model
from pipeline.jobs import JOB, OUTCOME
from pipeline.paths import read_json, write_json
from pipeline.types import Benchmark, Program

WRITE = "import json, sys; json.dump({}, open(sys.argv[2], 'w'))"


def scored_by(folder: Path, code: str, command: str = "python my.py {model} {json}", **more) -> Benchmark:
    (folder / "my.py").write_text(code)
    return programs.benchmark("my", program=Program(command=command, folder=str(folder), alone=True, **more))


def score(folder: Path, code: str, **more):
    return evaluate(fake_model(folder / "a model", 0.4), scored_by(folder, code, **more), [], "search").score


def test_the_score_is_what_the_program_writes_about_the_model(tmp_path):
    code = "import json, sys\nx = json.load(open(sys.argv[1] + '/fake.json'))['score']\n" + WRITE.format(
        "{'accuracy': x, 'n': 50}"
    )
    found = score(tmp_path, code)
    assert (found.metric, found.value, found.n, found.role) == ("accuracy", 0.4, 50, "search")
    assert found.stderr > 0 and found.lenient is None and found.stops is None


def test_it_is_run_in_its_folder_and_told_limit_and_split(tmp_path):
    code = "import os, sys\n" + WRITE.format("{'a': float(os.path.exists('my.py')), 'b': float(sys.argv[3])}")
    command = "python my.py {model} {json} {limit} {split}"
    benchmark = scored_by(tmp_path, code + "\nassert sys.argv[4] == 'final'", command, metric="b", limit=-1)
    assert evaluate(fake_model(tmp_path / "m", 0.1), benchmark, [], "final").score.value == -1.0


@pytest.mark.parametrize(
    "code, why",
    [
        ("import sys; print('one', file=sys.stderr); sys.exit('out of memory')", "exit code 1: one | out of memory"),
        ("print('said on stdout'); raise SystemExit(3)", "exit code 3: said on stdout"),
        ("raise ValueError('boom')", "ValueError: boom"),
        ("pass", "wrote no JSON"),
        ("import sys; open(sys.argv[2], 'w').write('accuracy 0.5')", "is not JSON"),
        (WRITE.format("{'accuracy': float('nan')}"), "accuracy is nan"),
        (WRITE.format("{'name': 'x'}"), "no number that can be a score"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed by signal 9"),
        ("import sys\nfor _ in range(20000): print('noise', file=sys.stderr)\nsys.exit('last words')", "last words"),
    ],
)
def test_a_program_that_fails_is_an_error_of_one_line_with_its_last_words(tmp_path, code, why):
    with pytest.raises(ProgramError) as error:
        score(tmp_path, code)
    assert why in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 500


def test_a_program_that_hangs_is_ended(tmp_path):
    with pytest.raises(ProgramError, match="took longer than 0.5 s"):
        score(tmp_path, "import time; time.sleep(600)", time_limit=0.5)


def test_exit_code_124_is_no_time_out(tmp_path):
    with pytest.raises(ProgramError, match="exit code 124"):
        score(tmp_path, "raise SystemExit(124)")


DAEMON = """
import os, subprocess, sys, time
sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
plain = subprocess.Popen(sleeper)
apart = subprocess.Popen(sleeper, start_new_session=True)
if os.fork() == 0:
    os.setsid()
    orphan = subprocess.Popen(sleeper)
    open("orphan", "w").write(str(orphan.pid))
    os._exit(0)
while not os.path.exists("orphan") or not open("orphan").read():
    time.sleep(0.01)
open("pids", "w").write(f"{plain.pid} {apart.pid} {open('orphan').read()}")
"""


def alive(folder: Path) -> list[int]:
    pids = [int(text) for text in (folder / "pids").read_text().split()]
    assert len(pids) == 3
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def until(true, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans over")
@pytest.mark.parametrize("ending", [WRITE.format("{'a': 1.0}"), "raise SystemExit(1)"])
def test_nothing_that_a_program_started_outlives_it(tmp_path, ending):
    with contextlib.suppress(ProgramError):
        score(tmp_path, DAEMON + ending)
    assert alive(tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans over")
def test_nothing_of_a_program_outlives_the_worker_that_is_killed(tmp_path):
    scored_by(tmp_path, DAEMON + "time.sleep(600)")
    job = {"model_path": str(fake_model(tmp_path / "m", 0.1)), "benchmark": "my"}
    program = {"command": "python my.py {model} {json}", "folder": str(tmp_path), "alone": True}
    write_json(tmp_path / "job" / JOB, job | {"program": program})
    code = f"from pipeline import evaluate; evaluate.main({str(tmp_path / 'job')!r})"
    worker = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    until((tmp_path / "pids").exists)
    assert len(alive(tmp_path)) == 3
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    until(lambda: not alive(tmp_path))
    assert alive(tmp_path) == []


def test_an_evaluation_job_carries_its_program(tmp_path):
    scored_by(tmp_path, WRITE.format("{'accuracy': 0.25, 'n': 4}"))
    program = {"command": "python my.py {model} {json}", "folder": str(tmp_path), "alone": True}
    model = str(fake_model(tmp_path / "m", 0.1))
    write_json(tmp_path / "job" / JOB, {"model_path": model, "benchmark": "my", "program": program})
    from pipeline import evaluate as module

    module.main(tmp_path / "job")
    assert read_json(tmp_path / "job" / OUTCOME)["score"]["value"] == 0.25
