"""Points of a rubric."""

from __future__ import annotations

import pytest

from pipeline.answers.rubrics import share_of_points

RUBRIC = [{"says": "a", "points": 3}, {"says": "b", "points": 1}, {"says": "c", "points": -6}]


@pytest.mark.parametrize(("said", "share"), [("", 0), ("a", 0.75), ("ab", 1), ("abc", -0.5), ("c", -1.5)])
def test_points_are_won_and_lost_and_counted_over_all_that_can_be_won(said, share):
    assert share_of_points(RUBRIC, [criterion["says"] in said for criterion in RUBRIC]) == share


@pytest.mark.parametrize("rubric", [[], [{"points": -1}]])
def test_a_rubric_without_points_to_win_is_an_error(rubric):
    with pytest.raises(ValueError, match="no criterion with points to win"):
        share_of_points(rubric, [True] * len(rubric))
