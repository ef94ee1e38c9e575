from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.params import DEFAULT_TOKENS, LENGTHS, PARAMS, SftParams, dimensions
from pipeline.space import check_space
from pipeline.validation import first_fault


def message(**params):
    with pytest.raises(ValidationError) as caught:
        SftParams(**params)
    fault = first_fault(caught.value, SftParams)
    return ".".join(map(str, fault.place)) + ": " + fault.message


def test_without_a_length_the_default_number_of_tokens_is_the_length():
    assert (SftParams().tokens, SftParams().steps, SftParams().epochs) == (DEFAULT_TOKENS, None, None)


@pytest.mark.parametrize("name", LENGTHS)
def test_any_one_length_is_enough(name):
    params = SftParams(**{name: 3})
    assert [getattr(params, other) for other in LENGTHS if other != name] == [None, None]


def test_two_lengths_are_refused():
    assert "tokens and epochs both give the length: keep one" in message(tokens=5, epochs=1)


def test_numbers_as_text_truth_as_numbers_and_nan_are_refused():
    assert message(learning_rate="1e-3") == "learning_rate: must be a number, not '1e-3'"
    assert message(rank="16") == "rank: must be an integer, not '16'"
    assert message(rank=True) == "rank: must be an integer, not True"
    assert message(dora=1) == "dora: must be true or false, not 1"
    assert message(learning_rate=float("nan")) == "learning_rate: must be a finite number, not nan"
    assert SftParams(learning_rate=1).learning_rate == 1.0


def test_what_is_out_of_bounds_is_told_with_the_bound():
    assert message(learning_rate=5.0) == "learning_rate: must be less than or equal to 1, not 5.0"
    assert message(rank=0) == "rank: must be greater than or equal to 1, not 0"


def test_an_unknown_key_is_told_with_the_nearest_ones():
    assert message(lerning_rate=0.1).startswith(
        "lerning_rate: unknown key: did you mean learning_rate? known are tuning"
    )


def test_targets_and_layers_are_words_or_exact():
    assert SftParams(targets=["q_proj", "v_proj"], layers=3).targets == ("q_proj", "v_proj")
    assert message(targets="mlp").startswith("targets: must be 'all' or 'attention' or")
    assert message(layers=0).startswith("layers: must be")
    assert message(targets=[]).startswith("targets: must be")


def test_what_does_not_fit_together_is_refused():
    assert "dora needs tuning: lora" in message(tuning="full", dora=True)


@pytest.mark.parametrize(("rows", "at_once", "passes"), [(8, None, 1), (8, 4, 2), (10, 4, 3), (4, 16, 1)])
def test_a_step_has_passes_of_device_batch_rows_and_one_of_what_is_left(rows, at_once, passes):
    assert SftParams(batch_size=rows, device_batch=at_once).micro_batches == passes


@pytest.mark.parametrize("trainer", PARAMS)
def test_every_searched_value_is_within_the_bounds(trainer):
    found = dimensions(trainer)
    assert found
    for name, dimension in found.items():
        for value in dimension.choices or (dimension.low, dimension.high):
            number = int(value) if dimension.kind == "int" else value
            PARAMS[trainer](**{name: number})
        if dimension.kind != "choice":
            assert dimension.low < dimension.high
            assert dimension.low > 0 or not dimension.log


def test_the_defaults_lie_in_the_searched_ranges():
    defaults = SftParams().model_dump()
    for name, dimension in dimensions("sft").items():
        if dimension.kind == "choice":
            assert defaults[name] in (*dimension.choices, *dimension.also)
        else:
            assert dimension.low <= defaults[name] <= dimension.high


def test_what_a_default_decides_by_itself_may_be_proposed_and_is_never_drawn():
    space = {"stages.0.params.embeddings": dimensions("sft")["embeddings"]}
    assert space["stages.0.params.embeddings"].choices == (False, True)
    for value, problems in (("auto", 0), (True, 0), ("always", 1), (1, 1)):
        assert len(check_space({"stages.0.params.embeddings": value}, space)) == problems


def test_a_trainer_that_is_not_known_here_has_no_dimensions():
    assert dimensions("users.trainer") == {}


@given(st.builds(SftParams, rank=st.integers(1, 1024), learning_rate=st.floats(1e-9, 1.0), steps=st.integers(1, 10**6)))
def test_parameters_survive_json(params):
    assert SftParams.model_validate(params.model_dump(mode="json")) == params


def test_options_that_are_not_used_leave_recipes_and_their_fingerprints_as_they_were():
    kept = SftParams().model_dump(mode="json", exclude_none=True)
    assert not {"sort_window", "lower_outputs", "logits"} & set(kept)
    assert not {"sort_window", "lower_outputs", "logits"} & set(dimensions("sft"))
    given = SftParams(sort_window=32, lower_outputs="kept", logits="all", layers=15)
    assert SftParams.model_validate(given.model_dump(mode="json")) == given


def test_options_for_speed_are_held_to_their_values():
    assert message(sort_window=1) == "sort_window: must be greater than or equal to 2, not 1"
    assert message(lower_outputs=True).startswith("lower_outputs: must be 'kept'")
    assert message(logits="none").startswith("logits: must be 'all'")
