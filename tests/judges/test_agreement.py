"""Arithmetic on recorded verdicts: agreement, kappa, and what the order of answers does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.judges import agreement

LABELS = st.sampled_from(["A>>B", "A>B", "A=B", "B>A", "B>>A"])
# Two people's decisions on 50 proposals: both yes 20, both no 15, one yes 5, the other yes 10.
RECORDED = [(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15


def test_kappa_of_a_known_table():
    first, second = zip(*RECORDED, strict=True)
    assert agreement.agreement(first, second) == 0.7
    assert agreement.kappa(first, second) == pytest.approx(0.4)


def test_kappa_is_unknown_where_only_one_label_is_used():
    assert agreement.kappa(["A=B"] * 3, ["A=B"] * 3) is None and agreement.agreement(["A=B"] * 3, ["A=B"] * 3) == 1.0


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=30))
def test_kappa_is_symmetric_at_most_one_and_one_only_for_equal_verdicts(pairs):
    first, second = zip(*pairs, strict=True)
    found, other = agreement.kappa(first, second), agreement.kappa(second, first)
    if found is None:
        assert set(first) == set(second) and len(set(first)) == 1 and other is None
    else:
        assert found == pytest.approx(other) and found <= 1.0 + 1e-12
        assert (found > 1.0 - 1e-12) == (first == second)


def test_verdicts_that_do_not_pair_are_refused():
    for first, second in (([], []), (["A>B"], ["A>B", "A>B"])):
        with pytest.raises(InputError, match="do not pair"):
            agreement.kappa(first, second)


def test_a_pair_flips_if_another_answer_wins_in_the_other_order():
    pairs = [
        ("A>B", "A>B"),  # first the baseline, then the candidate: whatever stands first
        ("A>>B", "B>A"),  # the baseline twice
        ("A=B", "A>B"),  # a tie and the candidate
        ("B>A", "B>>A"),  # whatever stands second
        ("?", "A>B"),  # says nothing
    ]
    assert agreement.position_bias(pairs) == 2 / 4
    assert agreement.first_wins(pairs) == 5 / 8
    assert agreement.position_bias([("?", "?")]) is None and agreement.first_wins([("A=B", "?")]) is None


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=30))
def test_a_judge_that_only_looks_at_the_texts_has_no_position_bias(pairs):
    fair = [(mark, mark.translate(str.maketrans("AB", "BA"))) for mark, _ in pairs]
    fair = [(first, "A=B" if first == "A=B" else second) for first, second in fair]
    assert agreement.position_bias(fair) == 0.0
    assert agreement.first_wins(fair) in (None, 0.5)


def row(verdicts, **more):
    return {"judge": "j", "verdicts": verdicts, "asked": 1, "kept": 1, "dollars": 0.25, **more}


def test_facts_of_judged_results():
    rows = [row(["A>B", "A>B"], weight=2), row(["A>B", "?"], weight=2), row(["A=B", "A=B"], weight=2, asked=0, kept=0)]
    assert agreement.facts(rows) == {
        "judge": "j", "verdicts": 6, "asked": 2, "kept": 2, "unread": 1, "dollars": 0.75, "position_bias": 1.0,
        "first_wins": 1.0,
    }  # fmt: skip
    criteria = agreement.facts([row([True, None], dollars=None)])
    assert criteria["unread"] == 1 and criteria["dollars"] is None and "position_bias" not in criteria
    assert agreement.facts([{"strict": 1.0}]) is None and agreement.facts([]) is None
