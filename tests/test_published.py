"""Published anchors: one copy, equal to their source, never mixed with measured scores unasked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline import benchmarks, published
from pipeline.errors import InputError
from pipeline.gain import weighted_average
from pipeline.noise import binomial_error
from pipeline.paths import share
from pipeline.types import Score

REFERENCE = json.loads((Path(__file__).parent / "reference" / "posttrainbench_anchors.json").read_text())["scores"]
PUBLISHED = [name for name in benchmarks.names() if benchmarks.load_benchmark(name).anchors]
QWEN = "Qwen/Qwen3-1.7B-Base"
GSM8K = benchmarks.load_benchmark("gsm8k")


def score(source: str) -> Score:
    return Score(benchmark="gsm8k", metric="m", value=0.5, stderr=0.1, n=9, role="final", source=source)


def test_the_big_benchmarks_have_published_anchors():
    assert {"aime2025", "gpqamain", "gsm8k", "humaneval"} <= set(PUBLISHED)
    assert set(PUBLISHED) <= set(REFERENCE["base"][QWEN])


@pytest.mark.parametrize("name", PUBLISHED)
def test_they_are_the_source_s_numbers_in_the_unit_interval(name):
    anchors = benchmarks.load_benchmark(name).anchors
    assert set(anchors.models) == set(REFERENCE["base"])
    assert "arXiv 2603.08640" in anchors.source and anchors.n and anchors.note.endswith(".")
    for model, scores in anchors.models.items():
        for role in published.ROLES:
            assert getattr(scores, role) == pytest.approx(REFERENCE[role][model][name] / 100, abs=1e-9)


@pytest.mark.parametrize(
    "path", sorted((share("evals") / "protocols").glob("posttrainbench*.yaml")), ids=lambda p: p.stem
)
def test_a_protocol_refers_to_them_and_they_give_its_published_averages(path):
    protocol = yaml.safe_load(path.read_text())
    assert "anchors" not in protocol and sum(protocol["weights"].values()) == pytest.approx(1.0)
    assert set(PUBLISHED) >= {name for name in protocol["weights"] if name in benchmarks.names()}
    loaded = {name: benchmarks.load_benchmark(name) for name in protocol["weights"]}
    for role, by_model in REFERENCE.items():
        used = {
            model: {name: 100 * published.scores(each, model)[role].value for name, each in loaded.items()}
            for model in by_model
        }
        assert round(weighted_average(used, protocol["weights"]), 1) == protocol["averages"][role]


def test_a_published_score_is_marked_and_carries_its_binomial_error():
    found = published.scores(GSM8K, QWEN)
    assert {role: each.value for role, each in found.items()} == {
        "base": 0.1266, "base_few_shot": 0.4668, "instruct": 0.8848,
    }  # fmt: skip
    base = found["base"]
    assert (base.source, base.n, base.role, base.benchmark) == ("published", 1319, "final", "gsm8k")
    assert base.stderr == pytest.approx((0.1266 * 0.8734 / 1319) ** 0.5, rel=0.01)
    assert published.scores(GSM8K, "lab/qwen3-base") == {}
    assert published.scores(benchmarks.load_benchmark("tiny_gsm8k"), QWEN) == {}


@given(st.floats(0, 1), st.integers(1, 5000))
def test_no_published_score_is_taken_for_certain(value, n):
    assert 0 < binomial_error(value, n) <= 0.5 / n**0.5 + 1e-12


def test_what_is_not_published_is_named_with_what_is():
    with pytest.raises(InputError, match="nothing is published for benchmark 'tiny_gsm8k'; use --anchors measured"):
        published.require(benchmarks.load_benchmark("tiny_gsm8k"), QWEN)
    with pytest.raises(InputError, match="--base lab/qwen3-base on gsm8k; published are Qwen/Qwen3-1.7B-Base, "):
        published.require(GSM8K, "lab/qwen3-base")
    with pytest.raises(InputError, match="is Qwen/Qwen3-1.7B's, not Qwen/Qwen3-4B's"):
        published.require(GSM8K, QWEN, "Qwen/Qwen3-4B", "Qwen/Qwen3-1.7B")
    assert published.require(GSM8K, QWEN, "Qwen/Qwen3-1.7B", "Qwen/Qwen3-1.7B") == published.scores(GSM8K, QWEN)


def test_a_part_of_a_benchmark_has_nothing_published():
    assert benchmarks.load_benchmark("bfcl_ast:parallel").anchors is None


def test_a_mixture_is_refused_unless_told_and_the_flag_is_named():
    mixture = [score("measured"), score("published")]
    with pytest.raises(InputError, match="--anchors published accepts that"):
        published.refuse_mixed(mixture, told=False)
    published.refuse_mixed(mixture, told=True)
    for source in ("measured", "published"):
        published.refuse_mixed([score(source)] * 3, told=False)


@pytest.mark.parametrize(
    ("anchors", "said"),
    [
        (
            "{source: x, models: {a/b: {base: 12.66, instruct: 0.9}}}",
            "anchors.models.a/b.base: must be less than or equal to 1, not 12.66",
        ),
        ("{source: x, models: {}}", "anchors.models"),
        ("{source: x, models: {a/b: {base: 0.1}}}", "anchors.models.a/b.instruct: is missing"),
        ("{models: {a/b: {base: 0.1, instruct: 0.9}}}", "source"),
        ("{source: x, n: 0, models: {a/b: {base: 0.1, instruct: 0.9}}}", "anchors.n"),
    ],
)
def test_wrong_anchors_are_one_line_that_names_the_key(tmp_path, anchors, said):
    folder = tmp_path / "mine"
    folder.mkdir()
    text = (share("evals") / "tiny_gsm8k" / "benchmark.yaml").read_text().replace("name: tiny_gsm8k", "name: mine")
    (folder / "benchmark.yaml").write_text(f"{text}anchors: {anchors}\n")
    with pytest.raises(InputError, match="^[^\n]*$") as caught:
        benchmarks.load_benchmark(folder)
    assert said in str(caught.value)


@pytest.mark.parametrize("n", [1, 30, 1319])
def test_items_that_are_all_alike_are_not_certain(n):
    alike = Score(benchmark="gsm8k", metric="exact match", value=0.0, stderr=0.0, n=n, role="final")
    value, error = published.with_error(alike)
    assert value == 0.0 and error == binomial_error(0.0, n) > 0.5 / (n + 4)
    assert published.with_error(alike.model_copy(update={"value": 0.5, "stderr": 0.1})) == (0.5, 0.1)
