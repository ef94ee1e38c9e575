"""llm: a small context gets a brief that fits, however the context is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.fake_provider import FakeProvider
from pipeline.providers import talk
from pipeline.providers.record import FILE
from pipeline.session import Session
from tests.agents import llm_runs
from tests.agents.llm_runs import by_model, run, states, tried
from tests.runs import Bench

bench, quick = llm_runs.bench, llm_runs.quick  # the fixtures


def sent_tokens(body: dict[str, Any]) -> int:
    """At most so many tokens of a context are taken by a request and the reply to it."""
    return sum(talk.tokens(each["content"]) for each in body["messages"]) + body["max_tokens"]  # type: ignore[no-any-return]


def refused(session: Session) -> list[str]:
    """The requests on the record that the server would not answer."""
    lines = (session.folder / "agent" / FILE).read_text().splitlines()
    return [line for line in lines if json.loads(line).get("state") == "refused"]


@pytest.mark.parametrize(("play", "context"), [("good", 2_048), ("repaired", 2_048), ("good", 4_096), ("good", 8_192)])
def test_a_small_context_gets_a_brief_that_fits_repairs_included(bench: Bench, play: str, context: int) -> None:
    with FakeProvider(play, context=context, lists=False) as provider:
        session = run(bench, provider.name, llm_context=context, seconds=160.0)
    assert by_model(session) and not refused(session)
    assert all(sent_tokens(body) <= context for body in provider.requests)
    assert not [turn["why"] for turn in session.notes("llm_turn") if "fit" in turn["why"]]
    for state in states(provider):
        assert {card["name"] for card in state["data_sources"]} == {"maths_1", "maths_2", "maths_3"}
        assert "stages.0.data" in state["search_space"]
    prompts = {body["messages"][0]["content"].partition(" ")[0] for body in provider.requests}
    assert prompts == {"You"} and any(state.get("recent_trials") for state in states(provider))
    short = [body for body in provider.requests if body["messages"][0]["content"].startswith("You choose")]
    assert bool(short) is (context < 8_192)
    example = '"stages.0.data": [{"name": "maths_1", "weight": 0.7}, {"name": "maths_2", "weight": 0.3}]'
    assert all(example in body["messages"][0]["content"] for body in short)


def test_the_context_of_a_server_of_one_s_own_is_found_in_its_list_of_models(bench: Bench) -> None:
    with FakeProvider(context=3_000) as provider:
        session = run(bench, provider.name)
    assert by_model(session) and all(sent_tokens(body) <= 3_000 for body in provider.requests)
    assert not refused(session)  # nothing was sent in vain


def test_what_a_server_refuses_as_too_long_is_asked_again_with_less_and_replayed_alike(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeProvider(context=2_500, lists=False) as provider:
        session = run(bench, provider.name)
    first, *later = session.notes("llm_turn")
    assert first["requests"] == 2 and first["proposed"] and later and len(refused(session)) == 1
    told = " ".join(note["text"] for note in session.notes("llm_wait"))
    assert "too long for its context; asked with 2500 tokens now" in told
    replayed = run(Bench(tmp_path / "again", monkeypatch), "", replay=str(session.folder))
    replayed.close()
    assert [trial.proposal for trial in tried(replayed)] == [trial.proposal for trial in tried(session)]


def test_a_context_that_does_not_even_hold_the_names_is_said_and_nothing_is_asked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.agents import _dialogue

    real = _dialogue.describe
    long = [{"name": f"source_number_{number}_of_all"} for number in range(200)]
    monkeypatch.setattr(_dialogue, "describe", lambda *told: {**real(*told), "data_sources": long})
    with FakeProvider() as provider:
        session = run(bench, provider.name, llm_context=2_000)
    assert not provider.requests
    why = session.notes("llm_turn")[0]["why"]
    assert why == "the brief does not fit into 2000 tokens: raise --llm-context"
