"""llm: what the model is asked, how often, and what that may cost."""

from __future__ import annotations

import pytest

from pipeline import report
from pipeline.fake_provider import FakeProvider
from tests.agents import llm_runs
from tests.agents.llm_runs import by_model, run, states, tried
from tests.runs import Bench

bench, quick = llm_runs.bench, llm_runs.quick  # the fixtures

# ---------------------------------------------------------------- caps


def test_a_cap_in_tokens_is_never_passed_and_the_search_goes_on(bench: Bench) -> None:
    with FakeProvider() as provider:
        session = run(bench, provider.name, llm_budget="7ktok")
    told = report.build_report(session.folder)["proposer"]
    assert 0 < told["tokens"] <= 7000 and told["handed_over"] and by_model(session)
    assert "the cap of 7,000 tokens does not hold another request: raise --llm-budget" in "".join(told["reasons"])


def test_a_cap_in_dollars_is_kept_with_a_provider_that_has_prices(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with FakeProvider() as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.url)
        session = run(bench, "openai:gpt-4.1-mini", llm_budget="0.02usd")
        most = run(Bench(bench.place / "poor", monkeypatch), "openai:gpt-4.1-mini", llm_budget="0.001usd")
        most.close()
    told = report.build_report(session.folder)["proposer"]
    assert 0 < told["dollars"] <= 0.02 and by_model(session)
    assert not by_model(most) and report.build_report(most.folder)["proposer"]["requests"] == 0


def test_openai_and_anthropic_are_asked_in_their_own_ways(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "o-key")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "a-key")
    with FakeProvider() as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", provider.url.removesuffix("/v1"))
        assert by_model(run(bench, "openai:gpt-5-mini"))
        openai = len(provider.requests)
        second = Bench(bench.place / "second", monkeypatch)
        assert by_model(run(second, "anthropic:claude-haiku-4-5"))
        second.sessions[0].close()
    assert provider.keys[0] == "o-key" and provider.keys[-1] == "a-key"
    schema = provider.requests[0]["response_format"]["json_schema"]["schema"]
    tool = provider.requests[openai]["tools"][0]
    assert schema == tool["input_schema"] and "stages.0.data" in schema["properties"]["changes"]["properties"]


# ---------------------------------------------------------------- what the model is asked, and how often


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_the_model_gets_its_share_of_trials_and_no_more(bench: Bench, share: float) -> None:
    with FakeProvider() as provider:
        session = run(bench, provider.name, llm_share=share, seconds=160.0)
    explored = [trial for trial in tried(session) if "takes the rest" not in trial.proposal.rationale]
    assert abs(len(by_model(session)) - share * len(explored)) <= 1


def test_after_trials_in_a_row_that_bring_nothing_another_strategy_is_asked_for_by_name(bench: Bench) -> None:
    with FakeProvider() as provider:
        session = run(bench, provider.name, llm_share=0.5, seconds=160.0)
    asked = [(body, state) for body, state in zip(provider.requests, states(provider), strict=True)]
    named = [(body, state) for body, state in asked if "named_strategies" in state]
    assert named and "named_strategies" not in asked[0][1]
    body, state = named[0]
    assert "trials in a row brought nothing beyond the noise floor" in body["messages"][0]["content"]
    names = [each["strategy"] for each in state["named_strategies"]]
    assert len(set(names)) == len(names) > 1
    choice = body["response_format"]["json_schema"]["schema"]
    assert choice["properties"]["strategy"]["enum"] == names and "strategy" in choice["required"]
    assert any(note["named"] for note in session.notes("llm_turn"))


def test_the_brief_is_cut_to_the_context_oldest_trials_first_and_the_space_stays(bench: Bench) -> None:
    sizes = {}
    for number, context in enumerate((5_000, 30_000)):
        place = Bench(bench.place / str(number), pytest.MonkeyPatch())
        with FakeProvider() as provider:
            run(place, provider.name, llm_context=context, seconds=160.0).close()
        last = states(provider)[-1]
        sizes[context] = last
        sent = "".join(each["content"] for each in provider.requests[-1]["messages"])
        assert len(sent) / 2 <= context and "stages.0.params.learning_rate" in last["search_space"]
    shown = [[row["trial"] for row in sizes[context].get("recent_trials", [])] for context in sizes]
    assert 0 < len(shown[0]) < len(shown[1]) and shown[1][-len(shown[0]) :] == shown[0]


def test_predictions_are_recorded_with_the_trial_and_compared_in_the_report(bench: Bench) -> None:
    with FakeProvider() as provider:
        session = run(bench, provider.name, seconds=160.0)
    own = by_model(session)
    assert all(trial.proposal.predicted == 0.4 and trial.proposal.rationale for trial in own)
    found = report.build_report(session.folder)["proposer"]["prediction"]
    errors = [0.4 - trial.score.value for trial in own if trial.score]
    assert found["n"] == len(errors) and found["mean_error"] == pytest.approx(sum(errors) / len(errors))
    assert found["correlation"] is None  # always the same prediction
    assert "off by" in report.to_text(session.folder) and "Predicted and scored" in report.to_markdown(session.folder)
