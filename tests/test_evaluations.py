"""What scoring a first trial may take, as the anchors tell it."""

from __future__ import annotations

import pytest

from pipeline import evaluations
from pipeline.types import Cost, Outcome, Trial


def anchor(name: str, seconds: float | None) -> Trial:
    outcome = None if seconds is None else Outcome(cost=Cost(seconds=seconds))
    return Trial(id=name, kind="anchor", state="scored" if outcome else "pending", outcome=outcome)


def test_before_the_first_trial_scoring_takes_a_tenth_more_than_the_instruct_models_did() -> None:
    history = [anchor("base", 6.5), anchor("base_few_shot", 13.5), anchor("instruct", 9.0)]
    assert evaluations.anchor_seconds(history) == pytest.approx([9.9])


def test_without_an_instruct_model_it_is_the_quickest_anchors() -> None:
    history = [anchor("base", 6.0), anchor("base_few_shot", 4.0), anchor("instruct", None)]
    assert evaluations.anchor_seconds(history) == pytest.approx([4.4])
    assert evaluations.anchor_seconds([Trial(id="t001")]) == []
