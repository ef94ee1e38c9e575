"""What a proposal would cost is told from what trials showed."""

from __future__ import annotations

import pytest

from pipeline.types import Budget, Proposal
from tests import runs
from tests.runs import GOOD, RATE, Bench

bench = runs.bench  # the fixture


def test_nothing_is_run_or_recorded(bench: Bench) -> None:
    session = bench.open()
    session.begin()
    before, jobs = session.ledger.events(), len(bench.executor.started)
    assert session.propose(GOOD).ok and not session.propose(Proposal(changes={RATE: 9.0})).ok
    assert session.ledger.events() == before and len(bench.executor.started) == jobs


def test_a_refusal_says_what_would_be_right(bench: Bench) -> None:
    found = bench.open().propose(Proposal(changes={RATE: 9.0}))
    assert "must be from" in found.reason and found.recipe is None and found.tokens is None


def test_before_the_first_trial_the_price_is_said_not_to_be_known(bench: Bench) -> None:
    session = bench.open()
    session.begin()
    found = session.propose(GOOD)
    assert found.tokens == 1000 and found.train_seconds is None and found.fits is None and "not known" in found.note


def test_afterwards_it_is_what_trials_took(bench: Bench) -> None:
    session = bench.open()
    session.step(GOOD.model_copy(update={"fidelity": 0.5}))  # 5 s for 500 tokens, and 2 s of scoring
    found = session.propose(GOOD)
    assert found.tokens == 1000 and found.train_seconds == pytest.approx(10.0, abs=0.1) and found.fits
    assert found.beside_seconds == pytest.approx(2.2, abs=0.1)


def test_a_continuation_costs_the_rest_only(bench: Bench) -> None:
    session = bench.open()
    session.step(GOOD.model_copy(update={"fidelity": 0.4}))
    assert session.propose(Proposal(continues="t001", fidelity=1.0)).tokens == 600


def test_what_does_not_fit_the_time_left_is_told_so(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=15.0))
    session.step(GOOD.model_copy(update={"fidelity": 0.5}))
    found = session.propose(GOOD)
    assert found.ok and found.fits is False and "would be cut short; ask for less fidelity" in found.note


def test_full_slots_and_a_spent_budget_are_told(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=100.0, trials=1))
    session.start(GOOD)
    assert "all slots are busy" in session.propose(GOOD).note or "spent" in session.propose(GOOD).note
    session.wait()
    assert "the budget is spent" in session.propose(GOOD).note
