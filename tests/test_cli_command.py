"""Command-line agents by the real command: its options, its report, killed and resumed; trials are fake."""

import json
import re
import subprocess
import sys

import psutil
import pytest

from pipeline.paths import PACKAGE
from tests.agents.commanded import needs_sandbox
from tests.test_cli_runs import FAKE, events, place, run, wait_for  # noqa: F401  (fixtures)
from tests.variants import few

STEP = """./posttrain step --changes '{"stages.0.params.learning_rate": 2e-3}' --fidelity 0.5"""
SEARCH = ["search", *FAKE, "--agent", "command:bash agent.sh {workdir}"]


@pytest.fixture(autouse=True)
def script(place):  # noqa: F811
    (place / "agent.sh").write_text(f'cd "$1"; {STEP}; ./posttrain step --continues t001\n')


@needs_sandbox
def test_a_search_by_a_script_is_reported(run, place):  # noqa: F811
    code, out, err = run(*SEARCH, "--budget", "30s", "--agent-option", "restarts=0", "--out", "mine")
    text = " ".join(out.split())
    assert code == 0 and "Command-line agent" in out and "agent command:agent.sh, freedom recipes" in text
    assert "sandbox bubblewrap" in text and "network none" in text and "sessions 1, 2 calls" in text
    report = json.loads((place / "mine" / "report.json").read_text())
    assert report["sealed"] and report["best_trial"] == "t002" and report["command_agent"]["sessions"][0]["calls"] == 2
    assert report["agent"] == "command:bash agent.sh {workdir}"
    assert "Sessions of the agent" in (place / "mine" / "report.html").read_text()
    assert "not sealed" not in err


def test_outside_the_sandbox_it_is_told_on_the_terminal_and_in_json(run, place):  # noqa: F811
    given = ["--freedom", "code", "--agent-option", "restarts=0", "--agent-option", "sandbox=off"]
    code, out, err = run(*SEARCH, "--budget", "30s", *given, "--out", "mine", "--json")
    document = json.loads(out)
    assert code == 0 and document["sealed"] is False and document["command_agent"]["freedom"] == "code"
    assert "the agent runs without a sandbox (--agent-option sandbox=off): the run is not sealed" in err
    text = " ".join(run("report", "mine")[1].split())
    assert "Not sealed: the agent ran without a sandbox" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--agent", "command"], "write command:NAME with NAME of claude"),
        (["--agent", "command:./nowhere"], "no program './nowhere' (no such file)"),
        (["--agent", "command:true", "--agent-option", "restarts=many"], "--restarts: must be"),
        (["--agent", "command:true", "--agent-option", "sandbox=maybe"], "--sandbox: must be"),
        (["--agent", "asha", "--freedom", "code"], "--freedom: the agent 'asha' takes no such option"),
    ],
)
def test_wrong_options_are_one_line_and_leave_nothing_behind(run, place, arguments, said):  # noqa: F811
    code, out, err = run("search", *FAKE, "--budget", "1m", "--out", "mine", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1) and said in err
    assert not (place / "mine").exists()


def test_agents_are_listed_with_it_and_an_example(run):  # noqa: F811
    assert "command" in [line.split()[0] for line in run("list", "agents")[1].splitlines()]
    [row] = [row for row in json.loads(run("list", "agents", "--json")[1]) if row["name"] == "command"]
    assert row["example"] == "command:claude" and "sandbox" in row["summary"]


@needs_sandbox
@pytest.mark.parametrize("sandbox", few(["on", "off"], 1))
def test_a_killed_search_takes_its_agent_with_it_and_goes_on_from_another_folder(place, sandbox):  # noqa: F811
    (place / "agent.sh").write_text(
        f"""cd "$1"; echo again >> seen; {STEP}
        if [ "$(wc -l < seen)" = 1 ]; then trap '' TERM HUP; setsid sleep 1000 & sleep 1000; fi\n"""
    )
    given = ["--agent-option", "restarts=0", "--agent-option", f"sandbox={sandbox}"]
    command = [sys.executable, "-m", "pipeline.cli", *SEARCH, "--budget", "60s", *given, "--out", "mine"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: (place / "mine" / "trials" / "t001" / "outcome.json").exists())
    wait_for(lambda: sum("sleep" in each.name() for each in psutil.Process(process.pid).children(True)) == 2)
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert family and not psutil.wait_procs(family, timeout=5)[1]
    (place / "elsewhere").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "search", "--resume", str(place / "mine"), "--json"],
        capture_output=True, text=True, timeout=120, cwd=place / "elsewhere",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["trials"]["scored"] >= 2 and report["sealed"] is (sandbox == "on")
    assert (place / "mine/agent/work/seen").read_text() == "again\nagain\n"
    assert [note["session"] for note in events(place / "mine", "note") if note["note"] == "agent_session"] == [1, 2]


@needs_sandbox
def test_a_resumed_search_needs_its_program_still(run, place):  # noqa: F811
    assert run(*SEARCH, "--budget", "20s", "--agent-option", "restarts=0", "--out", "mine")[0] == 0
    (place / "agent.sh").unlink()
    code, _, err = run("search", "--resume", "mine", "--budget", "+5s")
    assert code == 0 and "exited with status 127" in err  # bash is there, what it was to run is not


@pytest.mark.slow
@pytest.mark.lab
@needs_sandbox
def test_a_script_drives_a_search_with_real_training_on_the_micro_lab(command, place, monkeypatch):  # noqa: F811
    monkeypatch.setenv("POSTTRAIN_LAB", "micro")
    (place / "agent.sh").write_text(
        "cd $1; ./posttrain step --fidelity 0.01; ./posttrain step --continues t001 --fidelity 0.02; ./posttrain trials"
    )
    given = ["--model", "lab/qwen3-base", "--benchmark", "tiny_gsm8k", "--budget", "5m", "--trials", "2"]
    code, out, err = command("search", *given, "--agent", SEARCH[-1], "--out", "mine", "--json")
    report = json.loads(out)
    assert code == 0 and report["trials"]["scored"] == 2 and report["sealed"], err
    assert report["command_agent"]["sessions"][0]["calls"] >= 2 and (place / "mine/final_model/config.json").is_file()


@pytest.mark.slow
@pytest.mark.timeout(1200)  # the lab is built first
@needs_sandbox
def test_the_bash_agent_of_the_docs_regains_over_half_on_the_lab(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (PACKAGE.parent / "docs" / "command-agents.md").read_text()
    (tmp_path / "my-agent.sh").write_text(re.search(r"```bash\n(.*?)```", page, re.S)[1])
    given = ["--model", "lab/qwen3-base", "--benchmark", "tiny_gsm8k", "--budget", "4m", "--out", "mine", "--json"]
    code, out, _ = command("search", *given, "--agent", "command:bash my-agent.sh {workdir}")
    report = json.loads(out)
    assert code == 0 and report["sealed"] and report["fraction"]["value"] > 0.5
