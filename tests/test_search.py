"""The search loop: an agent proposes, the session runs, until the budget is spent; then a report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from pipeline.agents import plain, random
from pipeline.fakes import FakeExecutor, ScriptedAgent
from pipeline.ledger import Ledger
from pipeline.request import News
from pipeline.search import MOST_REJECTIONS, search
from pipeline.session import Session
from pipeline.types import Budget, Proposal, Score, Trial
from tests import runs
from tests.runs import GOOD, RATE, WEAK, Bench

bench = runs.bench  # the fixture


def why(session: Session) -> str:
    return str(session.notes("search_ended")[-1]["why"])


def test_a_search_ends_when_the_agent_has_no_more_to_propose(bench: Bench) -> None:
    session = bench.open()
    report = search(session, ScriptedAgent(WEAK, GOOD))
    assert report["best_trial"] == "t002" and report["trials"]["scored"] == 2
    assert why(session) == "the agent has nothing more to propose"
    assert report == json.loads((bench.folder / "report.json").read_text())


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_a_search_fills_its_budget_and_ends_within_two_seconds_of_it(bench: Bench, slots: int) -> None:
    session = bench.open(slots=slots, budget=Budget(seconds=60.0))
    report = search(session, random.create(session.brief(), 7))
    assert 50 < report["spend"]["seconds"] <= 62
    assert report["trials"]["scored"] >= 3 * slots
    assert why(session) == "the budget is spent"


def test_an_agent_that_thinks_until_the_budget_is_spent_ends_its_search_in_order(bench: Bench) -> None:
    class Slow(ScriptedAgent):
        def propose(self, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
            bench.time.pass_(30.0)
            return super().propose(history, remaining)

    session = bench.open(budget=Budget(seconds=60.0))
    report = search(session, Slow(GOOD, WEAK, WEAK, WEAK))
    assert report["best_trial"] == "t001" and why(session) == "the budget is spent"


def test_what_an_agent_has_to_say_goes_into_the_ledger_and_to_whoever_watches(bench: Bench) -> None:
    class Talkative(ScriptedAgent):
        note = None

        def propose(self, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
            self.note("thought", "hm", about=len(history))  # type: ignore[misc]
            return super().propose(history, remaining)

    session, heard = bench.open(), list[News]()
    search(session, Talkative(GOOD), heard.append)
    assert [note["text"] for note in session.notes("thought")] == ["hm", "hm"]
    assert [news.text for news in heard if news.what == "agent"] == ["hm", "hm"]


def test_the_number_of_trials_ends_a_search(bench: Bench) -> None:
    session = bench.open(slots=2, budget=Budget(trials=3))
    assert search(session, random.create(session.brief(), 7))["trials"]["scored"] == 3


def test_slots_are_filled_while_others_run(bench: Bench) -> None:
    session = bench.open(slots=2, budget=Budget(seconds=100.0))
    most = 0

    class Watcher(ScriptedAgent):
        def propose(self, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
            nonlocal most
            most = max(most, sum(trial.state == "pending" for trial in history))
            return super().propose(history, remaining)

    search(session, Watcher(GOOD, WEAK, GOOD, WEAK))
    assert most == 1
    starts = [event["at"] for event in session.ledger.events() if event["kind"] == "started"][3:]
    assert starts[0] == starts[1] and starts[2] > starts[1]


def test_an_agent_may_wait_for_a_pending_trial_before_it_goes_on(bench: Bench) -> None:
    class Waits(ScriptedAgent):
        def propose(self, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
            return None if any(trial.state == "pending" for trial in history) else super().propose(history, remaining)

    session = bench.open(slots=2)
    assert search(session, Waits(GOOD, WEAK))["trials"]["scored"] == 2


def test_an_agent_that_is_only_ever_rejected_does_not_spin_forever(bench: Bench) -> None:
    class Stubborn:
        def propose(self, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
            return Proposal(changes={RATE: 99.0})

    session = bench.open()
    report = search(session, Stubborn())
    assert report["trials"]["rejected"] == MOST_REJECTIONS and report["best_trial"] is None
    assert why(session) == "20 proposals in a row were rejected"


def test_what_runs_beside_the_last_rejection_is_waited_for(bench: Bench) -> None:
    session = bench.open(slots=2)
    bad = [Proposal(changes={RATE: 99.0})] * MOST_REJECTIONS
    assert search(session, ScriptedAgent(GOOD, *bad))["best_trial"] == "t001"


def test_rejections_between_good_proposals_do_not_end_a_search(bench: Bench) -> None:
    session = bench.open(budget=Budget(trials=3))
    bad = [Proposal(changes={RATE: 99.0})] * 15
    assert search(session, ScriptedAgent(*bad, GOOD, *bad, WEAK))["trials"] == {
        "scored": 2,
        "failed": 0,
        "rejected": 30,
        "pending": 0,
    }


def test_watchers_hear_the_whole_story(bench: Bench) -> None:
    heard: list[News] = []
    search(bench.open(), ScriptedAgent(GOOD), heard.append)
    order = [news.what for news in heard if news.what != "progress"]
    assert order == ["anchor"] * 3 + ["started", "finished", "ended"] + ["final"] * 5
    assert "t001 scored" in next(news.text for news in heard if news.what == "finished")


def test_an_agent_that_has_something_to_say_writes_it_to_the_ledger_and_tells_whoever_watches(bench: Bench) -> None:
    class Talkative(ScriptedAgent):
        note = None

        def propose(self, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
            self.note("mood", figure=3)  # type: ignore[misc]
            self.note("mood", "it goes well", figure=len(history))  # type: ignore[misc]
            return super().propose(history, remaining)

    session, heard = bench.open(), []
    search(session, Talkative(GOOD), heard.append)
    assert [(note["text"], note["figure"]) for note in session.notes("mood")][:2] == [("", 3), ("it goes well", 3)]
    assert [news.text for news in heard if news.what == "agent"][:1] == ["it goes well"]


def test_an_interrupted_search_goes_on_with_what_the_agent_would_have_proposed(bench: Bench) -> None:
    rates = [1e-3, 2e-3, 4e-3, 5e-4]
    script = [Proposal(changes={RATE: rate}) for rate in rates]

    def interrupt(news: News) -> None:
        if news.what == "finished" and news.trial and news.trial.id == "t002":
            raise KeyboardInterrupt

    session = bench.open()
    with pytest.raises(KeyboardInterrupt), session:
        search(session, ScriptedAgent(*script), interrupt)
    resumed = bench.resume()
    assert search(resumed, ScriptedAgent(*script))["trials"]["scored"] == 4
    tried = [trial.proposal.changes[RATE] for trial in resumed.history() if trial.kind == "recipe"]
    assert tried == rates


def test_plain_tries_the_recipe_as_it_is_once_and_no_longer_than_the_budget(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=8.0))
    search(session, plain.create(session.brief(), 0))
    (trial,) = [trial for trial in session.history() if trial.kind == "recipe"]
    assert trial.proposal.changes == {} and trial.proposal.fidelity == 1.0
    assert trial.outcome is not None and trial.outcome.labels == ("cut short",)
    assert trial.outcome.fidelity == pytest.approx((8 - 2.42) / 10, abs=0.01)  # 2 s of scoring, and a tenth twice


def test_random_asks_for_a_fidelity_of_which_a_few_fit_the_budget(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=40.0), sources=("maths_1", "maths_2"))
    search(session, random.create(session.brief(), 3))
    shares = [t.proposal.fidelity for t in session.history() if t.kind == "recipe" and t.state == "scored"]
    assert shares[0] == 0.25 and shares[1] == pytest.approx((40 / 4 - 2) / 10)
    assert 3 <= len(shares) <= 6


# ---------------------------------------------------------------- real processes, real time

OWNER = """
import sys
from pathlib import Path
from pipeline import fakes
from pipeline.agents import random
from pipeline.search import search
from pipeline.session import Session
from pipeline.types import Budget

place, seconds = Path(sys.argv[1]), float(sys.argv[2])
request = fakes.fake_request(place, executor="pipeline.fakes", budget=Budget(seconds=seconds), slots=2)
with Session.open(place / "run", request) as session:
    search(session, random.create(session.brief(), 1), lambda news: print(news.what, flush=True))
"""


def own(place: Path, seconds: float) -> subprocess.Popen[str]:
    environment = os.environ | {"POSTTRAIN_FAKE_SECONDS": "0.5"}
    command = [sys.executable, "-c", OWNER, str(place), str(seconds)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def scores(trials: Sequence[Trial]) -> dict[str, tuple[Score, ...]]:
    return {trial.id: trial.outcome.scores for trial in trials if trial.state == "scored" and trial.outcome}


@pytest.mark.clock
def test_after_a_kill_nothing_scored_is_lost_the_used_time_counts_and_no_process_is_left(tmp_path: Path) -> None:
    owner = own(tmp_path, 60.0)
    assert owner.stdout is not None
    ends = 0
    while ends < 3:
        ends += owner.stdout.readline() == "finished\n"
    workers = [process.pid for process in psutil.Process(owner.pid).children(recursive=True)]
    owner.send_signal(signal.SIGKILL)
    killed_at = time.time()
    owner.wait()
    while any(psutil.pid_exists(pid) for pid in workers):
        assert time.time() - killed_at < 5.0, "a worker outlived its owner"
        time.sleep(0.05)
    scored = scores(Ledger(tmp_path / "run" / "ledger.jsonl").history())
    assert len([name for name in scored if name.startswith("t")]) >= 3
    time.sleep(1.0)
    with Session.resume(tmp_path / "run", executor=FakeExecutor(2)) as session:
        # A trial that ended while its owner died may be scored now too, ahead of a later one that was scored before.
        kept = scores(session.history())
        assert scored == {name: kept.get(name) for name in scored}
        begun = next(event["at"] for event in session.notes("clock") if event["state"] == "runs")
        assert killed_at - begun - 0.8 < session.clock.used() < killed_at - begun + 0.1
        assert not [trial for trial in session.history() if trial.state == "pending"]


@pytest.mark.clock
def test_a_search_on_the_wall_clock_ends_within_two_seconds_of_its_budget(tmp_path: Path) -> None:
    owner = own(tmp_path, 4.0)
    heard, began, ended = owner.stdout, 0.0, 0.0
    assert heard is not None
    for line in heard:
        began = began or (time.time() if line == "started\n" else 0.0)
        ended = time.time() if line == "ended\n" else ended
    assert owner.wait() == 0
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert 3.0 < report["spend"]["seconds"] <= 6.0
    assert ended - began <= 6.0
    assert report["trials"]["scored"] >= 4


def test_a_searching_process_imports_no_heavy_library() -> None:
    modules = "pipeline.search, pipeline.rerun, pipeline.fakes, pipeline.agents.random, pipeline.executors.local"
    heavy = "{'torch', 'transformers', 'trl', 'peft', 'lm_eval', 'datasets', 'ray'}"
    code = f"import sys, {modules}; sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr == ""
