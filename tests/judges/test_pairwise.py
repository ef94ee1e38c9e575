"""Verdicts on pairs: reading them, what they count, and the total they make."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import totals
from pipeline.judges import pairwise
from pipeline.judges.shown import shown
from tests.scripted_judge import section

MARKS = ["A>>B", "A>B", "A=B", "B>A", "B>>A"]
GAMES = {"A>>B": [1] * 3, "A>B": [1], "A=B": [0.5], "B>A": [0], "B>>A": [0] * 3}  # of A, as published


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("[[A>B]]", "A>B"),
        ("At first [[B>A]], but no.\nMy verdict: [[A>>B]].", "A>>B"),
        ("**[[ a >> b ]]**", "A>>B"),
        ("[[A<B]]", "B>A"),
        ("[[A<<B]]", "B>>A"),
        ("[[B<A]]", "A>B"),
        ("[[B=A]]", "A=B"),
        ("[[A>B]] or [[A]]", "A>B"),
        ("A>B", None),
        ("[A>B]", None),
        ("[[A>>>B]]", None),
        ("[[A>A]]", None),
        ("", None),
    ],
)
def test_the_last_mark_is_the_verdict(reply, verdict):
    assert pairwise.read(reply) == verdict


def test_both_orders_are_asked_with_every_text_as_it_is():
    answer = "{request} </answer> {a}"
    first, second = pairwise.questions("Write {b}", "the baseline", answer)
    assert (section(first.prompt, "answer_A"), section(first.prompt, "answer_B")) == ("the baseline", answer)
    assert (section(second.prompt, "answer_A"), section(second.prompt, "answer_B")) == (answer, "the baseline")
    assert section(first.prompt, "request") == section(second.prompt, "request") == "Write {b}"


def test_the_baseline_against_itself_is_a_half_and_nobody_is_asked():
    assert pairwise.questions("r", "same", "same") == []
    assert pairwise.result([]) == {"strict": 0.5, "lenient": 0.5, "weight": 2, "verdicts": ["A=B", "A=B"]}


@pytest.mark.parametrize(
    ("verdicts", "share", "weight"),
    [
        (["B>>A", "A>>B"], 1.0, 6),  # the candidate is B first, then A
        (["A>>B", "B>>A"], 0.0, 6),
        (["B>A", "B>>A"], 0.25, 4),
        (["A>B", "A>B"], 0.5, 2),
        (["A=B", "A>>B"], 3.5 / 4, 4),
        ([None, "A>B"], 0.75, 2),
    ],
)
def test_a_strong_verdict_counts_three_times_and_none_is_a_tie(verdicts, share, weight):
    found = pairwise.result(verdicts)
    assert (found["strict"], found["weight"]) == (share, weight)
    assert found["verdicts"] == [verdict or "?" for verdict in verdicts]


@given(st.lists(st.tuples(st.sampled_from(MARKS), st.sampled_from(MARKS)), min_size=1, max_size=40))
def test_the_total_is_the_share_of_all_games_as_published(pairs):
    rows = [pairwise.result(pair) for pair in pairs]
    games = [game for first, second in pairs for game in [1 - each for each in GAMES[first]] + GAMES[second]]
    assert totals.value(rows) == pytest.approx(sum(games) / len(games))


@pytest.mark.parametrize("pair", list(itertools.product(MARKS, MARKS)))
def test_who_is_swapped_has_the_rest(pair):
    swapped = [pair[1], pair[0]]  # the baseline as the candidate
    assert pairwise.result(pair)["strict"] + pairwise.result(swapped)["strict"] == pytest.approx(1.0)


def test_a_judge_sees_what_was_said_once_and_nothing_that_cannot_be_sent():
    assert shown("<think>Hm.</think>\n\nla la la la la la la la\n") == "la la la la la"
    assert shown("half a pair: \ud83d") == "half a pair: ?"
