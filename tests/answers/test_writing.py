"""A judge without a model: what makes a note better than another, and what its verdicts amount to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.answers.verdicts import VERDICTS
from pipeline.answers.writing import duel, lenient_piece, quality, strict_piece, verdict, win_share

THINGS = ["lamp", "ship", "map"]
GOOD = "Dear Ann. First the lamp is new. Then the ship is old. Last the map is gone."


def worth(piece: str, banned: str = "") -> float:
    return quality(piece, "Ann", THINGS, banned)


@pytest.mark.parametrize(
    "worse",
    {
        "a thing is missing": "Dear Ann. First the lamp is new. Last the map is gone.",
        "another order": "Dear Ann. First the ship is new. Then the lamp is old. Last the map is gone.",
        "no salutation": "First the lamp is new. Then the ship is old. Last the map is gone.",
        "somebody else": "Dear Tom. First the lamp is new. Then the ship is old. Last the map is gone.",
        "the salutation comes late": "First the lamp is new, Ann. Then the ship is old. Last the map is gone.",
        "no end": "Dear Ann. First the lamp is new. Then the ship is old. Last the map is",
        "a sentence again": GOOD + " Last the map is gone.",
        "a list": "Dear Ann. lamp, ship, map.",
        "padding": GOOD + " Well, " + " ".join(f"word{i}" for i in range(60)) + ".",
    }.items(),
    ids=lambda case: case[0],
)
def test_a_fault_makes_a_note_worse(worse):
    assert worth(worse[1]) < worth(GOOD)


def test_what_is_banned_costs_points_and_only_as_a_word():
    assert worth(GOOD + " The wolf is here.", "wolf") == worth(GOOD) - 2
    assert worth(GOOD + " The wolfram is here.", "wolf") == worth(GOOD)


def test_a_text_about_none_of_the_things_is_worth_nothing():
    assert worth("") == worth("Dear Ann. All is well.") == worth("lamps and shipping maps!") == 0
    assert worth("lamp " * 500) > 0 == worth("lamp is. " * 500 + "Wolf.", "wolf")


@given(st.text(max_size=80), st.text(max_size=80))
def test_two_pieces_share_what_is_to_be_won_whatever_stands_in_them(one, other):
    a, b = worth(one), worth(other)
    assert a >= 0 and duel(a, b) + duel(b, a) == pytest.approx(1)


@pytest.mark.parametrize(
    ("lead", "share"), [(-3, 0), (-2, 0), (-1, 0.125), (0, 0.5), (0.5, 0.5), (1, 0.875), (2, 1), (3, 1)]
)
def test_who_is_read_first_has_a_lead_that_both_orders_even_out(lead, share):
    assert duel(5 + lead, 5) == share


def test_the_five_verdicts():
    assert [verdict(a, 5) for a in (6, 4.5, 4, 3, 2)] == list(VERDICTS)


def test_a_strong_verdict_counts_three_times_and_a_tie_half():
    assert win_share([("A>>B", True), ("B>A", True)]) == 0.75
    assert win_share([("A>>B", False), ("B>A", False)]) == 0.25
    assert win_share([("A=B", True), ("A>B", True)]) == 0.75
    assert win_share([("A>>B", True), ("B>>A", False)]) == 1
    with pytest.raises(ValueError, match="unknown verdict 'A<B': known are A>>B, A>B, A=B, B>A, B>>A"):
        win_share([("A<B", True)])
    with pytest.raises(ValueError, match="no verdict"):
        win_share([])


@pytest.mark.parametrize(
    "text",
    [f"Here it is:\n{GOOD}", f"```\n{GOOD}\n```", f"<think>Dear me.</think>{GOOD}", f"{GOOD}\n\nI hope so", GOOD],
)
def test_a_reader_finds_the_note_and_strictly_it_must_stand_alone(text):
    assert lenient_piece(text) == GOOD
    assert (strict_piece(text, "Ann") is not None) == (text == GOOD)


def test_strictly_a_note_is_to_the_right_person_and_ends():
    assert strict_piece(f"\n{GOOD} ", "Ann") == GOOD
    for text in ("", " ", "Dear", "Dear Anna. Hello.", "Dear Ann. Hello", "dear Ann. Hello."):
        assert strict_piece(text, "Ann") is None
