"""What every agent promises. The folder is listed, so that a new agent is tested by existing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pipeline.agents
from pipeline import plugins
from pipeline.contracts import Agent
from pipeline.fake_provider import FakeProvider
from pipeline.recipe import apply_changes, check_space
from pipeline.search import search
from pipeline.session import Session
from pipeline.types import Budget, Proposal, Trial
from tests import runs
from tests.runs import Bench
from tests.variants import few

bench = runs.bench  # the fixture
FOLDER = Path(pipeline.agents.__file__).parent


OPTIONS: dict[str, dict[str, Any]] = {}  # of agents that cannot do without


@pytest.fixture(scope="module", autouse=True)
def provider() -> Iterator[None]:
    """A language model, for the agent that asks one."""
    with FakeProvider() as fake:
        OPTIONS["llm"] = {"llm": fake.name, "llm_share": 0.5}
        yield


def steps_by_itself(name: str) -> bool:
    """Whether an agent runs instead of answering `propose`; what such a one promises is in `test_command`."""
    return hasattr(plugins.load("agents", name), "ready")


@pytest.fixture(params=[name for name in plugins.names("agents") if not steps_by_itself(name)])
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


def make(name: str, session: Session, seed: int = 5) -> Agent:
    brief = session.brief().model_copy(update={"options": OPTIONS.get(name, {})})
    agent: Agent = plugins.entry("agents", plugins.example("agents", name))(brief, seed)
    return agent


def run(bench: Bench, name: str, seed: int = 5, **changes: Any) -> Session:
    session = bench.open(**({"budget": Budget(seconds=120.0)} | changes))
    search(session, make(name, session, seed))
    return session


def tried(session: Session) -> list[Trial]:
    return [trial for trial in session.history() if trial.kind == "recipe"]


@pytest.mark.parametrize("slots", [1, 3])
def test_a_search_scores_something_and_ends_in_time(bench: Bench, name: str, slots: int) -> None:
    session = run(bench, name, slots=slots)
    assert any(trial.state == "scored" for trial in tried(session))
    assert session.clock.used() <= 120 * 1.02


def test_proposals_keep_to_the_space_and_are_not_rejected(bench: Bench, name: str) -> None:
    session = run(bench, name)
    for trial in tried(session):
        assert trial.state != "rejected", trial.verdicts
        assert check_space(trial.proposal.changes, session.space) == []
        apply_changes(session.request.recipe, trial.proposal.changes)


@pytest.mark.parametrize("every", few([3, 1], 1))
def test_the_same_seed_and_history_give_the_same_proposal(bench: Bench, name: str, every: int) -> None:
    session = run(bench, name)
    history, left = session.history(), Budget(seconds=60.0)
    for end in {*range(0, len(history), every), len(history)}:
        proposals = [make(name, session).propose(history[:end], left) for _ in range(2)]
        assert proposals[0] == proposals[1]


def test_an_agent_made_anew_goes_on_like_one_that_has_seen_it_all(bench: Bench, name: str) -> None:
    session = bench.open(budget=Budget(seconds=120.0))
    session.begin()
    old = make(name, session)
    for _ in range(6):
        history, left = session.history(), session.remaining()
        proposal = old.propose(history, left)
        assert proposal == make(name, session).propose(history, left)
        if proposal is None or not session.has_room():
            break
        session.step(proposal)


def test_an_agent_says_who_it_is_and_proposes_data_only(bench: Bench, name: str) -> None:
    session = bench.open()
    session.begin()
    proposal = make(name, session).propose(session.history(), session.remaining())
    members = plugins.example("agents", name).split(":")[-1].split(",")  # a team proposes in a member's name
    assert isinstance(proposal, Proposal) and proposal.author.split(":")[0] in members
    assert Proposal.model_validate_json(proposal.model_dump_json()) == proposal


def test_an_agent_works_without_a_time_budget(bench: Bench, name: str) -> None:
    session = run(bench, name, budget=Budget(trials=3))
    assert 1 <= len(tried(session)) <= 3


@pytest.mark.parametrize("each", plugins.names("agents"))
def test_an_agent_is_short_and_imports_nothing_heavy(each: str) -> None:
    source = (FOLDER / f"{each}.py").read_text()
    assert len(source.splitlines()) < 150
    heavy = {"torch", "transformers", "trl", "peft", "lm_eval", "datasets"}
    tree = ast.walk(ast.parse(source))
    imported = {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
    assert not heavy & imported


def test_random_draws_differ_between_seeds_and_cover_the_space(bench: Bench) -> None:
    session = bench.open()
    drawn = [make("random", session, seed).propose((), Budget()) for seed in range(60)]
    rates = [proposal.changes["stages.0.params.learning_rate"] for proposal in drawn if proposal]
    low, high = session.space["stages.0.params.learning_rate"].low, session.space["stages.0.params.learning_rate"].high
    assert low is not None and high is not None and low <= min(rates) and max(rates) <= high
    assert sum(rate < (low * high) ** 0.5 for rate in rates) in range(18, 43)  # half of them: the scale is logarithmic
    mixtures = [proposal.changes["stages.0.data"] for proposal in drawn if proposal]
    assert {len(mixture) for mixture in mixtures} == {1, 2, 3}
    assert {ref["name"] for mixture in mixtures for ref in mixture} == {"maths_1", "maths_2", "maths_3"}
