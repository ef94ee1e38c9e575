"""Whole searches by the agent `llm` on fake trials and a fake provider: what its tests share.

Each test module names `bench` and `quick` among its own, so that pytest finds them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import plugins
from pipeline.fake_provider import FakeProvider
from pipeline.providers import talk
from pipeline.search import search
from pipeline.session import Session
from pipeline.types import Budget, Trial
from tests import runs
from tests.runs import Bench

bench = runs.bench  # the fixture
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "POSTTRAIN_LLM_KEY")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting, no keys but those of a test."""
    monkeypatch.setattr(talk, "WAITS_SECONDS", (0.0, 0.0))
    for name in (*KEYS, "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def agent_of(session: Session) -> Any:
    return plugins.entry("agents", "llm")(session.brief(), 5)


def run(bench: Bench, llm: str, seconds: float = 80.0, **options: Any) -> Session:
    """A whole search on fake trials, the model asked on every other trial."""
    own = {"llm": llm, "llm_share": 0.5} | options
    session = bench.open(agent="llm", agent_options=own, budget=Budget(seconds=seconds))
    search(session, agent_of(session))
    return session


def tried(session: Session) -> list[Trial]:
    return [trial for trial in session.history() if trial.kind == "recipe"]


def by_model(session: Session) -> list[Trial]:
    return [trial for trial in tried(session) if trial.proposal.author == "llm"]


def states(provider: FakeProvider) -> list[dict[str, Any]]:
    """The states of the search that the model was told, one for each request."""
    return [json.loads(body["messages"][1]["content"]) for body in provider.requests]


def texts(folder: Path) -> dict[Path, str]:
    """All that a run's folder holds."""
    return {path: path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()}
