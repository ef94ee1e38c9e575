"""A run as an MCP server: its doors as tools, on the official SDK (extra `mcp`), over stdio or loopback HTTP.

Every tool call is a client of the run's owner (`pipeline.owner`), in a thread of its own: a long trial holds nobody up.
"""

# Annotations are not postponed here: the SDK reads them off functions that are made where it is imported.

import contextlib
import functools
import hmac
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline import __version__, asking, models, recipe
from pipeline.commands import options
from pipeline.errors import InputError, PosttrainError
from pipeline.owner.client import Client
from pipeline.owner.host import Host
from pipeline.owner.reading import proposal_of, read
from pipeline.paths import plain
from pipeline.request import News
from pipeline.types import Budget, Trial
from pipeline.view import View

MOST_CALLS = 1000  # at once; each is a thread, nearly all of them waiting
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


def create(host: Host, executor: str = "local") -> Any:
    """The server of a host's run, as the SDK's `MCPServer`; `executor` is for a run that the tool `open` makes."""
    from mcp.server import MCPServer

    server = MCPServer("posttrain", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING")
    _add_questions(server, host)
    _add_doors(server, host)
    _add_life(server, host, executor)
    _add_resources(server, host)
    return server


# ---------------------------------------------------------------- tools


def _add_questions(server: Any, host: Host) -> None:
    """What is answered at once, without anybody becoming the owner."""
    from mcp_types import ToolAnnotations

    tool = server.tool(annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))

    @tool
    async def brief() -> dict[str, Any]:
        """The task: base model, benchmark, recipe to start from, search space, data cards with sample rows, budget."""
        return await _asked(host, "brief")

    @tool
    async def catalogue() -> dict[str, Any]:
        """The data sources that a recipe may mix: size, lengths and sample rows of each."""
        return {"sources": await _asked(host, "catalogue")}

    @tool
    async def space() -> dict[str, Any]:
        """What a proposal may change: dotted path -> kind, bounds or choices. `seed` and `stages` may be given, too."""
        return await _asked(host, "space")

    @tool
    async def propose(
        changes: dict[str, Any], fidelity: float = 1.0, continues: str | None = None, rationale: str = ""
    ) -> dict[str, Any]:
        """Check a proposal and say what it would cost, without running it: ok, reason, tokens, seconds, fits."""
        given = _proposal(changes, fidelity, continues, rationale)
        return await _asked(host, "propose", proposal=given)

    @tool
    async def trials() -> dict[str, Any]:
        """All trials in the order of their start: state, search score, fidelity, changes, error."""
        return {"trials": await _asked(host, "trials")}

    @tool
    async def trial(trial: str) -> dict[str, Any]:
        """One trial in full: its recipe, verdicts, score, cost and labels."""
        return await _asked(host, "trial", trial=trial)

    @tool
    async def compare(a: str, b: str) -> dict[str, Any]:
        """Trial `a` less trial `b`, paired by item: the difference, its p value, whether it is beyond noise."""
        return await _asked(host, "compare", a=a, b=b)

    @tool
    async def remaining() -> dict[str, Any]:
        """What is left of the budget: seconds, trials, dollars (null: no limit)."""
        return await _asked(host, "remaining")

    @tool
    async def report() -> dict[str, Any]:
        """The run's report so far; after `finish` with final scores and the fraction of the human gain regained."""
        return await _asked(host, "report")


def _add_doors(server: Any, host: Host) -> None:
    """What changes the run, or waits for it."""
    from mcp.server.mcpserver import Context

    @server.tool()
    async def start(
        changes: dict[str, Any], fidelity: float = 1.0, continues: str | None = None, rationale: str = ""
    ) -> dict[str, Any]:
        """Start a trial and return at once; `wait` brings its end. Refused if no slot is free."""
        wanted = proposal_of(_proposal(changes, fidelity, continues, rationale))
        return await _done(host, lambda client: _told(client.start(wanted), client))

    @server.tool()
    async def wait(trial: str | None = None, timeout_seconds: float = 60.0) -> dict[str, Any]:
        """The next trial that ends, or the one named; `trial` is null if the time passes or none is running."""
        return await _done(host, lambda client: _waited(client, trial, timeout_seconds))

    @server.tool()
    async def step(
        ctx: Context,
        changes: dict[str, Any],
        fidelity: float = 1.0,
        continues: str | None = None,
        rationale: str = "",
    ) -> dict[str, Any]:
        """Train and score one proposal, as soon as a slot is free, and return the trial. Minutes; reports progress."""
        wanted = proposal_of(_proposal(changes, fidelity, continues, rationale))
        return await _done(host, lambda client: _told(client.step(wanted), client), ctx)

    @server.tool()
    async def submit(ctx: Context, path: str, rationale: str = "") -> dict[str, Any]:
        """Score a checkpoint made outside (a folder: a whole model, or an adapter on the base) like any trial."""
        return await _done(host, lambda client: _told(client.submit(path, rationale, "mcp"), client), ctx)

    @server.tool()
    async def finish(ctx: Context) -> dict[str, Any]:
        """End the run: choose the best trial, score it on the final split, write final_model/. Returns the report."""
        return await _done(host, _finished, ctx)


def _add_life(server: Any, host: Host, executor: str) -> None:
    from mcp.server.mcpserver import Context

    @server.tool(name="open")
    async def open_run(
        ctx: Context,
        model: str,
        benchmark: str,
        budget: str,
        instruct: str | None = None,
        trials: int | None = None,
        seed: int = 0,
    ) -> dict[str, Any]:
        """Open a run in this server's folder. Budget: 90s, 15m, 10h. Its clock runs from here to `finish`."""

        def work() -> dict[str, Any]:
            names = options.benchmarks([benchmark], model)
            if len(names) != 1:
                raise InputError(f"benchmark {benchmark}: a run has one benchmark: name one")
            limits = Budget(seconds=options.seconds(budget, "budget"), trials=trials)
            asked = asking.Asked(
                model=model, benchmark=names[0], budget=limits, instruct=instruct, agent=None, seed=seed,
                executor=executor,
            )  # fmt: skip
            options.new_folder(host.folder, "")
            client = host.open(asking.to_request(asked, models.resolve))
            return {"folder": str(host.folder), "remaining": client.remaining().model_dump()}

        return await _in_thread(work)


# ---------------------------------------------------------------- resources


def _add_resources(server: Any, host: Host) -> None:
    """The shipped recipes, the run's own, its trials' and the report."""
    from mcp.server.mcpserver.exceptions import ResourceError

    async def told(work: Callable[[], Any]) -> str:
        try:
            return str(await _threaded(work))
        except PosttrainError as error:
            raise ResourceError(str(error)) from None

    @server.resource("posttrain://report", mime_type="text/markdown")
    async def report_text() -> str:
        """The run's report in Markdown."""
        return await told(lambda: _ask(host.look(), "report_text"))

    @server.resource("posttrain://recipe", mime_type="application/yaml")
    async def run_recipe() -> str:
        """The recipe that the run starts from; proposals are patches on it."""
        return await told(lambda: recipe.dump_recipe(host.look().brief().recipe))

    @server.resource("posttrain://recipes", mime_type="text/plain")
    async def names() -> str:
        """The names of the shipped recipes."""
        return await told(lambda: "\n".join(recipe.recipe_names()))

    @server.resource("posttrain://recipes/{name}", mime_type="application/yaml")
    async def shipped_recipe(name: str) -> str:
        """A shipped recipe."""
        return await told(lambda: recipe.dump_recipe(recipe.load_recipe(_shipped(name))))

    @server.resource("posttrain://trials/{trial}/recipe", mime_type="application/yaml")
    async def trial_recipe(trial: str) -> str:
        """The whole recipe of a trial."""
        return await told(lambda: _recipe_of(host.look().trial(trial)))


def _shipped(name: str) -> str:
    if name not in recipe.recipe_names():  # a path is none
        raise InputError(f"unknown recipe '{name}': known are {', '.join(recipe.recipe_names())}")
    return name


def _recipe_of(trial: Trial) -> str:
    if trial.recipe is None:
        raise InputError(f"trial {trial.id} is {trial.kind}, {trial.state}, and has no recipe")
    return recipe.dump_recipe(trial.recipe)


# ---------------------------------------------------------------- inside


def _proposal(changes: Any, fidelity: float, continues: str | None, rationale: str) -> dict[str, Any]:
    return {
        "changes": changes, "fidelity": fidelity, "continues": continues, "rationale": rationale, "author": "mcp",
    }  # fmt: skip


def _ask(run: Client | View, ask: str, **arguments: Any) -> Any:
    return run.ask(ask, **arguments) if isinstance(run, Client) else plain(read(run, ask, arguments))


def _told(trial: Trial, client: Client) -> dict[str, Any]:
    """A trial as tools return it. Raises InputError for one that was refused, with what would be right."""
    refused = next((verdict.reason for verdict in trial.verdicts if not verdict.ok), None)
    if trial.state == "rejected":
        error = trial.outcome.error if trial.outcome else None
        raise InputError(f"{trial.id} was rejected: {refused or error}; `space` says what may be changed")
    return {"trial": plain(trial), "remaining": plain(client.remaining())}


def _waited(client: Client, trial_id: str | None, seconds: float) -> dict[str, Any]:
    trials = None if trial_id is None else [trial_id]
    found = client.ask("wait", trials=trials, seconds=max(0.0, seconds))
    running = [each["id"] for each in client.ask("trials") if each["state"] == "pending"]
    return {"trial": found, "running": running}


def _finished(client: Client) -> dict[str, Any]:
    if client.ask("is_finished"):
        return dict(client.ask("report"))
    return client.finish()


async def _asked(host: Host, ask: str, **arguments: Any) -> Any:
    return await _in_thread(lambda: _ask(host.look(), ask, **arguments))


async def _done(host: Host, work: Callable[[Client], Any], ctx: Any = None) -> Any:
    """What `work` gives with the run's doors. If the caller gives up, the connection ends; a started trial goes on."""
    import anyio

    clients: list[Client] = []

    def run() -> Any:
        client = host.client()
        clients.append(client)
        if ctx is not None:
            client.on_event = functools.partial(_report, ctx, time.monotonic())
        return work(client)

    try:
        return await _in_thread(run)
    except anyio.get_cancelled_exc_class():
        for client in clients:
            client.hang_up()
        raise


def _report(ctx: Any, began: float, news: News) -> None:
    """News as a progress notification. Its number is the seconds gone: the protocol wants one that always grows."""
    import anyio.from_thread

    at = news.progress or {}
    step = f", step {at['step']} of {at['steps']}" if at.get("step") and at.get("steps") else ""
    loss = f", loss {at['loss']:.3f}" if isinstance(at.get("loss"), float) else ""
    left = f", {news.seconds_left:.0f} s of budget left" if news.seconds_left is not None else ""
    with contextlib.suppress(Exception):  # the caller has gone: the trial goes on
        anyio.from_thread.run(ctx.report_progress, time.monotonic() - began, None, f"{news.text}{step}{loss}{left}")


async def _in_thread(work: Callable[[], Any]) -> Any:
    """The result of blocking work, its errors as tool errors."""
    from mcp.server.mcpserver.exceptions import ToolError

    try:
        return await _threaded(work)
    except PosttrainError as error:
        raise ToolError(" ".join(str(error).split())) from None


async def _threaded(work: Callable[[], Any]) -> Any:
    import anyio.to_thread

    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=_limiter())


@functools.lru_cache(maxsize=1)
def _limiter() -> Any:
    import anyio

    return anyio.CapacityLimiter(MOST_CALLS)
