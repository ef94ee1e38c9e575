"""What a task folder says: model, benchmark, time left, command, template; and what is no such folder."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import taskfolder
from pipeline.errors import InputError
from pipeline.taskfolder import NoTime, known_benchmark, read, seconds_left, template
from tests.task_folder import fake_base, task_folder

MODEL = "Qwen/Qwen3-1.7B-Base"


@pytest.fixture(autouse=True)
def _no_prompt(monkeypatch):
    monkeypatch.delenv("PROMPT", raising=False)


@pytest.mark.parametrize("prompt", ["instruction.md", "prompt.txt"])
def test_model_benchmark_and_hours_are_the_prompts(tmp_path, prompt):
    task = read(task_folder(tmp_path, MODEL, "GSM8K (Grade School Math 8K)", prompt=prompt))
    assert (task.model, task.benchmark, task.hours) == (MODEL, "gsm8k", 10)


def test_the_prompt_may_be_in_the_environment_or_above_the_folder(tmp_path, monkeypatch):
    folder = task_folder(tmp_path, MODEL, "HumanEval")
    prompt = folder / "prompt.txt"
    prompt.rename(tmp_path / "instruction.md")
    assert read(folder).benchmark == "humaneval"
    monkeypatch.setenv("PROMPT", (tmp_path / "instruction.md").read_text().replace("\\`", "`"))
    (tmp_path / "instruction.md").unlink()
    assert read(folder).model == MODEL


def test_facts_in_a_json_file_count_first(tmp_path):
    folder = task_folder(tmp_path, MODEL)
    (folder / "metadata.json").write_text(json.dumps({"model_id": "google/gemma-3-4b-pt", "benchmark_id": "gpqamain"}))
    assert (read(folder).model, read(folder).benchmark) == ("google/gemma-3-4b-pt", "gpqamain")
    (folder / "metadata.json").write_text("garbage")
    assert read(folder).model == MODEL


@pytest.mark.parametrize(
    ("told", "hours"), [(10, 10), ("2.5", 2.5), ("10h", 10), (True, None), ("nan", None), ("soon", None)]
)
def test_hours_of_a_json_file_are_read_if_they_are_a_time(tmp_path, told, hours):
    folder = task_folder(tmp_path, MODEL, prompt="")
    (folder / "metadata.json").write_text(json.dumps({"num_hours": told}))
    assert read(folder).hours == hours


def test_a_folder_that_says_nothing_says_nothing(tmp_path):
    folder = task_folder(tmp_path, MODEL, prompt="")
    task = read(folder)
    assert (task.model, task.benchmark, task.title, task.hours) == (None, None, None, None)
    (folder / "README.md").write_text("the LLM `{model}` to excel at {benchmark}.")  # nobody filled it in
    assert read(folder).model is None


@pytest.mark.parametrize(
    "title, name",
    [
        ("American Invitational Mathematics Examination (AIME) 2025", "aime2025"),
        ("AIME 2025", "aime2025"),
        ("Arena-Hard-v2.0 (Writing)", "arenahardwriting"),
        ("Berkeley Function Calling Leaderboard (BFCL)", "bfcl"),
        ("GPQA", "gpqamain"),
        ("GSM8K (Grade School Math 8K)", "gsm8k"),
        ("HealthBench", "healthbench"),
        ("HumanEval", "humaneval"),
        ("tiny_gsm8k", "tiny_gsm8k"),
        ("MMLU-Pro", None),
    ],
)
def test_titles_are_known_again(title, name):
    assert known_benchmark(title) == name


def test_what_is_no_task_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        read(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no evaluate\.py"):
        read(tmp_path)
    (tmp_path / "evaluate.py").write_text("print('hello')")
    with pytest.raises(InputError, match="knows no --model-path"):
        taskfolder.command(tmp_path)


# ---------------------------------------------------------------- time


def test_the_timer_of_the_folder_is_read_to_the_minute(tmp_path):
    assert 5 * 3600 - 60 <= seconds_left(task_folder(tmp_path, MODEL, seconds=5 * 3600 + 1)) <= 5 * 3600


@pytest.mark.parametrize(
    "said, seconds",
    [
        ("Remaining time (hours:minutes):\n9:59", 9 * 3600 + 59 * 60),
        ("0:00", 0),
        ("12:05:30", 12 * 3600 + 5 * 60 + 30),
        ("Timer expired!", 0),
        ("9 hours 30 minutes left", 9.5 * 3600),
        ("540 seconds", 540),
    ],
)
def test_times_are_read_as_timers_write_them(tmp_path, said, seconds):
    (tmp_path / "timer.sh").write_text(f"cat <<'E'\n{said}\nE\n")
    assert seconds_left(tmp_path) == seconds


@pytest.mark.parametrize(
    "script, why",
    [
        ("echo 'no idea'", "tells no time .said 'no idea'"),
        ("true", "said nothing"),
        ("echo 9:99", "said '9:99'"),
        ("echo 9:59; exit 1", "exit code 1: 9:59"),
        ("echo 'Timer not initialized'; exit 1", "exit code 1"),
        ("echo '٣h ٤:٥٥ ٣ſ'", "tells no time"),  # digits and an s of other scripts
        ("head -c 5000 /dev/urandom | tr -d '0-9'", "tells no time"),
    ],
)
def test_a_timer_that_tells_no_time_is_said(tmp_path, script, why):
    (tmp_path / "timer.sh").write_text(script)
    with pytest.raises(NoTime, match=why):
        seconds_left(tmp_path)


def test_no_timer_and_one_that_hangs_are_said(tmp_path, monkeypatch):
    with pytest.raises(NoTime, match="missing"):
        seconds_left(tmp_path)
    monkeypatch.setattr(taskfolder, "TIMER_SECONDS", 0.3)
    (tmp_path / "timer.sh").write_text("sleep 600 & sleep 600")
    with pytest.raises(NoTime, match="longer than"):
        seconds_left(tmp_path)


@given(st.text(max_size=40))
def test_no_text_is_more_than_a_time_or_nothing(text):
    found = taskfolder._clock(text)
    assert found is None or found >= 0


# ---------------------------------------------------------------- evaluate.py


def test_the_command_uses_what_evaluate_knows(tmp_path):
    folder = task_folder(tmp_path, MODEL)
    plain = "python evaluate.py --model-path {model} --json-output-file {json} --templates-dir templates/"
    assert taskfolder.command(folder) == plain
    assert taskfolder.command(folder, 50) == plain + " --limit {limit}"


@pytest.mark.parametrize(
    "architecture, name",
    [("Qwen3ForCausalLM", "qwen3"), ("Gemma3ForConditionalGeneration", "gemma3"), ("MambaForCausalLM", None)],
)
def test_the_template_is_that_of_the_models_family(tmp_path, architecture, name):
    folder, model = task_folder(tmp_path, MODEL), fake_base(tmp_path)
    (model / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    assert template(folder, model) == (folder / "templates" / f"{name}.jinja" if name else None)


def test_of_two_templates_of_a_family_the_one_counts_that_evaluate_names(tmp_path):
    folder, model = task_folder(tmp_path, MODEL), fake_base(tmp_path)
    (model / "config.json").write_text(json.dumps({"architectures": ["Gemma3ForCausalLM"]}))
    script = folder / "evaluate.py"
    script.write_text(script.read_text().replace("gemma3.jinja", "gemma3_tool_calling.jinja"))
    assert template(folder, model) == folder / "templates" / "gemma3_tool_calling.jinja"


def test_without_templates_there_is_none(tmp_path):
    assert template(tmp_path, fake_base(tmp_path)) is None
