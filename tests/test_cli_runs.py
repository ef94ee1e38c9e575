"""Runs by the real command, in real processes and real time, with fake training (`pipeline.fakes`)."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import psutil
import pytest

from pipeline import lab
from pipeline.fakes import fake_model


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a fake base and its instruct sibling; fake trials at full length take 0.3 s."""
    for name, score in (("base", 0.05), ("instruct", 0.9)):
        fake_model(tmp_path / name, score)
        (tmp_path / name / "config.json").write_text('{"architectures": ["Qwen3ForCausalLM"]}')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTTRAIN_FAKE_SECONDS", "0.3")
    return tmp_path


@pytest.fixture
def run(command, place):
    return command


FAKE = ["--model", "base", "--benchmark", "tiny_gsm8k", "--instruct", "instruct", "--executor", "pipeline.fakes"]
SEARCH = ["search", *FAKE, "--agent", "random"]


def events(folder, kind):
    lines = (folder / "ledger.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["kind"] == kind]


def test_a_search_ends_with_its_report_in_a_folder_of_its_own(run, place):
    code, out, err = run(*SEARCH, "--budget", "3s", "--seed", "4")
    folder = place / "runs" / "base-tiny_gsm8k-random-seed4"
    assert code == 0
    assert "fraction of the human gain" in out and str(folder.relative_to(place)) in out
    assert "t001" in err and "left" in err
    report = json.loads((folder / "report.json").read_text())
    assert report["seed"] == 4 and report["fraction"]["value"] > 0
    assert (folder / "final_model").is_dir()


def test_json_prints_one_document_and_nothing_else(run, place):
    code, out, _ = run(*SEARCH, "--trials", "2", "--budget", "1m", "--json")
    assert code == 0
    document = json.loads(out)
    assert document["schema"] == 1 and document["trials"]["scored"] == 2
    assert json.loads(run("report", "runs/base-tiny_gsm8k-random-seed0", "--json")[1])["best_trial"]


def test_a_finished_search_is_only_read_when_it_is_resumed(run, place):
    run(*SEARCH, "--trials", "1", "--budget", "1m", "--out", "mine")
    ledger = (place / "mine" / "ledger.jsonl").read_bytes()
    code, out, _ = run("search", "--resume", "mine", "--json")
    assert code == 0 and json.loads(out)["final_looks"] == 1
    assert (place / "mine" / "ledger.jsonl").read_bytes() == ledger


def test_an_extended_search_goes_on_and_counts_its_second_look(run, place):
    run(*SEARCH, "--budget", "2s", "--out", "mine")
    before = len(events(place / "mine", "started"))
    code, out, _ = run("search", "--resume", "mine", "--budget", "+2s", "--json")
    document = json.loads(out)
    assert code == 0 and document["spend"]["budget_seconds"] == 4 and document["final_looks"] == 2
    assert len(events(place / "mine", "started")) > before


@pytest.mark.clock
def test_an_interrupted_search_prints_the_command_that_goes_on(place):
    command = [sys.executable, "-m", "pipeline.cli", *SEARCH, "--budget", "1m", "--trials", "6", "--out", "mine"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # a shell's background jobs ignore interrupts, and so does all that they start: not what is tested here
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, start_new_session=True, preexec_fn=heard, **pipes)
    wait_for(lambda: (place / "mine" / "trials" / "t002").exists())
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and out == ""
    assert "posttrain search --resume mine" in err and "Traceback" not in err
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "search", "--resume", "mine", "--json"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0 and json.loads(done.stdout)["trials"]["scored"] == 6


@pytest.mark.clock
def test_a_killed_search_leaves_no_process_and_goes_on_with_its_time_counted(place):
    command = [sys.executable, "-m", "pipeline.cli", *SEARCH, "--budget", "12s", "--out", "mine"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: (place / "mine" / "trials" / "t004").exists())
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert family and not psutil.wait_procs(family, timeout=5)[1]
    before = {event["trial"]: event["outcome"]["scores"] for event in events(place / "mine", "finished")}
    assert before
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "search", "--resume", "mine", "--json"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert done.returncode == 0
    after = {event["trial"]: event["outcome"]["scores"] for event in events(place / "mine", "finished")}
    assert {trial: after[trial] for trial in before} == before and len(after) > len(before)
    assert 9 <= report["spend"]["seconds"] <= 14


@pytest.mark.clock
@pytest.mark.parametrize("seconds", [4, 7])
def test_a_search_ends_with_its_wall_clock_budget(run, seconds):
    code, out, _ = run(*SEARCH, "--budget", f"{seconds}s", "--json")
    spend = json.loads(out)["spend"]
    assert code == 0 and spend["budget_seconds"] == seconds
    assert abs(spend["seconds"] - seconds) <= 2


def test_two_slots_run_two_trials_at_once(run, place, monkeypatch):
    monkeypatch.setenv("POSTTRAIN_FAKE_SECONDS", "2")
    assert run(*SEARCH, "--budget", "1m", "--trials", "2", "--slots", "2", "--out", "mine")[0] == 0
    recipes = [event["at"] for event in events(place / "mine", "started") if event["trial"]["id"].startswith("t")]
    ends = [event["at"] for event in events(place / "mine", "finished") if event["trial"].startswith("t")]
    assert len(recipes) == 2 and max(recipes) < min(ends)


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_a_run_of_another_living_process_is_refused_with_its_pid(run, place):
    command = [sys.executable, "-m", "pipeline.cli", *SEARCH, "--budget", "1m", "--out", "mine"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: (place / "mine" / "trials" / "t001").exists())
    try:
        code, out, err = run("search", "--resume", "mine")
        assert (code, out, err.count("\n")) == (2, "", 1) and str(process.pid) in err
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 130


def test_other_commands_reach_the_process_that_owns_a_run(run, place):
    command = [sys.executable, "-m", "pipeline.cli", *SEARCH, "--budget", "10m", "--out", "mine"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        wait_for(lambda: (place / "mine" / "trials" / "t001").exists())
        left = json.loads(run("remaining", "mine", "--json")[1])
        assert 0 < left["seconds"] < left["budget"]["seconds"] == 600 and left["trials"] is None
        code, out, _ = run("step", "mine", "--changes", '{"stages.0.params.learning_rate": 0.002}', "--json")
        trial = json.loads(out)["trial"]
        assert code == 0 and trial["state"] == "scored" and trial["proposal"]["author"] == "user"
        fake_model(place / "made", 0.8)
        (place / "made" / "config.json").write_text('{"architectures": ["Qwen3ForCausalLM"]}')
        assert run("submit", "mine", "made")[0] == 0
        code, out, err = run("submit", "mine", "nowhere")
        assert (code, out) == (2, "") and "no such folder" in err.splitlines()[-1]
        code, out, _ = run("finish", "mine", "--json")
        assert code == 0 and json.loads(out)["best_trial"] == "s001"
        searched, _ = process.communicate(timeout=60)
        assert process.returncode == 0 and "its user finished it" in searched
    finally:
        process.kill()


def test_a_run_can_be_driven_by_steps(run, place, monkeypatch):
    code, out, _ = run("open", *FAKE, "--budget", "5m", "--out", "mine", "--json")
    document = json.loads(out)
    assert code == 0 and "stages.0.params.learning_rate" in document["space"] and document["data"][0]["samples"]

    code, out, _ = run("step", "mine", "--changes", '{"stages.0.params.learning_rate": 0.002}', "--json")
    assert code == 0 and json.loads(out)["trial"]["state"] == "scored"
    code, out, err = run("step", "mine", "--changes", '{"stages.0.params.learning_rate": 999.0}')
    assert (code, out) == (2, "") and "learning_rate" in err.splitlines()[-1]
    code, out, err = run("step", "mine", "--changes", "{learning_rate: 2}")
    assert (code, out, err.count("\n")) == (2, "", 1) and "--changes" in err
    code, out, err = run("step", "mine", "--changes", "{}", "--continues", "t009")
    assert (code, out) == (2, "") and "t009" in err.splitlines()[-1]
    code, out, err = run("search", "--resume", "mine")
    assert (code, out) == (2, "") and "posttrain finish" in err

    assert "left: " in run("remaining", "mine")[1] and json.loads(run("remaining", "mine", "--json")[1])["seconds"] > 0
    fake_model(place / "made", 0.1)
    (place / "made" / "config.json").write_text("{}")
    code, out, _ = run("submit", "mine", "made", "--rationale", "by hand", "--json")
    assert code == 0 and json.loads(out)["trial"]["outcome"]["labels"] == ["unverified"]
    code, out, err = run("submit", "mine", "instruct")
    assert (code, out) == (2, "") and "the instruct model itself" in err.splitlines()[-1]
    code, out, _ = run("finish", "mine", "--json")
    assert code == 0 and json.loads(out)["best_trial"] == "t001"
    assert json.loads(run("finish", "mine", "--json")[1])["final_looks"] == 1


def test_a_flagged_run_exits_with_3(run, place):
    run("open", *FAKE, "--budget", "5m", "--out", "mine")
    run("step", "mine", "--changes", "{}")
    (place / "base" / "config.json").write_text('{"changed": true}')
    code, out, _ = run("finish", "mine")
    assert code == 3 and "FLAGGED" in out


def test_rerun_trains_and_scores_a_trial_again(run, place):
    run(*SEARCH, "--trials", "1", "--budget", "1m", "--out", "mine")
    code, out, err = run("rerun", "mine", "t009")
    assert (code, out, err.count("\n")) == (2, "", 1) and "t001" in err
    ledger = (place / "mine" / "ledger.jsonl").read_bytes()
    code, out, _ = run("rerun", "mine", "t001", "--json")
    found = json.loads(out)
    assert code == 0 and found["same"] and found["before"]["value"] == found["again"]["value"]
    assert (place / "mine" / "ledger.jsonl").read_bytes() == ledger


def test_several_benchmarks_make_a_matrix_that_can_be_resumed(run, place):
    many = ["--benchmark", "tiny_gsm8k,tiny_bfcl", "--trials", "1", "--budget", "1m", "--out", "all"]
    code, out, err = run(*SEARCH, *many)
    assert code == 0 and "tiny_bfcl" in out and "== base-tiny_bfcl" in err
    matrix = json.loads((place / "all" / "matrix.json").read_text())
    assert [cell["folder"] for cell in matrix["cells"]] == ["base-tiny_gsm8k", "base-tiny_bfcl"]
    report = json.loads((place / "all" / "report.json").read_text())
    assert len(report["cells"]) == 2 and report["fraction"]
    assert run("search", "--resume", "all", "--json")[0] == 0
    code, _, err = run("search", "--resume", "all", "--budget", "+1h")
    assert code == 2 and "cell by cell" in err


def test_a_model_of_no_known_family_is_refused_before_a_run_is_begun(run, place):
    (place / "base" / "config.json").write_text('{"architectures": ["T5ForConditionalGeneration"], "model_type": "t5"}')
    code, out, err = run(*SEARCH, "--budget", "1m", "--out", "mine")
    assert (code, out) == (2, "") and "T5ForConditionalGeneration" in err.splitlines()[-1]
    assert not (place / "mine").exists()


@pytest.mark.parametrize("asked", ["search --budget 1m --model", "evaluate", "compare lab/qwen3-base"])
def test_data_that_is_not_there_is_told_before_a_lab_is_built(run, place, monkeypatch, asked):
    monkeypatch.setattr(lab, "resolve", lambda *_, **__: pytest.fail("a lab was asked for"))
    monkeypatch.delenv("POSTTRAIN_DATA_ROOT", raising=False)
    code, out, err = run(*asked.split(), "lab/qwen3-base", "--benchmark", "gpqamain")
    assert (code, out) == (2, "") and "gpqamain" in err.splitlines()[-1]


def test_report_takes_several_runs_and_every_format(run, place):
    for seed in "12":
        run(*SEARCH, "--trials", "1", "--budget", "1m", "--seed", seed, "--out", f"s{seed}")
    code, out, _ = run("report", "s1", "s2", "--json")
    assert code == 0 and len(json.loads(out)["runs"]) == 2
    assert run("report", "s1", "--format", "md")[1].startswith("# ")
    assert "<html" in run("report", "s1", "--format", "html")[1]
