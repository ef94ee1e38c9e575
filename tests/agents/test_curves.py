"""Learning curves: expected along the last line, at best along the steeper of two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.agents._curves import Curve, best_of, curve_of
from pipeline.types import Outcome, Proposal, Score, Trial


def curve(*points: tuple[float, float], error: float = 0.0) -> Curve:
    return Curve((), ((0.0, 0.0), *points), error)


def trial(name: str, fidelity: float, value: float | None, continues: str | None = None, stderr: float = 0.02) -> Trial:
    scores = (
        () if value is None else (Score(benchmark="b", metric="m", value=value, stderr=stderr, n=300, role="search"),)
    )
    outcome = Outcome(scores=scores, fidelity=fidelity)
    state = "failed" if value is None else "scored"
    return Trial(id=name, state=state, outcome=outcome, proposal=Proposal(continues=continues))


def test_a_curve_is_read_between_its_points_and_goes_on_as_it_last_went() -> None:
    found = curve((0.1, 0.3), (0.2, 0.5))
    assert found.expected(0.1) == pytest.approx(0.3) and found.expected(0.2) == pytest.approx(0.5)
    assert 0.3 < found.expected(0.15) < 0.5 < found.expected(0.3) < found.expected(0.9) < 1


def test_a_plateau_is_expected_to_go_on_and_a_fall_not_to() -> None:
    assert curve((0.1, 0.4), (0.3, 0.4)).expected(0.9) == pytest.approx(0.4)
    assert curve((0.1, 0.4), (0.3, 0.35)).expected(0.9) == pytest.approx(0.35)


def test_at_best_a_short_trial_rises_as_the_best_one_rose() -> None:
    seen = curve((0.03, 0.1), (0.09, 0.8))  # ever faster
    alike, slower = curve((0.03, 0.1)), curve((0.03, 0.05))
    assert alike.at_best(0.09, seen) == pytest.approx(0.8)
    assert slower.at_best(0.09, seen) < 0.8


def test_at_best_a_slow_start_overtakes_a_plateau() -> None:
    plateau = curve((0.03, 0.3), (0.1, 0.4), (0.3, 0.4))
    slow = curve((0.03, 0.1))
    assert slow.at_best(0.6, plateau) > plateau.expected(0.9)


def test_the_error_of_the_last_score_is_hoped_for_and_not_expected() -> None:
    sure, unsure = curve((0.1, 0.2)), curve((0.1, 0.2), error=0.05)
    assert unsure.at_best(0.2, sure) > sure.at_best(0.2, sure) == pytest.approx(sure.expected(0.2))
    assert unsure.expected(0.2) == sure.expected(0.2)


def test_a_chain_gives_a_curve_without_what_brought_no_progress() -> None:
    chain = [
        trial("t1", 0.1, 0.2),
        trial("t2", 0.3, 0.5, "t1"),
        trial("t3", 0.3, 0.6, "t2"),
        trial("t4", 0.9, None, "t2"),
    ]
    found = curve_of(chain)
    assert found and found.points == ((0.0, 0.0), (0.1, 0.2), (0.3, 0.5)) and found.trials[-1].id == "t2"
    assert curve_of([trial("t1", 0.1, None)]) is None


def test_a_score_without_spread_may_still_be_wrong() -> None:
    found = curve_of([trial("t1", 0.1, 0.0, stderr=0.0)])
    assert found and 0 < found.error < 0.01 and found.at_best(0.3, found) > 0


SCORES = st.lists(st.tuples(st.floats(0.001, 1.0), st.floats(0.0, 1.0)), min_size=1, max_size=5)


@given(SCORES, SCORES, st.floats(0.0, 1.0), st.floats(0.0, 2.0))
def test_whatever_was_scored_estimates_are_scores(
    points: list[tuple[float, float]], others: list[tuple[float, float]], error: float, length: float
) -> None:
    mine, seen = (curve(*sorted(dict(given).items()), error=error) for given in (points, others))
    assert 0 <= mine.expected(length) <= 1 and 0 <= mine.at_best(length, seen) <= 1
    assert best_of([mine, seen]).value == max(mine.value, seen.value)
