"""team: shares by gains, a common ledger, vetoes that cost nothing, the same again from history alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipeline import plugins, report
from pipeline.agents import team
from pipeline.agents._critic import Veto
from pipeline.agents._shares import EVEN, Shares
from pipeline.errors import InputError
from pipeline.search import search
from pipeline.types import Budget, Proposal, Trial
from tests import runs
from tests.agents.histories import BRIEF, RATE, base, data, made
from tests.runs import Bench

bench = runs.bench
ROUND = BRIEF.budget.seconds / 8  # seconds
PAIR = ("asha", "random")


# ---------------------------------------------------------------- the name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("team", "two members"),
        ("team:", "two members"),
        ("team:asha", "two members"),
        ("team:asha,", "two members"),
        ("team:asha,asha", "twice"),
        ("team:asha,rnadom", "did you mean random"),
        ("team:asha,team", "no member of a team"),
        ("team:asha,team:asha,random", "no member of a team"),
        ("team:asha,random:3", "takes no argument"),
        ("team:asha,no.such.module", "no module"),
        ("asha:random", "takes no argument"),
    ],
)
def test_wrong_members_are_told_before_anything_runs(name, words):
    with pytest.raises(InputError, match=words):
        plugins.entry("agents", name)


def test_spaces_between_members_are_allowed():
    assert team.members_of(" asha , random") == ["asha", "random"]
    assert plugins.entry("agents", "team: asha, random")(BRIEF, 0)


def test_a_member_that_steps_by_itself_is_refused(tmp_path, monkeypatch):
    (tmp_path / "stepper.py").write_text(
        "class Agent:\n    def run(self, client): ...\ncreate = lambda b, s: Agent()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="steps by itself"):
        plugins.entry("agents", "team:asha,stepper:create")(BRIEF, 0)


# ---------------------------------------------------------------- the manager


def test_rounds_begin_even_and_who_is_owed_most_has_the_turn():
    shares = Shares(BRIEF, PAIR, [])
    assert shares.order() == ["asha", "random"] and shares.rounds[0].shares == {"asha": 0.5, "random": 0.5}
    assert Shares(BRIEF, PAIR, [made(1, "asha", 0.2, seconds=1.0)]).order() == ["random", "asha"]


def test_a_round_is_divided_by_gains_per_second_and_a_part_of_it_evenly():
    history = [base(0.0), *(made(n, PAIR[n % 2], 0.1 * n if n % 2 else 0.0, seconds=ROUND / 2) for n in range(1, 5))]
    shares = Shares(BRIEF, PAIR, history).rounds[-1].shares
    assert shares["random"] == pytest.approx(1 - EVEN / 2) and shares["asha"] == pytest.approx(EVEN / 2)


def test_older_gains_fade():
    early = [made(1, "asha", 0.5, seconds=ROUND), made(2, "random", 0.1, seconds=ROUND)]
    late = [made(n, "random" if n % 2 else "asha", 0.5 + 0.01 * n * (n % 2), seconds=ROUND) for n in range(3, 9)]
    rounds = Shares(BRIEF, PAIR, early + late).rounds
    assert rounds[2].shares["asha"] > 0.5 > rounds[-1].shares["asha"]
    assert all(sum(each.shares.values()) == pytest.approx(1) for each in rounds)


def test_members_are_paid_what_they_are_owed_over_a_budget():
    history: list[Trial] = [base(0.2)]
    while sum(trial.outcome.cost.seconds for trial in history[1:] if trial.outcome) < 80:
        name = Shares(BRIEF, PAIR, history).order()[0]
        history.append(made(len(history), name, 0.1, seconds=5.0 if name == "asha" else 1.0))
    spent = {name: sum(t.outcome.cost.seconds for t in history if t.proposal.author == name) for name in PAIR}
    assert abs(spent["asha"] - spent["random"]) <= 5.0 + 1e-9  # nobody gained: half each, however long its trials


def test_trials_in_flight_are_paid_for_so_that_the_next_slot_is_another_member_s():
    assert Shares(BRIEF, PAIR, [made(1, "asha")]).order() == ["random", "asha"]
    assert Shares(BRIEF, PAIR, [made(1, "asha"), made(2, "random")]).order()[0] == "asha"


@pytest.mark.parametrize("budget", [Budget(trials=16), Budget()])
def test_without_a_limit_of_time_rounds_are_of_trials(budget):
    brief = BRIEF.model_copy(update={"budget": budget})
    history = [made(n, PAIR[n % 2], 0.1 * n if n % 2 else 0.0) for n in range(1, 13)]
    rounds = Shares(brief, PAIR, history).rounds
    assert len(rounds) > 2 and rounds[-1].shares["random"] > 0.5


# ---------------------------------------------------------------- turns


class Scripted:
    """Proposes the first of its proposals that history does not hold yet, whoever tried it or refused it."""

    def __init__(self, *proposals: Proposal) -> None:
        self.proposals, self.seen = proposals, []

    def propose(self, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
        self.seen.append(tuple(history))
        known = [trial.proposal.changes for trial in history]
        return next((proposal for proposal in self.proposals if proposal.changes not in known), None)


def rate(value: float, **more) -> Proposal:
    return Proposal(changes={RATE: value}, **more)


def assembled(monkeypatch, critics=None, **members: Scripted) -> team.Team:
    """A team of scripted members; the notes that it makes are in its `told`."""
    monkeypatch.setattr(team.Team, "_make", lambda self, name, seed: members[name])
    made_team = team.Team(BRIEF, 0, list(members), (team.Rules(BRIEF),) if critics is None else critics)
    made_team.told = []
    made_team.note = lambda name, text="", **fields: made_team.told.append((name, text, fields))
    return made_team


def vetoes(found: team.Team) -> list[tuple[str, str]]:
    return [(fields["author"], fields["rule"]) for name, _, fields in found.told if name == "veto"]


def test_members_see_each_other_s_trials_and_the_author_is_the_member(monkeypatch):
    a, b = Scripted(rate(1e-3, author="a")), Scripted(rate(4e-3, author="inner"))
    found = assembled(monkeypatch, a=a, b=b)
    history = [made(1, "a", 0.1, {RATE: 1e-4})]
    proposal = found.propose(history, Budget(seconds=70.0))
    assert proposal == rate(4e-3, author="b:inner") and b.seen == [tuple(history)]
    assert found.propose([*history, made(2, "b:inner", 0.1, {RATE: 4e-3})], Budget(seconds=60.0)).author == "a"


def test_a_vetoed_proposal_costs_nothing_its_member_proposes_again_knowing_why(monkeypatch):
    a, b = Scripted(rate(1e-3), rate(1.01e-3), rate(8e-3)), Scripted()
    found = assembled(monkeypatch, a=a, b=b)
    history = [made(1, "b", 0.1, {RATE: 1e-3}, fidelity=1.0, seconds=20.0)]
    assert found.propose(history, Budget(seconds=60.0)).changes == {RATE: 8e-3}
    assert vetoes(found) == [("a", "within noise")]  # the first is in history: the scripted member leaves it out itself
    (refused,) = a.seen[-1][1:]
    assert refused.state == "rejected" and "t001" in refused.verdicts[0].reason
    ((_, text, fields),) = [note for note in found.told if note[0] == "veto"]
    assert "vetoed" in text and fields["seconds"] > 0 and fields["tokens"] > 0 and fields["proposal"] == rate(1.01e-3)


def test_where_a_member_has_nothing_but_waste_the_next_one_has_the_turn(monkeypatch):
    waste = [rate(1e-3 + n * 1e-6) for n in range(1, 9)]
    found = assembled(monkeypatch, a=Scripted(*waste), b=Scripted(rate(9e-3)))
    history = [made(1, "b", 0.1, {RATE: 1e-3}, fidelity=1.0)]
    assert found.propose(history, Budget(seconds=60.0)).author == "b"
    assert vetoes(found) == [("a", "within noise")] * team.MOST_VETOES


def test_a_team_whose_members_have_nothing_has_nothing(monkeypatch):
    assert assembled(monkeypatch, a=Scripted(), b=Scripted()).propose([], Budget(seconds=60.0)) is None


def test_late_in_the_budget_going_on_is_preferred_to_a_new_beginning(monkeypatch):
    on = Proposal(continues="t001", fidelity=0.9)
    found = assembled(monkeypatch, a=Scripted(rate(1e-3)), b=Scripted(on))
    history = [made(1, "b", 0.1, {RATE: 2e-4})]
    assert found.propose(history, Budget(seconds=70.0)).author == "a"
    assert found.propose(history, Budget(seconds=10.0)) == on.model_copy(update={"author": "b"})
    alone = assembled(monkeypatch, a=Scripted(rate(1e-3)), b=Scripted())
    assert alone.propose(history, Budget(seconds=10.0)).author == "a"


def test_any_critic_may_veto_and_one_that_fails_to_see_waste_does_not_stop_the_next(monkeypatch):
    class Stubborn:
        def review(self, proposal, history):
            return Veto("taste", "it is dull") if proposal.changes[RATE] < 5e-3 else None

    class Content:
        def review(self, proposal, history):
            return None

    members = {"a": Scripted(rate(1e-3), rate(9e-3)), "b": Scripted()}
    found = assembled(monkeypatch, (Content(), Stubborn()), **members)
    assert found.propose([], Budget(seconds=70.0)).changes == {RATE: 9e-3} and vetoes(found) == [("a", "taste")]


# ---------------------------------------------------------------- whole searches


def teamed(bench: Bench, members: str = "asha,random", seed: int = 3, **changes):
    session = bench.open(**({"budget": Budget(seconds=200.0)} | changes))
    return session, plugins.entry("agents", f"team:{members}")(session.brief(), seed)


def test_the_report_says_who_earned_what_how_rounds_were_divided_and_what_vetoes_saved(bench):
    session, agent = teamed(bench, "plain,random,asha")
    found = search(session, agent)["team"]
    authors = {each["author"]: each for each in found["authors"]}
    assert set(authors) == {"plain", "random", "asha"} and authors["plain"]["trials"] == 1
    best = max(t.score.value for t in session.history() if t.score and t.kind == "recipe")
    start = next(t.score.value for t in session.history() if t.id == "base")
    assert sum(each["gain"] for each in authors.values()) == pytest.approx(best - start)
    assert [each["round"] for each in found["rounds"]][:2] == [1, 2] and len(found["rounds"]) > 3
    assert all(sum(each["shares"].values()) == pytest.approx(1) for each in found["rounds"])
    text = report.to_text(bench.folder)
    assert "Who earned what" in text and "Rounds of the budget" in text
    assert {note["round"] for note in session.notes("round")} == {each["round"] for each in found["rounds"]}


class Waste:
    """Proposes one recipe for ever."""

    def propose(self, history, remaining):
        return Proposal(changes=data(maths_1=1.0), fidelity=0.5, author="waste")


def test_vetoes_are_in_the_ledger_and_a_proposal_vetoed_again_is_counted_once(bench, monkeypatch):
    real = team.Team._make
    monkeypatch.setattr(team.Team, "_make", lambda self, *who: Waste() if who[0] == "waste" else real(self, *who))
    session = bench.open(budget=Budget(seconds=120.0))
    found = search(session, team.Team(session.brief(), 0, ["waste", "random"], (team.Rules(session.brief()),)))["team"]
    notes = session.notes("veto")
    assert len(notes) > 4 and all(note["author"] == "waste" and note["rule"] == "duplicate" for note in notes)
    assert found["vetoes"]["count"] == 1 and found["vetoes"]["by_rule"] == {"duplicate": 1}
    assert found["vetoes"]["saved_seconds"] == pytest.approx(notes[0]["seconds"]) and notes[0]["seconds"] > 0
    assert found["vetoes"]["saved_tokens"] == 500
    text = " ".join(report.to_text(bench.folder).split())
    assert "Vetoes: 1" in text and "500 tokens" in text
    assert "it was tried" not in text and "t001" in report.to_markdown(bench.folder)
    assert sum(trial.proposal.author == "waste" for trial in session.history()) == 1


def test_a_search_of_one_agent_has_no_team(bench):
    session = bench.open(budget=Budget(seconds=60.0))
    assert "team" not in search(session, plugins.entry("agents", "asha")(session.brief(), 0))


def test_a_crashed_team_goes_on_as_one_that_was_never_interrupted(bench):
    session, agent = teamed(bench)
    session.begin()
    for _ in range(4):
        session.step(agent.propose(session.history(), session.remaining()))
    expected = agent.propose(session.history(), session.remaining())
    bench.crash()
    resumed = bench.resume()
    again = plugins.entry("agents", "team:asha,random")(resumed.brief(), 3)
    assert again.propose(resumed.history(), resumed.remaining()) == expected
