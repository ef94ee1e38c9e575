"""A hostile agent: same user, a shell, the installed package, the cache. What it gets in the sandbox, and outside."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline import paths
from pipeline.cage import walls
from pipeline.report import to_text
from pipeline.types import Budget
from tests.agents import commanded as helper
from tests.agents.commanded import GOOD, Commanded, needs_sandbox

commanded = helper.commanded  # the fixture

SECRET = "sk-of-somebody-else"
READS = """
RUN=$(dirname $(dirname $PWD))
for file in {targets}; do test -e $file && echo "SEES $file" && cat $file/* $file 2> /dev/null; done
timeout 20 find / \\( -path /proc -o -path /sys -o -path /usr -o -path '*/site-packages' \\) -prune \\
    -o \\( -name salt -o -name ledger.jsonl \\
    -o -name 'final-*' -o -name fake.json -o -name model.safetensors \\) -print 2> /dev/null | sed 's/^/FOUND /'
env; tr '\\0' '\\n' < /proc/1/environ; for p in /proc/[0-9]*; do tr '\\0' '\\n' < $p/environ; done 2> /dev/null
cat /etc/passwd /root/.bash_history ~root/.netrc 2> /dev/null
echo '{{"kind": "finished"}}' >> $RUN/ledger.jsonl && echo "WROTE ledger"
rm -rf $RUN/trials $RUN/sealed && test -e $RUN/ledger.jsonl && echo "REMOVED"
ls -d $RUN/* | sed 's/^/LISTS /'
"""


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a key in it, another one in the environment, a cache with an instruct model."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text(f"password {SECRET}\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SOMEBODYS_API_KEY", SECRET)
    monkeypatch.setenv("POSTTRAIN_HOME", str(tmp_path / "cache"))
    (paths.home() / "lab" / "instruct").mkdir(parents=True)
    (paths.home() / "lab" / "instruct" / "model.safetensors").write_text("weights of the instruct model")
    return home


def script(tmp_path: Path) -> str:
    places = [tmp_path / "instruct", tmp_path / "base", tmp_path / "home", tmp_path / "cache", tmp_path / "run/sealed",
              tmp_path / "run/ledger.jsonl", tmp_path / "run/run.json", tmp_path / "run/socket.json"]  # fmt: skip
    return READS.format(targets=" ".join(map(str, places)))


@needs_sandbox
def test_in_the_sandbox_it_sees_no_final_item_no_weights_no_key_and_writes_no_ledger(
    tmp_path: Path, commanded: Commanded, secrets: Path
) -> None:
    found = commanded(f"{GOOD}\n{script(tmp_path)}", restarts=0)
    salt = (found.folder / "sealed" / "salt").read_text()
    for bad in ("SEES ", "FOUND ", "WROTE", "REMOVED", SECRET, salt, "weights of the instruct"):
        assert bad not in found.said, bad
    listed = [line for line in found.said.splitlines() if line.startswith("LISTS ")]
    assert listed == [f"LISTS {found.folder}/agent"]
    found.session.ledger.events()  # the chain is whole
    assert found.report["sealed"] is True and found.report["command_agent"]["could_have_leaked"] == []
    assert found.report["best_trial"] == "t001" and found.report["fraction"]["value"] > 0.5


@needs_sandbox
@pytest.mark.skipif(os.getuid() != 0, reason="inside, only root's agent is another user")
def test_in_the_sandbox_roots_agent_is_nobody(commanded: Commanded) -> None:
    found = commanded("id -u; cat /proc/self/status | grep -E 'CapEff|NoNewPrivs'; mount -t tmpfs x /tmp", restarts=0)
    lines = found.said.splitlines()
    assert int(lines[0]) >= 61_000 and lines[1].split()[1] == "0" * 16 and lines[2].split()[1] == "1"


@needs_sandbox
def test_programs_that_it_plants_are_not_run_by_the_sandbox_itself(commanded: Commanded) -> None:
    script = r"""
    for name in setpriv prlimit bwrap python3 sh env; do
        printf '#!/bin/bash\necho "PLANTED $(id -u)"\n' > $name; chmod +x $name
    done
    printf 'print("PLANTED")' > sitecustomize.py; cp sitecustomize.py usercustomize.py; echo began
    """
    found = commanded(script, restarts=1)
    assert found.said.splitlines() == ["began", "began"]


@needs_sandbox
def test_in_the_sandbox_processes_and_memory_are_limited(commanded: Commanded) -> None:
    fork = "for i in $(seq 60); do sleep 5 & done 2>&1; echo forked; wait"
    memory = "python3 -c 'x = bytearray(300_000_000)' && echo 'TOOK IT'"
    found = commanded(f"{memory}\n{fork}", restarts=0, processes=24, memory_gb=0.2, silence=30.0)
    assert "TOOK IT" not in found.said and "MemoryError" in found.said
    assert "fork: " in found.said or "Cannot fork" in found.said


@needs_sandbox
def test_the_run_itself_tells_it_nothing_and_does_nothing_else_for_it(commanded: Commanded) -> None:
    talk = r"""
    ./posttrain step > /dev/null
    python3 - <<'P'
import json, socket
told = json.load(open(".posttrain/session.json"))
def ask(name, token=told["token"], **given):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(told["address"])
    connection.sendall(json.dumps({"v": 1, "token": token, "ask": name, "with": given}).encode() + b"\n")
    return json.loads(list(connection.makefile())[-1])
for name in ("finish", "report", "report_text", "is_finished", "salt", "linger"):
    print(name, "REFUSED" if "unknown request" in ask(name)["error"]["text"] else "ANSWERED")
print("token", ask("ping", "0" * 64)["error"]["text"])
print(ask("submit", path=".."), ask("start", proposal=[]), ask("search_items", more=1), ask("wait", trials=7))
print(len(ask("search_items")["result"]))
P
    """
    found = commanded(talk, restarts=0)
    assert found.said.count("REFUSED") == 6 and "ANSWERED" not in found.said and "not this run's token" in found.said
    assert found.said.count("'error'") == 4 and found.said.splitlines()[-1] == "300"
    salt, told = (found.folder / "sealed" / "salt").read_text(), (found.folder / "agent/work/brief.json").read_text()
    assert salt not in found.said + told and "instruct_path" not in told


@needs_sandbox
def test_links_in_its_folder_lead_the_owner_nowhere(tmp_path: Path, commanded: Commanded) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "client.py").write_text("precious")
    first = f"""
    if [ -e marked ]; then exit 0; fi
    touch marked; rm -rf .posttrain PROMPT.md catalogue
    ln -s {outside} .posttrain; ln -s {outside}/client.py PROMPT.md; ln -s {tmp_path}/run/sealed catalogue
    """
    found = commanded(first, restarts=1)
    resumed = helper.resumed(found, f"bash {tmp_path / 'agent.sh'} {{workdir}}", restarts=0)
    work = found.folder / "agent" / "work"
    assert [path.name for path in outside.iterdir()] == ["client.py"]
    assert (outside / "client.py").read_text() == "precious"
    assert not list((found.folder / "sealed").glob("maths*"))
    assert not (work / "PROMPT.md").is_symlink() and not (work / ".posttrain").is_symlink()
    assert (work / "catalogue" / "maths_1.json").is_file() and resumed.report["sealed"] is True


# ---------------------------------------------------------------- the network


@pytest.fixture
def server() -> Iterator[int]:
    """A server on this machine that somebody's model could be behind; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello from " + self.path.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made.server_port
        made.shutdown()


FETCH = """python3 - <<'P'
import socket, urllib.request
def fetch(url, **proxies):
    try:
        return urllib.request.build_opener(urllib.request.ProxyHandler(proxies or None)).open(url, timeout=5).read()
    except OSError as error:
        return error
print("own", fetch("http://127.0.0.1:{port}/x"))
print("other", fetch("http://127.0.0.1:{other}/x"))
print("out", fetch("https://example.com/"))
print("direct", fetch("http://192.0.2.1/", no="proxy"))
try:
    print("socket", socket.create_connection(("192.0.2.1", 80), 3))
except OSError as error:
    print("socket", error)
P"""


@needs_sandbox
def test_in_the_sandbox_only_named_hosts_are_reached(commanded: Commanded, server: int) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        other = listening.getsockname()[1]
        found = commanded(
            FETCH.format(port=server, other=other), restarts=0, hosts=f"127.0.0.1:{server},api.example.org"
        )
    lines = dict(line.split(" ", 1) for line in found.said.splitlines() if " " in line)
    assert lines["own"] == "b'hello from /x'" and "refused" in lines["other"].lower()
    assert "403" in lines["out"] and "example.com:443" in found.report["command_agent"]["refused_hosts"]
    assert "unreachable" in lines["socket"] and "hello" not in lines["direct"]


@needs_sandbox
def test_without_a_host_there_is_no_network_at_all(commanded: Commanded, server: int) -> None:
    found = commanded(FETCH.format(port=server, other=server) + "\nenv | grep -i proxy", restarts=0)
    assert "hello" not in found.said and "http_proxy" not in found.said.lower()


# ---------------------------------------------------------------- outside


def test_outside_the_sandbox_the_report_says_what_could_have_leaked(
    tmp_path: Path, commanded: Commanded, secrets: Path
) -> None:
    found = commanded(f"{GOOD}\ncat {tmp_path}/run/sealed/salt; env", restarts=0, sandbox="off")
    assert (found.folder / "sealed" / "salt").read_text() in found.said  # it can be done
    assert SECRET not in found.said  # but its environment is its own, all the same
    told = found.report["command_agent"]
    assert found.report["sealed"] is False and told["sandbox"] == "none" and len(told["could_have_leaked"]) == 5
    text = " ".join(to_text(found.folder).split())
    assert "Not sealed: the agent ran without a sandbox (--agent-option sandbox=off)" in text
    assert "could leak final items' results and the salt" in text and "which no agent saw" not in text
    assert any("the run is not sealed" in news.text for news in found.news)


def test_without_bubblewrap_the_run_goes_on_and_says_so(
    tmp_path: Path, commanded: Commanded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walls, "why_not", lambda: "bwrap is not installed")
    found = commanded(GOOD, restarts=0)
    assert found.report["sealed"] is False and found.report["best_trial"] == "t001"
    assert found.report["command_agent"]["unsealed_because"] == "bwrap is not installed"


def test_outside_the_sandbox_nothing_that_it_started_is_left_behind(commanded: Commanded) -> None:
    script = """
    (setsid sh -c 'trap "" TERM HUP; echo $$ >> pids; sleep 300' & ) ; (sh -c 'echo $$ >> pids; sleep 300' &)
    while [ "$(wc -l < pids)" != 2 ]; do sleep 0.1; done
    """
    found = commanded(script, restarts=0, sandbox="off")
    pids = (found.folder / "agent/work/pids").read_text().split()
    assert len(pids) == 2 and not any(_lives(int(pid)) for pid in pids)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_run_that_was_once_outside_stays_unsealed(tmp_path: Path, commanded: Commanded) -> None:
    found = commanded(GOOD, restarts=0, sandbox="off", trials=1)
    ledger = [json.loads(line) for line in (found.folder / "ledger.jsonl").read_text().splitlines()]
    assert any(event.get("unsealed_because") for event in ledger)
    again = helper.resumed(found, f"bash {tmp_path / 'agent.sh'}", Budget(seconds=30.0, trials=1), restarts=0)
    assert again.report["trials"]["scored"] == 2 and again.report["sealed"] is False
