"""llm: whatever a model or its server does, the search goes on, and the reason is there to be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline import plugins
from pipeline.fake_provider import FakeProvider
from pipeline.providers import talk
from pipeline.search import search
from pipeline.session import Session
from pipeline.types import Budget
from tests import runs
from tests.runs import Bench

bench = runs.bench  # the fixture


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting, no keys but those of a test."""
    monkeypatch.setattr(talk, "WAITS_SECONDS", (0.0, 0.0))
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "POSTTRAIN_LLM_KEY", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def run(bench: Bench, llm: str, **options: Any) -> Session:
    """A whole search on fake trials, the model asked on every other trial."""
    own = {"llm": llm, "llm_share": 0.5, "llm_timeout": 20.0} | options
    session = bench.open(agent="llm", agent_options=own, budget=Budget(seconds=120.0))
    search(session, plugins.entry("agents", "llm")(session.brief(), 5))
    return session


def tried(session: Session) -> list[Any]:
    return [trial for trial in session.history() if trial.kind == "recipe"]


def by_model(session: Session) -> list[Any]:
    return [trial for trial in tried(session) if trial.proposal.author == "llm"]


def test_first(bench):
    with FakeProvider() as provider:
        session = run(bench, provider.name)
    for t in tried(session):
        print(t.id, t.state, t.proposal.author, t.proposal.changes, t.proposal.fidelity, t.proposal.rationale, t.score and t.score.value)
    for n in session.notes("llm_turn"):
        print(n)
    print(provider.requests[-1]["messages"][1]["content"])
