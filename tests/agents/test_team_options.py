"""A team's options are its members': a language model in a team, and what nobody takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import agent_options, arms, plugins
from pipeline.asking import Asked
from pipeline.errors import InputError
from pipeline.fake_provider import FakeProvider
from pipeline.search import search
from pipeline.types import Budget
from tests import runs
from tests.runs import Bench

bench = runs.bench


def test_a_language_model_is_a_member_with_its_own_options_and_notes(bench: Bench) -> None:
    with FakeProvider() as fake:
        options = {"llm": fake.name, "llm_share": 0.5}
        agent_options.check("team:asha,llm", options)
        session = bench.open(budget=Budget(seconds=200.0), agent="team:asha,llm", agent_options=options)
        found = search(session, plugins.entry("agents", "team:asha,llm")(session.brief(), 0))
    assert {each["author"] for each in found["team"]["authors"]} == {"asha", "llm"}
    assert any(trial.proposal.author == "llm" for trial in session.history()) and session.notes("llm_turn")


def test_an_option_that_no_member_takes_and_a_member_without_what_it_needs_are_told() -> None:
    with pytest.raises(InputError, match="--llm: no member of 'team:asha,random'"):
        agent_options.check("team:asha,random", {"llm": "http://127.0.0.1:1/v1#m"})
    with pytest.raises(InputError, match="no language model is named"):
        agent_options.check("team:asha,llm", {})


def test_a_control_has_those_of_the_agent_s_options_that_it_takes() -> None:
    options = {"llm": "http://127.0.0.1:1/v1#m"}
    asked = Asked(model="m", benchmark="b", budget=Budget(), agent="llm", agent_options=options)
    given = {name: arms.arm(asked, name, 0, Path()).asked.agent_options for name in ("llm", "random", "team:asha,llm")}
    assert given == {"llm": options, "random": {}, "team:asha,llm": options}
