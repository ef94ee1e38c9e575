"""The score in a program's JSON: which number it is, how sure it is, and what is no score."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import metrics
from pipeline.errors import ProgramError
from pipeline.metrics import of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def test_the_named_metric_is_the_score():
    assert of({"loss": 2.0, "accuracy": 0.4, "stderr": 0.01}, "accuracy") == ("accuracy", 0.4, 0.01, None)


@pytest.mark.parametrize(
    "found, name",
    [
        ({"accuracy": 0.5}, "accuracy"),
        ({"stderr": 0.1, "n": 20, "wall_time": 3.0, "f1": 0.5}, "f1"),
        ({"model": "x", "ok": True, "exact": 0.5}, "exact"),
        ({"results": {"task": {"acc": 0.5}}, "config": {"seed": 3}}, "results.task.acc"),
        ({"by_theme": {"a": 0.1}, "accuracy": 0.5}, "accuracy"),
    ],
)
def test_without_a_name_the_first_number_that_can_be_a_score_is(found, name):
    assert of(found)[:2] == (name, 0.5)


def test_what_is_better_when_lower_counts_negatively():
    reading = of({"loss": 2.5, "loss_stderr": 0.2}, "-loss")
    assert (reading.metric, reading.value, reading.stderr) == ("-loss", -2.5, 0.2)


def test_a_path_of_keys_and_keys_with_commas_are_found_with_their_errors():
    found = {"results": {"gsm8k": {"exact_match,strict": 0.3, "exact_match_stderr,strict": 0.02}}}
    assert of(found, "results.gsm8k.exact_match,strict").stderr == 0.02


@pytest.mark.parametrize("count", ["n", "n_examples", "num_samples", "accuracy_n"])
def test_a_share_of_n_items_has_the_binomial_error(count):
    reading = of({"accuracy": 0.5, count: 100}, "accuracy")
    assert reading.n == 100 and reading.stderr == pytest.approx(0.05, abs=0.001)
    assert of({"accuracy": 0.0, count: 30}).stderr > 0.03  # none of 30 is not certainty


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_error_of_nothing_is_not_certainty(value):
    assert of({"accuracy": value, "stderr": 0.0, "n": 30}).stderr > 0.03
    assert of({"accuracy": value, "stderr": 0.0}, "accuracy").stderr is None


def test_an_error_that_is_told_counts_before_the_binomial_one():
    assert of({"accuracy": 0.5, "stderr": 0.2, "n": 100}).stderr == 0.2


@pytest.mark.parametrize(
    "beside",
    [{}, {"stderr": -1.0}, {"stderr": math.nan}, {"stderr": "0.1"}, {"n": 0}, {"n": 2.5}, {"n": math.inf}],
)
def test_what_is_not_told_is_not_known(beside):
    assert of({"accuracy": 0.5, **beside}, "accuracy")[2] is None


def test_no_binomial_error_is_made_up_for_what_is_no_share():
    assert of({"bleu": 31.5, "n": 100}) == ("bleu", 31.5, None, 100)


@pytest.mark.parametrize(
    "found, metric, why",
    [
        ([0.5], "", "no object of metrics, but a list"),
        ("0.5", "", "but text"),
        (None, "", "but null"),
        ({"a": "0.5"}, "", r"no number that can be a score \(numbers: none\)"),
        ({"n": 3, "time": 2.0}, "", r"\(numbers: n, time\): name one with --metric"),
        ({"a": "0.5"}, "a", "the metric a is text, not a number"),
        ({"a": True}, "a", "is true or false, not a number"),
        ({"a": 0.5}, "b", r"the metric b is not in the program's JSON \(numbers: a\)"),
        ({"a": math.nan}, "", "the program's a is nan"),
        ({"a": -math.inf}, "a", "is -inf"),
        ({"a": 10**400}, "a", "is inf"),
    ],
)
def test_what_is_no_score_is_said(found, metric, why):
    with pytest.raises(ProgramError, match=why):
        of(found, metric)


@given(JSON, st.sampled_from(["", "a", "-a", "n", "a.b"]))
def test_whatever_is_written_is_a_finite_score_or_said_to_be_none(found, metric):
    try:
        reading = of(found, metric)
    except ProgramError:
        return
    assert math.isfinite(reading.value) and (reading.stderr is None or 0 <= reading.stderr < math.inf)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"accuracy: 0.5"])
def test_what_is_not_json_is_said(tmp_path, content):
    (tmp_path / "m.json").write_bytes(content)
    with pytest.raises(ProgramError, match="is not JSON"):
        metrics.read(tmp_path / "m.json")


def test_a_file_that_is_not_there_or_holds_more_than_metrics_is_said(tmp_path, monkeypatch):
    with pytest.raises(ProgramError, match="wrote no JSON"):
        metrics.read(tmp_path / "m.json")
    (tmp_path / "m.json").write_text(json.dumps({"accuracy": 0.5}))
    assert metrics.read(tmp_path / "m.json").value == 0.5
    monkeypatch.setattr(metrics, "MOST_BYTES", 5)
    with pytest.raises(ProgramError, match="write the metrics alone"):
        metrics.read(tmp_path / "m.json")
