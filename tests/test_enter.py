"""Entering a task folder: a final model from the first minute on, the best one at the end, whatever goes wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipeline import enter, handover
from pipeline.fakes import fake_model
from tests.task_folder import fake_base, task_folder
from tests.variants import few

FAKE = ["--executor", "pipeline.fakes:instant", "--agent", "plain"]


@pytest.fixture
def base(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("POSTTRAIN_FAKE_SECONDS", "0.3")
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no test here pulls the plug
    monkeypatch.delenv("PROMPT", raising=False)
    return fake_base(tmp_path)


@pytest.fixture
def folder(tmp_path, base) -> Path:
    return task_folder(tmp_path, str(base))


def final_score(folder: Path) -> float:
    return json.loads((folder / "final_model" / "fake.json").read_text())["score"]


def breaks_on(folder: Path, condition: str) -> None:
    script = folder / "evaluate.py"
    script.write_text(
        script.read_text().replace("args = parse_args()", f"args = parse_args(); assert not ({condition})")
    )


def test_the_best_model_lies_there_and_the_report_says_what_the_score_is_worth(command, folder):
    code, out, _ = command("enter", folder, *FAKE, "--json")
    found = json.loads(out)
    assert code == 0 and found["trial"] == "t001" and found["score"] > found["base"] == 0.05
    assert final_score(folder) == found["score"]
    assert {path.name for path in folder.iterdir()} >= {"final_model", "posttrain", "evaluate.py", "timer.sh"}
    assert not list(folder.glob(".final_model*"))
    run = json.loads((Path(found["run"]) / "run.json").read_text())
    assert run["request"]["instruct"] is None and run["request"]["benchmark"] == "tiny_gsm8k"
    assert run["request"]["deadline"] > 0 and run["request"]["program"]["folder"] == str(folder)
    report = json.loads((Path(found["run"]) / "report.json").read_text())
    assert report["sealed"] is False and report["fraction"] is None and report["final_looks"] == 1
    assert report["metric"] == "accuracy" and "evaluate.py" in report["terms"]["program"]
    assert report["gain_points"]["low"] > 0


@pytest.mark.slow
def test_the_command_tells_its_result_in_words_too(command, folder):
    code, out, err = command("enter", folder, *FAKE, "--limit", "40")
    assert code == 0 and "final_model: t001, 0." in out and "base beaten" in out
    assert "the base, for the time being" in err


@pytest.mark.parametrize("said", ["Timer expired!", "Remaining time (hours:minutes):\n0:00"])
def test_with_the_time_nearly_over_the_base_is_all_there_is(command, folder, said):
    (folder / "timer.sh").write_text(f"echo '{said}'")
    code, out, _ = command("enter", folder, *FAKE)
    assert code == 0 and "too few for a search" in out
    assert final_score(folder) == 0.05 and not (folder / "posttrain" / "run-1").exists()


@pytest.mark.parametrize("timer", few(["echo garbage", None, "exit 3"], 1))
def test_without_a_timer_that_tells_the_time_budget_or_prompt_do(command, folder, timer):
    (folder / "timer.sh").unlink()
    if timer is not None:
        (folder / "timer.sh").write_text(timer)
    code, _, err = command("enter", folder, *FAKE, "--budget", "2m", "--margin", "5s")
    assert code == 0 and "going by --budget: 120 s from now on" in err and final_score(folder) > 0.05


def test_a_time_that_nothing_tells_is_asked_for_before_anything_starts(command, folder, base):
    (folder / "timer.sh").unlink()
    (folder / "prompt.txt").unlink()
    code, _, err = command("enter", folder, *FAKE, "--model", base, "--benchmark", "tiny_gsm8k")
    assert code == 2 and "say how much time there is with --budget" in err
    assert not (folder / "final_model").exists()


def test_a_budget_only_shortens_what_the_timer_says(folder, base):
    wanted = enter.Wanted(folder=str(folder), budget_seconds=10**9)
    task = enter.taskfolder.read(folder)
    assert enter._seconds_left(wanted, task, lambda news: None) <= 3600
    assert enter._seconds_left(wanted.model_copy(update={"budget_seconds": 90}), task, lambda news: None) == 90


def test_an_evaluate_that_crashes_leaves_the_base_and_says_why(command, folder):
    breaks_on(folder, "True")
    code, _, err = command("enter", folder, *FAKE)
    assert code == 2 and "base cannot be scored: the scoring program ended with exit code 1" in err
    assert "AssertionError" in err and "Traceback" not in err.splitlines()[-1][:20]
    assert final_score(folder) == 0.05


def test_an_evaluate_that_crashes_on_a_trained_model_is_a_failed_trial(command, folder):
    breaks_on(folder, "'trials' in args.model_path")
    code, out, _ = command("enter", folder, *FAKE, "--json")
    found = json.loads(out)
    assert code == 0 and found["trial"] is None and final_score(folder) == 0.05
    assert json.loads((Path(found["run"]) / "report.json").read_text())["trials"]["failed"] == 1


def test_a_final_model_that_lies_there_already_is_not_replaced_by_the_base(command, folder, tmp_path):
    breaks_on(folder, "'trials' in args.model_path")
    other = fake_model(tmp_path / "other", 0.5)
    (other / "config.json").write_text("{}")
    handover.copy(other, folder / "final_model")
    (folder / "timer.sh").write_text("echo 0:00")
    command("enter", folder, *FAKE)
    assert final_score(folder) == 0.5


def test_an_interrupted_entry_goes_on_in_its_run(command, folder, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(enter.finish, "choose_best", interrupted)
        code, _, err = command("enter", folder, *FAKE)
    assert code == 130 and "go on with: posttrain enter" in err
    better = final_score(folder)
    assert better > 0.05  # in place before the search was over
    code, out, _ = command("enter", folder, *FAKE, "--json")
    assert code == 0 and json.loads(out)["run"].endswith("run-1") and final_score(folder) == better
    code, out, _ = command("enter", folder, *FAKE, "--json")  # finished: another run begins
    assert code == 0 and json.loads(out)["run"].endswith("run-2")


def test_no_final_scores_where_the_time_for_them_is_over(command, folder, monkeypatch):
    monkeypatch.setattr(enter.evaluations, "closing_seconds", lambda history: 10**6 if len(history) > 1 else 0.0)
    code, out, err = command("enter", folder, *FAKE, "--json")
    found = json.loads(out)
    assert code == 0 and "no time is left for final scores" in err and final_score(folder) == found["score"] > 0.05
    assert (Path(found["run"]) / "report.json").is_file()


@pytest.mark.parametrize(
    "arguments, why",
    [
        (["--model", "no/such model"], "unknown model"),
        (["--benchmark", "nothing"], "unknown benchmark 'nothing'"),
        (["--agent", "nobody"], "unknown agent 'nobody'"),
        (["--budget", "soon"], "not a duration"),
        (["--data", "nowhere"], "unknown data source"),
    ],
)
def test_wrong_options_are_one_line_and_leave_no_trace(command, folder, arguments, why):
    code, _, err = command("enter", folder, *FAKE, *arguments)
    assert code == 2 and why in err and not (folder / "final_model").exists()


def test_a_task_folder_that_cannot_be_written_is_one_line_and_nothing_is_begun(command, folder, monkeypatch):
    def refused(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refused)
    code, out, err = command("enter", folder, *FAKE)
    assert (code, out, err.count("\n")) == (2, "", 1) and "cannot be written in (Permission denied)" in err
    assert not (folder / "final_model").exists()


def test_a_benchmark_that_nobody_knows_needs_data(command, tmp_path, base):
    folder = task_folder(tmp_path, str(base), "MMLU-Pro")
    code, _, err = command("enter", folder, *FAKE)
    assert code == 2 and "'MMLU-Pro' is no benchmark of the catalogue: name one with --benchmark" in err
    code, _, _ = command("enter", folder, *FAKE, "--data", "maths_1,maths_2")
    assert code == 0 and final_score(folder) > 0.05


def test_what_is_no_task_folder_is_one_line(command, tmp_path):
    code, _, err = command("enter", tmp_path)
    assert code == 2 and "no evaluate.py in it" in err
