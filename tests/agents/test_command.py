"""Command-line agents: what they get, how they step, how they end. Whole searches in the real sandbox."""

from __future__ import annotations

import json
import os
import shlex
import signal
import stat
from pathlib import Path

import pytest

from pipeline import agent_options
from pipeline.errors import InputError
from pipeline.types import Budget
from tests.agents import commanded as helper
from tests.agents.commanded import GOOD, RATE, Commanded, needs_sandbox

commanded = helper.commanded  # the fixture
pytestmark = needs_sandbox


def test_a_bash_agent_drives_a_search_and_its_best_trial_is_the_result(commanded: Commanded) -> None:
    script = f"""
    for rate in 1e-4 2e-3; do ./posttrain step --changes "{{\\"{RATE}\\": $rate}}" --fidelity 0.5; done
    ./posttrain step --continues t002
    ./posttrain compare t003 t001; ./posttrain trials; ./remaining --seconds
    """
    found = commanded(script, restarts=0)
    assert [trial.state for trial in found.tried] == ["scored"] * 3
    assert {trial.proposal.author for trial in found.tried} == {"command:agent.sh"}
    assert found.report["best_trial"] == "t003" and found.report["fraction"]["value"] > 0.5
    assert found.report["sealed"] is True and "t003 - t001 = +" in found.said
    assert found.why == "the agent has stopped once with budget left: it exited"
    assert int(found.said.splitlines()[-1]) in range(1, 60)


def test_the_working_folder_has_what_the_prompt_says(commanded: Commanded) -> None:
    found = commanded(
        "cat PROMPT.md; ls -a . catalogue items .posttrain; head -1 items/search.jsonl; ls -a $HOME", restarts=0
    )
    work = found.folder / "agent" / "work"
    for name in ("PROMPT.md", "posttrain", "remaining", "brief.json", "space.json", "catalogue/maths_1.json",
                 "items/search.jsonl", ".mcp.json", ".gemini/settings.json", "opencode.json"):  # fmt: skip
        assert (work / name).is_file() and Path(name).name in found.said, name
    assert "tiny_gsm8k" in found.said and "submit` is closed" in found.said and ".codex" in found.said
    assert stat.S_IMODE((work / ".posttrain/session.json").stat().st_mode) == 0o600
    assert "final" not in (work / "items/search.jsonl").read_text()


def test_placeholders_are_filled_in_and_nothing_goes_through_a_shell(tmp_path: Path, commanded: Commanded) -> None:
    found = helper.run(tmp_path, "printf '%s|' {workdir} {prompt} '$HOME;{x}' {ask}", Budget(seconds=30.0), restarts=0)
    work = found.folder.absolute() / "agent" / "work"
    assert found.said.startswith(f"{work}|{work}/PROMPT.md|$HOME;{{x}}|Read PROMPT.md")


def test_submit_is_refused_with_a_reason_where_recipes_are_asked_for(commanded: Commanded) -> None:
    found = commanded("mkdir x; ./posttrain submit x; echo $?; ./posttrain rows maths_1", restarts=0)
    assert "submit is closed: this run takes recipes only" in found.said and "\n2\n" in found.said
    assert "rows are closed" in found.said and not found.tried


def test_an_agent_with_freedom_trains_by_itself_and_submits(commanded: Commanded) -> None:
    script = """
    ls /base_model && test ! -w /base_model && mkdir mine && cp /base_model/* mine/ && echo '{}' > mine/config.json
    echo '{"score": 0.7}' > mine/fake.json
    python3 - <<'P'
import json
digits = f"{0.7!r:24}".encode()
head = json.dumps({"w": {"dtype": "U8", "shape": [len(digits)], "data_offsets": [0, len(digits)]}}).encode()
open("mine/model.safetensors", "wb").write(len(head).to_bytes(8, "little") + head + digits)
P
    ./posttrain submit mine --rationale "by hand"
    ./posttrain rows maths_1 | wc -l
    ./posttrain rows maths_8
    ln -s mine link; ln -s / root
    for path in link root/base_model /base_model ../home . nowhere; do ./posttrain submit $path; done
    """
    found = commanded(script, restarts=0, freedom="code")
    [trial] = found.tried
    assert trial.kind == "submission" and trial.state == "scored" and trial.outcome.labels == ("unverified",)
    assert (trial.proposal.author, trial.proposal.rationale) == ("command:agent.sh", "by hand")
    assert found.report["best_trial"] == "s001" and found.report["command_agent"]["freedom"] == "code"
    assert found.said.count("not a plain folder") == 2 and found.said.count("outside of the working folder") == 3
    assert "no such folder" in found.said and not (found.folder / "agent" / "staged").exists()


def test_a_source_that_holds_final_items_is_not_handed_out(tmp_path: Path, commanded: Commanded) -> None:
    (tmp_path / "agent.sh").write_text("for name in 1 8; do ./posttrain rows maths_$name | wc -l; done")
    found = helper.run(
        tmp_path, f"bash {tmp_path / 'agent.sh'}", Budget(seconds=60.0), restarts=0, freedom="code",
        request={"sources": ("maths_1", "maths_8")},
    )  # fmt: skip
    many, none = [line for line in found.said.splitlines() if line.isdigit()]
    assert int(many) > 100 and int(none) == 0 and "final benchmark items" in found.said


# ---------------------------------------------------------------- how it ends


def test_an_agent_that_stops_early_is_told_so_and_started_again(commanded: Commanded) -> None:
    script = f"grep -c 'started again' PROMPT.md; echo kept >> mine; wc -l < mine; {GOOD}; exit 3"
    found = commanded(script, restarts=2)
    assert (
        len(found.tried) == 3 and [note["why"] for note in found.notes("agent_early")] == ["exited with status 3"] * 3
    )
    heads = [row["text"] for row in found.transcript if row.get("text") in ("0", "1", "2", "3")]
    assert heads == ["0", "1", "1", "2", "1", "3"]  # not told, and told; its folder is as it left it
    assert found.why == "the agent has stopped 3 times with budget left: it exited with status 3"
    assert any("it is told so and started again (2 left)" in news.text for news in found.news)


def test_an_agent_that_exits_at_once_is_given_up_after_pauses(commanded: Commanded) -> None:
    found = commanded("exit 1", restarts=2)
    starts = [row["time"] for row in found.transcript if row.get("event") == "session"]
    assert len(starts) == 3 and starts[1] - starts[0] >= 1.0 and starts[2] - starts[1] >= 2.0
    assert found.report["best_trial"] is None and found.report["fraction"]["value"] == 0.0


def test_a_program_that_cannot_be_started_is_a_record(tmp_path: Path, commanded: Commanded) -> None:
    (tmp_path / "broken").write_text("#!/no/such/interpreter\n")
    (tmp_path / "broken").chmod(0o755)
    found = helper.run(tmp_path, str(tmp_path / "broken"), Budget(seconds=30.0), restarts=0)
    assert found.notes("agent_session_end")[0]["status"] == 127 and "No such file" in found.said


def test_an_agent_outlives_no_budget_whatever_it_does(commanded: Commanded) -> None:
    script = f"""
    trap '' TERM HUP INT
    {GOOD}
    setsid nohup sh -c 'trap "" TERM HUP; while :; do date +%s.%N >> {{}}; sleep 0.1; done' > /dev/null 2>&1 &
    while :; do date +%s.%N >> alive; sleep 0.1; done
    """.replace("{}", "$HOME/alive")
    found = commanded(script, seconds=6.0)
    used, agent = found.report["spend"]["seconds"], found.folder / "agent"
    beats = [float((agent / name / "alive").read_text().splitlines()[-2]) for name in ("work", "home")]
    ended = found.notes("agent_session_end")[0]
    assert used >= 6.0 and found.why == "the budget is spent" and ended["why"] == "was ended with its budget"
    assert max(beats) <= ended["at"] and found.report["best_trial"] == "t001"
    assert not [pid for pid in os.listdir("/proc") if pid.isdigit() and _runs_in(pid, agent)]


def _runs_in(pid: str, folder: Path) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/cwd").startswith(str(folder))
    except OSError:
        return False


def test_a_silent_agent_is_ended(commanded: Commanded) -> None:
    found = commanded("echo hello; sleep 100", silence=1.0, restarts=0)
    [ended] = found.notes("agent_session_end")
    assert "was silent for" in ended["why"] and 1.0 <= ended["seconds"] < 60.0


def test_a_killed_agent_is_recorded_with_its_signal(commanded: Commanded) -> None:
    found = commanded(f"{GOOD}; kill -9 $$", restarts=0)
    [ended] = found.notes("agent_session_end")
    assert (ended["why"], ended["status"]) == ("was killed by SIGKILL", -signal.SIGKILL)
    assert found.report["best_trial"] == "t001"


def test_garbage_is_kept_as_text_and_a_flood_is_cut_visibly(commanded: Commanded) -> None:
    script = r"""
    printf '\xff\xfe\x00 garbage \n{"half": \n[1]\n{"a": NaN}\nno newline'
    head -c 3000000 /dev/zero | tr '\0' 'x'; echo; yes | head -100000
    """
    found = commanded(script, transcript_mb=2.0, restarts=0)
    assert (found.folder / "agent/transcript.jsonl").stat().st_size < 2.1e6
    end = found.transcript[-1]
    assert any(row.get("event") == "full" for row in found.transcript) and end["left_out_lines"] > 50_000
    assert any(row.get("cut_bytes", 0) > 1_900_000 for row in found.transcript)
    assert "garbage" in found.said and found.report["command_agent"]["left_out_lines"] == end["left_out_lines"]


def test_an_agent_that_fills_the_disk_is_ended(commanded: Commanded) -> None:
    found = commanded("head -c 20000000 /dev/zero > big; sleep 60", disk_gb=0.01, restarts=0)
    assert found.notes("agent_session_end")[0]["why"] == "wrote more than 0.01 GB and was ended"


def test_trials_that_are_used_up_end_the_search(commanded: Commanded) -> None:
    found = commanded(f"{GOOD}; {GOOD}; {GOOD}; sleep 100", trials=2)
    assert len(found.tried) == 2 and found.why == "the budget is spent" and found.report["spend"]["seconds"] < 50


@pytest.mark.slow
def test_proposals_that_are_refused_again_and_again_are_slowed_down(commanded: Commanded) -> None:
    script = """while :; do ./posttrain step --changes '{"shell": "rm"}' > /dev/null; done"""
    found = commanded(script, seconds=12.0, restarts=0)
    assert 0 < len(found.tried) < 60 and all(trial.state == "rejected" for trial in found.tried)


def test_a_note_tells_the_terms_of_every_search(commanded: Commanded) -> None:
    [terms] = commanded("true", restarts=0, hosts="example.com").notes("agent_terms")
    assert (terms["sandbox"], terms["freedom"], terms["hosts"]) == ("bubblewrap", "recipes", ["example.com:443"])


def test_start_and_wait_are_step_in_two(commanded: Commanded) -> None:
    script = f"""./posttrain start --changes '{{"{RATE}": 2e-3}}'; ./posttrain wait; ./posttrain wait --timeout 1"""
    found = commanded(script, restarts=0)
    assert "t001 pending" in found.said and "t001 scored" in found.said
    assert found.said.endswith("nothing has ended, or nothing runs")


def test_a_team_takes_no_agent_that_steps_by_itself() -> None:
    with pytest.raises(InputError, match="command:true steps by itself and cannot share a budget"):
        agent_options.check("team:asha,command:true", {})


def test_mcp_tools_reach_the_run_from_inside(commanded: Commanded) -> None:
    pytest.importorskip("mcp")
    lines = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize",
         "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 3, "method": "tools/call",
         "params": {"name": "step", "arguments": {"changes": {RATE: 2e-3}}}},
    ]  # fmt: skip
    told = "\n".join(f"echo {shlex.quote(json.dumps(line))}; sleep 0.5" for line in lines)
    script = f"""
    scored() {{ ./posttrain trials | grep -q '^t001 .*scored'; }}
    ({told}; until scored; do sleep 0.3; done; sleep 2) | ./posttrain mcp
    """
    found = commanded(script, restarts=0)
    server = json.loads((found.folder / "agent/work/.mcp.json").read_text())["mcpServers"]["posttrain"]
    assert server == {"command": str(found.folder.absolute() / "agent/work/posttrain"), "args": ["mcp"]}
    answers = {row["json"].get("id"): row["json"] for row in found.transcript if row.get("json")}
    tools = {tool["name"] for tool in answers[2]["result"]["tools"]}
    assert {"brief", "step", "propose", "remaining", "submit"} <= tools and not tools & {"open", "finish", "report"}
    assert answers[3]["result"].get("isError") is not True
    [trial] = found.tried
    assert trial.state == "scored" and trial.proposal.author == "command:agent.sh"
