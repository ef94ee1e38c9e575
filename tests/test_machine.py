from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import cores, machine
from pipeline.errors import InputError, PosttrainError

MACHINE = machine.Machine(cores=2, memory_bytes=1, device="cpu", device_name="x", dtype="float32", threads=2)


@pytest.fixture
def empty_home(monkeypatch, tmp_path):
    monkeypatch.setenv("POSTTRAIN_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def measured(monkeypatch):
    """Replaces the child process; collects its calls."""
    calls = []

    def child():
        calls.append(time.time())
        time.sleep(0.05)
        return MACHINE.model_copy(update={"measured_at": time.time()})

    monkeypatch.setattr(machine, "_measured_by_child", child)
    return calls


def test_this_machine_is_measured_within_seconds_by_a_child_and_torch_stays_out_of_the_caller(tmp_path):
    code = (
        "import sys; from pipeline import machine; found = machine.cached(); "
        "assert machine.known() == found; assert 'torch' not in sys.modules; print(found.model_dump_json())"
    )
    environment = {"POSTTRAIN_HOME": str(tmp_path), "PATH": "", "PYTHONPATH": ":".join(filter(None, sys.path))}
    (tmp_path / "pipeline.py").write_text("raise RuntimeError('the user's own file of that name')")
    command = [sys.executable, "-P", "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    found = machine.Machine.model_validate_json(run.stdout)
    assert 1 <= found.threads <= found.cores
    assert found.memory_bytes > 2**28
    assert found.dtype == machine.choose_dtype(found.gflops)
    assert found.measured_seconds < 30  # half a second where nobody else uses the cores
    assert all(speed > 0 for speed in found.gflops.values())


def test_a_machine_is_measured_once(empty_home, measured):
    assert machine.known() is None
    assert machine.cached() == machine.cached() == machine.known()
    assert len(measured) == 1


def test_of_two_that_ask_at_once_one_measures_and_both_know(empty_home, measured):
    found = []
    threads = [threading.Thread(target=lambda: found.append(machine.cached())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(measured) == 1
    assert found[0] == found[1] == found[2]


def test_another_machine_or_another_torch_is_measured_anew(empty_home, measured, monkeypatch):
    machine.cached()
    real = machine.identity()
    monkeypatch.setattr(machine, "identity", lambda: {**real, "torch": "0.0"})
    machine.cached()
    assert len(measured) == 2


def test_a_broken_cache_file_is_measured_anew(empty_home, measured):
    machine.cached()
    (file,) = (empty_home / "machine").glob("*.json")
    for content in ("", "{}", "[1]"):
        file.write_text(content)
        assert machine.cached().threads == 2
    assert len(measured) == 4


def test_a_measurement_from_a_busy_time_holds_for_workers_and_is_repeated_at_a_commands_start(empty_home, monkeypatch):
    busy = MACHINE.model_copy(update={"quiet": False, "threads": 1, "measured_at": time.time() - 3600})
    monkeypatch.setattr(machine, "_measured_by_child", lambda: busy)
    machine.cached()
    monkeypatch.setattr(machine, "_measured_by_child", lambda: MACHINE)
    assert machine.cached().threads == 1
    assert machine.cached(recheck=True).threads == 2
    assert machine.cached(recheck=True).threads == 2


def test_fewer_threads_than_cores_are_not_believed_for_good(empty_home, monkeypatch):
    fewer = MACHINE.model_copy(update={"threads": 1, "measured_at": time.time()})
    old = fewer.model_copy(update={"measured_at": time.time() - 86_400})
    for first, expected in ((fewer, 1), (old, 2), (old.model_copy(update={"threads": 2}), 2)):
        monkeypatch.setattr(machine, "_measured_by_child", lambda first=first: first)
        shutil.rmtree(empty_home / "machine", ignore_errors=True)
        machine.cached()
        monkeypatch.setattr(machine, "_measured_by_child", lambda: MACHINE)
        assert machine.cached().threads == first.threads
        assert machine.cached(recheck=True).threads == expected


def test_a_bad_moment_that_meets_one_round_does_not_decide_the_number_of_threads(monkeypatch):
    """The first round's two threads are slowed by a factor of ten."""
    calls = []

    def seconds(work, inputs, device, slice_seconds):
        import torch

        calls.append(torch.get_num_threads())
        slowed = 10.0 if calls[-1] == 2 and calls.count(2) <= 2 else 1.0
        return slowed / calls[-1]

    monkeypatch.setattr(machine, "_best_seconds", seconds)
    monkeypatch.setattr(machine, "cores", lambda: 2)
    monkeypatch.delenv("POSTTRAIN_THREADS", raising=False)
    assert machine._measure_threads()[0] == 2
    assert calls[:4] == [1, 1, 2, 2]


def test_what_a_hosts_other_guests_take_counts_as_others_work(monkeypatch):
    if not hasattr(machine.psutil.cpu_times(), "steal"):
        pytest.skip("this platform tells no stolen time")
    core = machine.psutil.cpu_times()._replace(user=1.0, nice=0.0, system=2.0, steal=0.0)
    monkeypatch.setattr(machine, "own_cores", lambda: [0])
    busy = []
    for steal in (0.0, 4.0):
        monkeypatch.setattr(machine.psutil, "cpu_times", lambda percpu, steal=steal: [core._replace(steal=steal)])
        monkeypatch.setattr(machine.time, "process_time", lambda: 0.0)
        busy.append(machine._busy_seconds())
    assert busy == [3.0, 7.0]
    monkeypatch.setattr(machine.psutil, "cpu_times", lambda percpu: [core._replace(nice=5.0)])
    assert machine._busy_seconds() == 8.0  # what runs politely runs all the same


def test_a_cache_folder_that_cannot_be_written_is_told_with_what_to_do(monkeypatch, measured, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("POSTTRAIN_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match="cannot be written .* set POSTTRAIN_HOME"):
        machine.cached()


def test_a_torch_that_does_not_run_is_told_in_one_line(empty_home, monkeypatch):
    monkeypatch.setattr(machine.sys, "executable", "false")
    with pytest.raises(PosttrainError, match="torch does not run here"):
        machine.cached()


@pytest.mark.parametrize(
    ("matmul", "matvec", "expected"),
    [
        ((37.9, 9.5), (21.5, 0.2), "float32"),  # AVX2: bfloat16 is emulated
        ((100.0, 225.0), (29.0, 5.8), "float32"),  # fast to train with, five times slower to decode with
        ((100.0, 225.0), (29.0, 40.0), "bfloat16"),
        ((60_000.0, 700_000.0), (1_400.0, 2_700.0), "bfloat16"),  # a GPU
        ((100.0, 110.0), (29.0, 40.0), "float32"),  # too little to give up precision for
    ],
)
def test_the_dtype_is_chosen_by_both_training_and_decoding_speed(matmul, matvec, expected):
    speeds = {
        "matmul float32": matmul[0],
        "matmul bfloat16": matmul[1],
        "matvec float32": matvec[0],
        "matvec bfloat16": matvec[1],
    }
    assert machine.choose_dtype(speeds) == expected


def test_the_fewest_threads_that_are_nearly_the_fastest_are_chosen():
    assert machine.choose_threads({1: 10.0, 2: 19.0, 4: 36.0, 8: 37.0}) == 4
    assert machine.choose_threads({1: 100.0, 2: 13.0}) == 1


@given(st.integers(1, 512))
def test_thread_counts_reach_from_one_to_all(available):
    counts = machine.thread_counts(available)
    assert (counts[0], counts[-1]) == (1, available)
    assert len(counts) <= 11


def test_the_users_number_of_threads_is_taken(monkeypatch):
    monkeypatch.setenv("POSTTRAIN_THREADS", "3")
    assert cores.cores() == 3
    for wrong in ("0", "-1", "two", "1.5"):
        monkeypatch.setenv("POSTTRAIN_THREADS", wrong)
        with pytest.raises(InputError, match="set it to a whole number above 0"):
            cores.cores()


@pytest.fixture
def cgroup(monkeypatch, tmp_path):
    """Writes files of a cgroup tree that this process is in, as version 2 or 1 has them."""
    real = cores._cgroups

    def make(own, files):
        (tmp_path / "self").write_text(own)
        for name, content in files.items():
            (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "tree" / name).write_text(content)
        monkeypatch.setattr(
            cores, "_cgroups", lambda controller: real(controller, tmp_path / "tree", tmp_path / "self")
        )
        monkeypatch.setattr(cores, "own_cores", lambda: list(range(64)))
        monkeypatch.delenv("POSTTRAIN_THREADS", raising=False)

    return make


def test_the_quota_of_a_cgroup_of_version_2_or_of_one_around_it_counts(cgroup):
    cgroup("0::/a/b\n", {"a/cpu.max": "350000 100000", "a/b/cpu.max": "max 100000", "a/memory.max": "1000"})
    assert cores.cores() == 4
    assert cores.memory_bytes() == 1000


def test_the_quota_of_a_cgroup_of_version_1_counts(cgroup):
    files = {
        "cpu/x/cpu.cfs_quota_us": "150000",
        "cpu/x/cpu.cfs_period_us": "100000",
        "memory/memory.limit_in_bytes": "9",
    }
    cgroup("3:cpu,cpuacct:/x\n2:memory:/not/visible\n", files)
    assert cores.cores() == 2
    assert cores.memory_bytes() == 9


def test_without_limits_the_affinity_and_the_machines_memory_count(cgroup):
    cgroup("0::/\n1:cpu:/\n", {"cpu.max": "max 100000", "memory.max": "max", "cpu/cpu.cfs_quota_us": "-1"})
    assert cores.cores() == 64
    assert cores.memory_bytes() > 2**28
