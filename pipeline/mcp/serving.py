"""The server itself: what it is told to begin with, and how it is reached."""

from __future__ import annotations

import hmac
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.errors import InputError
from pipeline.mcp.resources import add_resources
from pipeline.mcp.tools import add_doors, add_life, add_questions
from pipeline.owner.host import Host

LOOPBACK = "127.0.0.1"
TOKEN = "POSTTRAIN_MCP_TOKEN"
MISSING = "posttrain mcp needs the package mcp: pip install 'posttrain[mcp]'"
INSTRUCTIONS = """Search for a post-training recipe of a small language model within a budget.
Start with `brief` (task, base model, recipe, data cards) and `space` (what may be changed, within which bounds).
`propose` checks a proposal and prices it without running it; `step` trains and scores one (minutes; it reports
progress), or `start` it and `wait`. A proposal is a patch: {"stages.0.params.learning_rate": 2e-4}; `fidelity` below 1
trains a share of the full length. Scores are of the search split; differences below the noise floor mean nothing
(`compare`). Keep an eye on `remaining`; end with `finish`, which scores the best model on unseen items."""


def require() -> None:
    """Raise InputError, saying what to install, if the SDK is not there."""
    try:
        import mcp.server  # noqa: F401
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "pipeline":
            raise
        raise InputError(MISSING) from None


def configuration(folder: Path, port: int | None = None) -> dict[str, Any]:
    """What a client's configuration file says of this server: a command to start, or with `port` the address of one."""
    if port is not None:
        return {"mcpServers": {"posttrain": {"type": "http", "url": f"http://{LOOPBACK}:{port}/mcp"}}}
    command = {"command": sys.executable, "args": ["-m", "pipeline.cli", "mcp", str(folder.absolute())]}
    return {"mcpServers": {"posttrain": command}}


def serve_stdio(folder: Path, executor: str = "local") -> None:
    """Serve one client on stdin and stdout until it closes them."""
    import anyio

    host = Host(folder)
    try:
        anyio.run(create(host, executor).run_stdio_async)
    finally:
        host.close()


def serve_http(folder: Path, port: int, say: Callable[[str], None], executor: str = "local") -> None:
    """Serve clients on this machine's loopback address until interrupted. Raises InputError if the port is taken."""
    import anyio
    import uvicorn

    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((LOOPBACK, port))
        except OSError as error:
            raise InputError(f"--port {port}: {error.strerror}; name another one") from None
    host = Host(folder)
    app: Any = create(host, executor).streamable_http_app(host=LOOPBACK)
    if os.environ.get(TOKEN):
        app = _guarded(app, os.environ[TOKEN])
    say(f"serving {folder} at http://{LOOPBACK}:{port}/mcp")
    try:
        anyio.run(uvicorn.Server(uvicorn.Config(app, host=LOOPBACK, port=port, log_level="warning")).serve)
    finally:
        host.close()


def _guarded(app: Any, token: str) -> Any:
    """`app` for those only who send `Authorization: Bearer TOKEN`: other users of the machine reach loopback, too."""

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        given = dict(scope.get("headers") or ()).get(b"authorization", b"")
        if scope["type"] != "http" or hmac.compare_digest(given, f"Bearer {token}".encode()):
            await app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 401, "headers": [(b"www-authenticate", b"Bearer")]})
        await send({"type": "http.response.body", "body": b"give the token of " + TOKEN.encode()})

    return guarded


def create(host: Host, executor: str = "local", instructions: str = INSTRUCTIONS, without: Sequence[str] = ()) -> Any:
    """The server of a host's run, as the SDK's `MCPServer`; `executor` is for a run that the tool `open` makes.

    `without`: tools that it does not have; without `report` it has no resources either.
    """
    from mcp.server import MCPServer

    server = MCPServer("posttrain", version=__version__, instructions=instructions, log_level="WARNING")
    add_questions(server, host)
    add_doors(server, host)
    add_life(server, host, executor)
    if "report" not in without:
        add_resources(server, host)
    for name in without:
        server.remove_tool(name)
    return server
