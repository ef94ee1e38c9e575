"""How a tool is answered: on a thread, as a client of the run's owner, errors as errors of the protocol."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable
from typing import Any

from pipeline.errors import InputError, PosttrainError
from pipeline.owner.client import Client
from pipeline.owner.host import Host
from pipeline.owner.reading import read
from pipeline.paths import plain
from pipeline.request import News
from pipeline.types import Trial
from pipeline.view import View

MOST_CALLS = 1000  # at once; each is a thread, nearly all of them waiting


def proposal(changes: Any, fidelity: float, continues: str | None, rationale: str) -> dict[str, Any]:
    """A proposal's fields as a tool was given them, not checked yet."""
    return {
        "changes": changes, "fidelity": fidelity, "continues": continues, "rationale": rationale, "author": "mcp",
    }  # fmt: skip


def ask(run: Client | View, question: str, **arguments: Any) -> Any:
    """The plain answer to a question (`reading.READ`)."""
    return run.ask(question, **arguments) if isinstance(run, Client) else plain(read(run, question, arguments))


def told(trial: Trial, client: Client) -> dict[str, Any]:
    """A trial as tools return it. Raises InputError for one that was refused, with what would be right."""
    refused = next((verdict.reason for verdict in trial.verdicts if not verdict.ok), None)
    if trial.state == "rejected":
        error = trial.outcome.error if trial.outcome else None
        raise InputError(f"{trial.id} was rejected: {refused or error}; `space` says what may be changed")
    return {"trial": plain(trial), "remaining": plain(client.remaining())}


def waited(client: Client, trial_id: str | None, seconds: float) -> dict[str, Any]:
    """What ended next, or None, and what is running."""
    trials = None if trial_id is None else [trial_id]
    found = client.ask("wait", trials=trials, seconds=max(0.0, seconds))
    running = [each["id"] for each in client.ask("trials") if each["state"] == "pending" and each["kind"] != "anchor"]
    return {"trial": found, "running": running}


async def asked(host: Host, question: str, **arguments: Any) -> Any:
    """The same of a host's run, without anybody becoming its owner."""
    return await in_thread(lambda: ask(host.look(), question, **arguments))


async def done(host: Host, work: Callable[[Client], Any], ctx: Any = None) -> Any:
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
        return await in_thread(run)
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


async def in_thread(work: Callable[[], Any]) -> Any:
    """The result of blocking work, its errors as tool errors."""
    from mcp.server.mcpserver.exceptions import ToolError

    try:
        return await threaded(work)
    except PosttrainError as error:
        raise ToolError(" ".join(str(error).split())) from None


async def threaded(work: Callable[[], Any]) -> Any:
    """The result of blocking work; the thread is left alone if the caller gives up."""
    import anyio.to_thread

    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=_limiter())


@functools.lru_cache(maxsize=1)
def _limiter() -> Any:
    import anyio

    return anyio.CapacityLimiter(MOST_CALLS)
