"""Whole searches by command-line agents: bash scripts in the real sandbox, trials that take no time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline import plugins
from pipeline.cage import walls
from pipeline.fakes import FakeExecutor, fake_request
from pipeline.request import News
from pipeline.search import search
from pipeline.session import Session
from pipeline.types import Budget, Trial

needs_sandbox = pytest.mark.skipif(walls.why_not() is not None, reason=f"no sandbox here: {walls.why_not()}")
RATE = "stages.0.params.learning_rate"
GOOD = f"""./posttrain step --changes '{{"{RATE}": 2e-3}}' --rationale good"""


class Searched(NamedTuple):
    """What came of a search."""

    session: Session
    report: dict[str, Any]
    news: list[News]

    @property
    def folder(self) -> Path:
        return self.session.folder

    @property
    def transcript(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "agent/transcript.jsonl").read_text().splitlines()]

    @property
    def said(self) -> str:
        """All that the agent printed."""
        lines = [row.get("text", json.dumps(row.get("json"))) for row in self.transcript if "stream" in row]
        return "\n".join(lines)

    @property
    def tried(self) -> list[Trial]:
        return [trial for trial in self.session.history() if trial.kind != "anchor"]

    @property
    def why(self) -> str:
        return str(self.session.notes("search_ended")[-1]["why"])

    def notes(self, name: str) -> list[dict[str, Any]]:
        return self.session.notes(name)


Commanded = Callable[..., Searched]


def run(
    place: Path,
    argument: str,
    budget: Budget,
    executor: Any = None,
    request: dict[str, Any] | None = None,
    **given: Any,
) -> Searched:
    """A search by `command:ARGUMENT` with these agent options."""
    asked = fake_request(place, agent="command", agent_options=given, budget=budget, **(request or {}))
    session, news = Session.open(place / "run", asked, executor or FakeExecutor(asked.slots)), list[News]()
    with session:
        agent = plugins.entry("agents", f"command:{argument}")(session.brief(), 0)
        return Searched(session, search(session, agent, news.append), news)


def resumed(before: Searched, argument: str, extra: Budget | None = None, **given: Any) -> Searched:
    """The same search gone on with, by the agent made anew; the options are this one's."""
    extra, news = extra or Budget(seconds=60.0), list[News]()
    with Session.resume(before.folder, extra, FakeExecutor(1)) as session:
        brief = session.brief().model_copy(update={"options": given})
        agent = plugins.entry("agents", f"command:{argument}")(brief, 0)
        return Searched(session, search(session, agent, news.append), news)


@pytest.fixture
def commanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commanded:
    """`commanded(script, seconds=.., **options)`: a search by that bash script."""
    monkeypatch.setenv("POSTTRAIN_FAKE_SECONDS", "0.01")

    def search_by(script: str, seconds: float = 60.0, trials: int | None = None, **given: Any) -> Searched:
        file = tmp_path / "agent.sh"
        file.write_text(script)
        return run(tmp_path, f"bash {file} {{workdir}}", Budget(seconds=seconds, trials=trials), **given)

    return search_by
