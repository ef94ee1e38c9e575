"""llm: keys are never written, and what was asked and answered is kept, replayed and taken up again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipeline import report
from pipeline.fake_provider import FakeProvider
from pipeline.providers.record import FILE
from pipeline.types import Budget
from tests.agents import llm_runs
from tests.agents.llm_runs import agent_of, by_model, run, texts, tried
from tests.runs import Bench

bench, quick = llm_runs.bench, llm_runs.quick  # the fixtures


def test_no_key_is_ever_written_even_if_the_server_repeats_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTTRAIN_LLM_KEY", "very-secret-key")
    with FakeProvider("repeats_the_key") as provider:
        session = run(bench, provider.name)
    assert set(provider.keys) == {"very-secret-key"} and by_model(session)
    assert not [path for path, text in texts(session.folder).items() if "very-secret-key" in text]
    assert "your key is ***" in by_model(session)[0].proposal.rationale


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_the_record_is_for_its_owner_only_and_holds_prompts_answers_and_costs(bench: Bench) -> None:
    with FakeProvider() as provider:
        session = run(bench, provider.name)
    path = session.folder / "agent" / FILE
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    asked, came = [[line for line in lines if line["kind"] == kind] for kind in ("asked", "came")]
    assert [line["turns"][0] for line in asked] == [body["messages"][1]["content"] for body in provider.requests]
    assert all(line["state"] == "answered" and line["input_tokens"] == 1000 for line in came)


@pytest.mark.parametrize("play", ["good", "repaired", "rate_limited", "invalid_json", "refused_key"])
def test_a_replayed_search_is_the_same_search_without_a_server(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, play: str
) -> None:
    with FakeProvider(play) as provider:
        session = run(bench, provider.name)
    again = Bench(tmp_path / "again", monkeypatch)
    replayed = run(again, "", replay=str(session.folder))
    replayed.close()
    assert [trial.proposal for trial in tried(replayed)] == [trial.proposal for trial in tried(session)]
    first, second = [report.build_report(each.folder)["proposer"] for each in (session, replayed)]
    assert second["tokens"] == 0 and second["replayed"] == str(session.folder)
    alike = ("turns", "proposed_at_once", "proposed_after_repair", "reasons", "requests", "prediction")
    assert [first[name] for name in alike] == [second[name] for name in alike]


def test_a_resumed_search_takes_the_turn_that_it_had_before(bench: Bench) -> None:
    with FakeProvider() as provider:
        own = {"llm": provider.name, "llm_share": 1.0}
        session = bench.open(agent="llm", agent_options=own)
        session.begin()
        first = agent_of(session).propose(session.history(), session.remaining())
        bench.crash()
        resumed = bench.resume()
        assert agent_of(resumed).propose(resumed.history(), Budget(seconds=80.0)) == first
        assert len(provider.requests) == 1 and first.author == "llm"


def test_a_torn_record_costs_the_most_that_the_lost_request_can_have_cost(bench: Bench) -> None:
    with FakeProvider() as provider:
        session = bench.open(agent="llm", agent_options={"llm": provider.name, "llm_share": 1.0})
        session.begin()
        agent_of(session).propose(session.history(), session.remaining())
        path = session.folder / "agent" / FILE
        lines = path.read_text().splitlines(keepends=True)
        path.write_text(lines[0] + lines[1][:40])
        agent = agent_of(session)
        assert agent.log.turns.spent().tokens > 1536
        agent.propose(session.history(), session.remaining())
    assert [json.loads(line)["kind"] for line in path.read_text().splitlines()] == ["asked", "asked", "came", "ended"]
