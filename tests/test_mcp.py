"""The MCP server, spoken to by the SDK's own client over stdio, with fake training in real processes."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("mcp")
import anyio  # noqa: E402
from mcp import Client, StdioServerParameters  # noqa: E402
from mcp.client.stdio import stdio_client  # noqa: E402
from mcp.shared.exceptions import MCPError  # noqa: E402

from pipeline import machine  # noqa: E402
from pipeline.fakes import fake_model  # noqa: E402
from pipeline.paths import PACKAGE  # noqa: E402

RATE = "stages.0.params.learning_rate"
TOOLS = {"brief", "catalogue", "space", "propose", "start", "wait", "step", "trials", "trial", "compare", "remaining"}
TOOLS |= {"submit", "report", "open", "finish"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a fake base and its instruct sibling; fake trials at full length take 0.3 s."""
    machine.cached()  # measured once for all servers
    for name, score in (("base", 0.05), ("instruct", 0.9)):
        fake_model(tmp_path / name, score)
        (tmp_path / name / "config.json").write_text('{"architectures": ["Qwen3ForCausalLM"]}')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTTRAIN_FAKE_SECONDS", "0.3")
    return tmp_path


def arguments() -> list[str]:
    return ["-m", "pipeline.cli", "mcp", "mine", "--executor", "pipeline.fakes"]


@asynccontextmanager
async def served(place: Path, **options: Any):
    import os

    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")])}
    parameters = StdioServerParameters(command=sys.executable, args=arguments(), env=env, cwd=place)
    with (place / "err.txt").open("a") as errors:
        async with Client(stdio_client(parameters, errlog=errors), **options) as client:
            yield client


async def call(client: Client, tool: str, **given: Any) -> Any:
    result = await client.call_tool(tool, given)
    assert not result.is_error, result.content
    return result.structured_content


async def refusal(client: Client, tool: str, **given: Any) -> str:
    result = await client.call_tool(tool, given)
    assert result.is_error
    return str(result.content[0].text)


async def opened(client: Client, **changes: Any) -> None:
    await call(client, "open", model="base", benchmark="tiny_gsm8k", budget="10m", instruct="instruct", **changes)


def test_a_client_drives_a_run_from_opening_to_report(place: Path) -> None:
    heard: list[tuple[float, str]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, message or ""))

    async def drive() -> None:
        async with served(place) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS
            for tool in ("brief", "trials", "step"):
                told = await refusal(client, tool, **({"changes": {}} if tool == "step" else {}))
                assert "holds no run yet: `open` one first" in told
            await opened(client, trials=4)
            assert "already in use" in await refusal(client, "open", model="base", benchmark="tiny_gsm8k", budget="1m")

            brief = await call(client, "brief")
            assert brief["benchmark"] == "tiny_gsm8k" and RATE in await call(client, "space")
            assert (await call(client, "catalogue"))["sources"][0]["samples"]
            price = await call(client, "propose", changes={RATE: 2e-3})
            assert price["ok"] and price["train_seconds"] is None and "not known before" in price["note"]
            assert not (await call(client, "propose", changes={RATE: 9.0}))["ok"]

            first = await client.call_tool("step", {"changes": {RATE: 2e-3}}, progress_callback=hear)
            assert first.structured_content["trial"]["state"] == "scored"
            assert "t002 was rejected" in await refusal(client, "step", changes={RATE: 9.0})
            assert (await call(client, "propose", changes={}))["train_seconds"] > 0

            begun = await call(client, "start", changes={RATE: 1e-4})
            assert "all slots are busy: wait" in await refusal(client, "start", changes={})
            ended = await call(client, "wait", trial=begun["trial"]["id"])
            assert ended["trial"]["id"] == "t003" and ended["running"] == []
            assert (await call(client, "wait"))["trial"] is None
            found = await call(client, "compare", a="t001", b="t003")
            assert found["difference"] > 0.3 and found["resolved"]
            assert "unknown trial 't009'" in await refusal(client, "trial", trial="t009")

            fake_model(place / "made", 0.5)
            (place / "made" / "config.json").write_text("{}")
            sent = await call(client, "submit", path="made", rationale="by hand")
            assert sent["trial"]["kind"] == "submission"
            assert (await call(client, "remaining"))["trials"] == 1
            assert (await call(client, "report"))["fraction"] is None

            report = await call(client, "finish")
            assert report["best_trial"] == "t001" and report["fraction"]["value"] > 0.3
            assert await call(client, "finish") == await call(client, "report")
            await resources(client)

    anyio.run(drive)
    numbers = [progress for progress, _ in heard]
    assert numbers == sorted(set(numbers)) and (not heard or "t001" in heard[-1][1])
    assert (place / "mine" / "final_model").is_dir()


async def resources(client: Client) -> None:
    listed = {str(each.uri) for each in (await client.list_resources()).resources}
    assert listed == {"posttrain://report", "posttrain://recipe", "posttrain://recipes"}
    text = {uri: (await client.read_resource(uri)).contents[0].text for uri in listed}
    assert "fraction of the human gain" in text["posttrain://report"] and "tiny_gsm8k" in text["posttrain://recipes"]
    for uri in ("posttrain://recipes/tiny_gsm8k", "posttrain://trials/t001/recipe", "posttrain://recipe"):
        assert "stages:" in (await client.read_resource(uri)).contents[0].text
    for uri in ("posttrain://recipes/nothing", "posttrain://trials/t009/recipe"):
        with pytest.raises(MCPError, match="unknown"):
            await client.read_resource(uri)


def test_a_long_trial_holds_no_other_tool_up_and_is_recorded_when_its_client_goes(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTTRAIN_FAKE_SECONDS", "10000")  # longer than any test

    async def drive() -> None:
        async with served(place) as client:
            await opened(client)
            async with anyio.create_task_group() as tasks:
                for _ in range(3):  # one runs, the others wait for its slot
                    tasks.start_soon(lambda: client.call_tool("step", {"changes": {}}))
                while (await call(client, "trials"))["trials"][-1]["state"] != "pending":
                    await anyio.sleep(0.05)
                for tool in ("remaining", "report", "brief", "space"):
                    assert await call(client, tool)
                assert await call(client, "compare", a="base", b="base_few_shot")
                assert (await call(client, "wait", timeout_seconds=0.01))["running"] == ["t001"]
                tasks.cancel_scope.cancel()

    anyio.run(drive)
    events = [json.loads(line) for line in (place / "mine" / "ledger.jsonl").read_text().splitlines()]
    assert [event["trial"] for event in events if event["kind"] == "abandoned"] == ["t001"]
    assert not [each for each in psutil.Process().children(recursive=True) if "mine" in each.cmdline()]
    assert not (place / "mine" / "socket.json").exists()


def test_a_server_that_is_killed_in_mid_trial_leaves_a_run_that_the_next_one_goes_on_with(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTTRAIN_FAKE_SECONDS", "30")

    async def begin() -> list[int]:
        async with served(place) as client:
            await opened(client)
            await call(client, "start", changes={RATE: 2e-3})
            [server] = [p for p in psutil.Process().children() if "mcp" in p.cmdline()]
            below = [each.pid for each in server.children(recursive=True)]
            server.kill()
            with pytest.raises((MCPError, anyio.ClosedResourceError)):
                await call(client, "remaining")
            return below

    below = anyio.run(begin)
    psutil.wait_procs([psutil.Process(pid) for pid in below if psutil.pid_exists(pid)], timeout=10)
    assert below and not any(psutil.pid_exists(pid) for pid in below)
    monkeypatch.setenv("POSTTRAIN_FAKE_SECONDS", "0.3")

    async def go_on() -> None:
        async with served(place) as client:
            trial = (await call(client, "step", changes={RATE: 2e-3}))["trial"]
            states = {each["id"]: each["state"] for each in (await call(client, "trials"))["trials"]}
            assert trial["id"] == "t002" and states["t001"] == "abandoned" and states["t002"] == "scored"
            assert (await call(client, "finish"))["best_trial"] == "t002"

    anyio.run(go_on)


def test_nothing_but_the_protocol_is_on_stdout(place: Path) -> None:
    done = subprocess.run(
        [sys.executable, *arguments()], input=b"not json\n", capture_output=True, timeout=120, cwd=place
    )  # fmt: skip
    for line in done.stdout.splitlines():
        assert json.loads(line)["jsonrpc"] == "2.0"
    assert b"Traceback" not in done.stderr


def test_a_folder_with_something_else_in_it_is_refused(command, place: Path) -> None:
    code, out, err = command("mcp", place)
    assert (code, out, err.count("\n")) == (2, "", 1) and "neither a run folder nor an empty one" in err


def test_without_the_sdk_the_error_says_what_to_install(command, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server", None)
    monkeypatch.setitem(sys.modules, "mcp", None)
    code, out, err = command("mcp", "mine")
    assert (code, out) == (2, "") and "pip install 'posttrain[mcp]'" in err


def test_the_configuration_names_a_command_that_serves(command, place: Path) -> None:
    code, out, _ = command("mcp", "mine", "--json")
    told = json.loads(out)["mcpServers"]["posttrain"]
    assert code == 0 and told["args"][-1] == str(place / "mine")
    done = subprocess.run([told["command"], *told["args"]], input=b"", capture_output=True, timeout=240, cwd=place)
    assert done.returncode == 0 and done.stdout == b""


def test_over_http_the_same_tools_answer_and_a_taken_port_is_told(command, place: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.listen()
        code, out, err = command("mcp", "mine", "--http", "--port", port)
        assert (code, out) == (2, "") and f"--port {port}" in err
    server = subprocess.Popen(
        [sys.executable, *arguments(), "--http", "--port", str(port)], stderr=subprocess.PIPE, text=True, cwd=place
    )
    try:
        assert server.stderr is not None
        assert f"http://127.0.0.1:{port}/mcp" in server.stderr.readline()
        anyio.run(over_http, port)
    finally:
        server.terminate()
        server.wait(60)
    assert not (place / "mine" / "socket.json").exists()


async def over_http(port: int) -> None:
    with anyio.fail_after(120):
        while True:
            try:
                await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
                break
            except OSError:
                await anyio.sleep(0.1)
    async with Client(f"http://127.0.0.1:{port}/mcp") as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS
        await opened(client)
        assert (await call(client, "remaining"))["seconds"] > 0


def test_with_a_token_http_answers_nobody_else() -> None:
    from pipeline.mcp.serving import _guarded

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def status(*headers: tuple[bytes, bytes]) -> int:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await _guarded(app, "secret")({"type": "http", "headers": headers}, None, send)
        return int(sent[0]["status"])

    assert anyio.run(status) == 401
    assert anyio.run(status, (b"authorization", b"Bearer wrong")) == 401
    assert anyio.run(status, (b"authorization", b"Bearer secret")) == 200
