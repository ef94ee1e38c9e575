"""A run's doors, from another process: the same as the session's own."""

from __future__ import annotations

import inspect
import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.fakes import ScriptedAgent, fake_model
from pipeline.owner.client import Client
from pipeline.owner.entrance import look
from pipeline.owner.reading import READ
from pipeline.request import News
from pipeline.search import search
from pipeline.session import Session
from pipeline.types import Budget, Proposal
from tests import runs
from tests.owner.visitors import served, visitor
from tests.runs import GOOD, RATE, WEAK, Bench

bench = runs.bench  # the fixture
DOORS = ("brief", "history", "trial", "budget", "remaining", "has_room", "progress", "propose")
DOORS += ("start", "wait", "step", "submit", "cancel", "finish")


@pytest.mark.parametrize("door", DOORS)
def test_client_and_session_have_the_same_doors(door: str) -> None:
    of_session, of_client = (list(inspect.signature(getattr(each, door)).parameters) for each in (Session, Client))
    assert of_session == of_client


def test_a_client_knows_what_the_session_knows(bench: Bench) -> None:
    session = bench.open(slots=2, budget=Budget(seconds=100.0, trials=5))
    session.step(GOOD)
    client = visitor(session)
    assert client.brief() == session.brief()
    assert client.history() == session.history() and client.trial("t001") == session.trial("t001")
    assert client.remaining() == session.remaining() and client.budget() == session.budget()
    assert client.has_room() and client.progress("t001") == session.progress("t001")


def test_a_client_steps_and_is_told_how_it_goes(bench: Bench) -> None:
    session, heard = bench.open(), list[News]()

    def step(client: Client) -> object:
        client.on_event = heard.append
        return client.step(GOOD)

    [trial] = served(session, step)
    assert trial.state == "scored" and trial.score == session.trial("t001").score
    assert all(news.what == "progress" for news in heard)


def test_what_the_guards_refuse_is_a_rejected_trial_for_a_client_too(bench: Bench) -> None:
    session = bench.open()
    [trial] = served(session, lambda client: client.step(Proposal(changes={RATE: 9.0})))
    assert trial.state == "rejected" and "must be from" in trial.verdicts[-1].reason


def test_clients_that_step_at_once_take_turns_where_there_is_one_slot(bench: Bench) -> None:
    session = bench.open()
    trials = served(session, *[lambda client: client.step(WEAK)] * 4)
    assert sorted(trial.id for trial in trials) == ["t001", "t002", "t003", "t004"]
    assert all(trial.state == "scored" for trial in trials)


def test_start_wait_and_cancel_are_doors_of_their_own(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    session = bench.open(slots=2, budget=Budget())
    session.begin()
    monkeypatch.setenv("POSTTRAIN_FAKE_SECONDS", "1e12")  # without a cancellation they would never end

    def drive(client: Client) -> list[str]:
        first, second = client.start(GOOD), client.start(WEAK)
        assert client.wait(0.01) is None
        client.cancel(second.id)
        ended = [client.wait()]
        client.cancel(first.id)
        ended += [client.wait(), client.wait()]
        return [f"{trial.id} {trial.state}: {trial.outcome.error}" if trial else "none" for trial in ended]

    assert served(session, drive)[0] == ["t002 failed: cancelled", "t001 failed: cancelled", "none"]


def test_a_start_that_nobody_waits_for_is_refused_where_no_slot_is_free(bench: Bench) -> None:
    session = bench.open()
    session.start(GOOD)
    with pytest.raises(InputError, match="all slots are busy: wait"):
        visitor(session).start(WEAK)  # refused by the owner's threads: the session serves nobody


@pytest.mark.parametrize(
    ("ask", "given", "problem"),
    [
        ("step", {"proposal": {"changes": {}, "fidelity": 7}}, "fidelity"),
        ("step", {"proposal": {"shell": "rm"}}, "shell"),
        ("step", {}, "proposal"),
        ("trial", {"trial": "t009"}, "unknown trial 't009'"),
        ("trial", {"trial": "../../sealed"}, "unknown trial"),
        ("progress", {"trial": 3}, "must be a text"),
        ("cancel", {"trial": "t009"}, "t009 is not running"),
        ("wait", {"trials": ["t009"]}, "unknown trial"),
        ("compare", {"a": "base", "b": "t009"}, "unknown trial"),
        ("submit", {"path": "here"}, "whole path"),
        ("salt", {}, "unknown request 'salt'"),
    ],
)
def test_wrong_requests_are_answered_with_what_is_wrong(bench: Bench, ask: str, given: dict, problem: str) -> None:
    session = bench.open()

    def call(client: Client) -> str:
        with pytest.raises(InputError) as caught:
            client.ask(ask, **given)
        return str(caught.value)

    assert problem in served(session, call)[0]
    assert session.step(GOOD).state == "scored"


# ---------------------------------------------------------------- beside a search


class Visited(ScriptedAgent):
    """Proposes what it was given; while it does, clients come by."""

    def __init__(self, session: Session, *proposals: Proposal) -> None:
        super().__init__(*proposals)
        self.session, self.left = session, list[Budget]()

    def propose(self, history, remaining):
        self.left.append(visitor(self.session).remaining())  # while the session's thread is in here
        return super().propose(history, remaining)


def test_questions_are_answered_while_the_agent_thinks(bench: Bench) -> None:
    session = bench.open()
    agent = Visited(session, GOOD, WEAK)
    search(session, agent)
    assert len(agent.left) == 3 and all(left.seconds > 50 for left in agent.left)


def test_a_client_that_waits_for_a_slot_gets_it_before_the_agent_does(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=1000.0))
    session.begin()
    client, own = visitor(session), Proposal(changes={RATE: 1e-3}, author="guest")
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(client.step, own)

        class Slow(ScriptedAgent):
            def propose(self, history, remaining):
                while len(history) == 4 and session.desk.is_empty:  # until the guest has come
                    pass
                return super().propose(history, remaining)

        search(session, Slow(*[WEAK] * 4))
        guest = future.result()
    assert guest.state == "scored" and guest.id <= "t003"  # it came before t002 at the latest; the agent wants four


def test_finish_ends_a_search_and_gives_its_report(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=1e6))
    client = visitor(session)
    with ThreadPoolExecutor(1) as threads:

        class Endless(ScriptedAgent):
            def propose(self, history, remaining):
                while len(history) == 5 and session.desk.is_empty:
                    pass
                return WEAK

        future = threads.submit(client.finish)
        report = search(session, Endless())
        assert future.result()["best_trial"] == report["best_trial"]
    ended = session.notes("search_ended")
    assert len(ended) == 1 and ended[0]["why"] == "its user finished it"


def test_nothing_is_started_while_a_run_is_finished(bench: Bench) -> None:
    session = bench.open()
    session.step(GOOD)
    client, late = visitor(session), list[Future]()
    with ThreadPoolExecutor(1) as threads:

        def come(news: News) -> None:
            if news.what == "final" and not late:  # chosen, and not scored yet
                late.append(threads.submit(client.step, WEAK))
                while session.desk.is_empty:
                    pass

        session.on_event = come
        assert session.finish()["best_trial"] == "t001"
        with pytest.raises(InputError, match="being finished"):
            late[0].result()


# ---------------------------------------------------------------- what is not told


def test_no_answer_tells_final_scores_the_salt_or_where_the_instruct_model_lies(bench: Bench) -> None:
    session = bench.open()
    session.step(GOOD)
    session.finish()
    session.note("extended", seconds=500.0, trials=0)  # it goes on: the final scores are in its ledger
    served(session, lambda client: client.step(WEAK))
    client, given = visitor(session), {"trial": "t001", "a": "t001", "b": "t002", "proposal": {}}
    takes = {"trial": ["trial"], "progress": ["trial"], "compare": ["a", "b"], "propose": ["proposal"]}
    answers = {ask: client.ask(ask, **{name: given[name] for name in takes.get(ask, [])}) for ask in READ}
    salt = (bench.folder / "sealed" / "salt").read_text()
    told = json.dumps(answers)
    assert salt not in told and session.request.instruct_path not in told and '"final"' not in told
    assert answers["report"]["scores"] == {"base": None, "base_few_shot": None, "instruct": None, "best": None}
    assert answers["report"]["fraction"] is None and answers["report"]["trials"]["scored"] == 2


def test_the_report_of_a_finished_run_is_told_whole(bench: Bench) -> None:
    session = bench.open()
    session.step(GOOD)
    report = session.finish()
    assert visitor(session).ask("report")["fraction"] == report["fraction"]
    assert "fraction of the human gain" in visitor(session).ask("report_text")


# ---------------------------------------------------------------- without an owner


def test_a_run_that_nobody_owns_can_be_looked_at(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=100.0, trials=3))
    session.step(GOOD)
    session.close()
    left = look(bench.folder).remaining()
    assert Client.find(bench.folder) is None and left.trials == 2 and left.seconds == pytest.approx(88, abs=0.1)


def test_after_a_kill_the_clock_has_stopped_with_the_owner(bench: Bench) -> None:
    session = bench.open()
    session.step(GOOD)
    session.listener.close()
    bench.crash()
    bench.time.pass_(1000)
    assert look(bench.folder).remaining().seconds > 80


def test_a_submission_by_a_client_is_scored(bench: Bench, tmp_path: Path) -> None:
    session = bench.open()
    made = fake_model(tmp_path / "made", 0.7)
    (made / "config.json").write_text("{}")
    [trial] = served(session, lambda client: client.submit(made, "by hand", "me"))
    assert trial.kind == "submission" and trial.score.value == pytest.approx(0.7, abs=0.1)
    assert trial.proposal.rationale == "by hand" and trial.outcome.labels == ("unverified",)
