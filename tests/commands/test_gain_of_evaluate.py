"""What `evaluate` tells of a gain: in points over the base, and as a fraction of what a reference gains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import evaluate as evaluation
from pipeline import machine, models
from pipeline.evaluate import Evaluation, summarise

HERE = machine.Machine(cores=1, memory_bytes=1, device="cpu", device_name="", dtype="float32", threads=1)
RIGHT = {"mine": 60, "base": 10, "other": 80}
ON = ["--benchmark", "tiny_gsm8k"]


@pytest.fixture
def run(command, tmp_path, monkeypatch):
    """`evaluate mine ...` where a model's score hangs on its folder's name alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "cached", lambda: HERE)
    for name in RIGHT:
        (tmp_path / name).mkdir()
    monkeypatch.setattr(models, "check", lambda name: None)
    monkeypatch.setattr(models, "resolve", lambda name, *_, **__: Path(name))
    monkeypatch.setattr(models, "folders", lambda names, *_: {role: Path(name) for role, name in names.items()})

    def scored(folder, benchmark, items, role, **_):
        found = [
            {
                "id": item["id"],
                "strict": float(at < RIGHT[Path(folder).name]),
                "lenient": 1.0,
                "stopped": True,
                "tokens": 3,
            }
            for at, item in enumerate(items[:100])
        ]
        return Evaluation(summarise(benchmark, found, role, 0), found, 1.0)

    monkeypatch.setattr(evaluation, "evaluate", scored)
    monkeypatch.setattr("pipeline.commands.terms.configured_as", lambda folders: None)
    for kept in ("score", "few_shot"):  # these folders are empty: nothing of theirs can be kept
        monkeypatch.setattr(f"pipeline.commands.anchored.Anchors.{kept}", lambda *_: None)
    return lambda *more: command("evaluate", "mine", *ON, *more)


def test_a_base_alone_gives_the_gain_in_points_and_says_why_there_is_no_fraction(run):
    code, out, err = run("--base", "base", "--json")
    found = json.loads(out)
    [points] = found["gain_points"]
    assert code == 0 and points["benchmark"] == "tiny_gsm8k" and points["value"] == pytest.approx(50.0), err
    assert points["low"] < 50 < points["high"] and found["fraction"] is None and "--reference" in found["fraction_why"]
    code, out, _ = run("--base", "base")
    assert "gain over the base, points  +50.0 [+" in out and "no fraction: no instruct model was named" in out


def test_a_known_score_gives_a_fraction_that_counts_it_as_exact(run):
    code, out, err = run("--base", "base", "--reference", "0.9", "--reference-note", "a paper", "--json")
    found = json.loads(out)
    assert code == 0 and found["fraction"]["value"] == pytest.approx(0.5 / 0.8), err
    assert found["reference"] == {"value": 0.9, "note": "a paper", "source": "given",
                                  "interval": found["reference"]["interval"]}  # fmt: skip
    assert "exact" in found["reference"]["interval"] and found["instruct"][0]["source"] == "given"
    code, out, _ = run("--base", "base", "--reference", "0.9", "--reference-note", "a paper")
    assert "reference, a paper" in out and "fraction of the gain to the reference  0.625" in out


def test_a_reference_model_is_scored_in_the_instruct_models_place(run):
    code, out, err = run("--base", "base", "--reference", "other", "--json")
    found = json.loads(out)
    assert code == 0 and found["fraction"]["value"] == pytest.approx(50 / 70), err
    assert found["reference"] == {"model": "other", "source": "measured"} and found["instruct"][0]["value"] == 0.8


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--reference", "0.9"], "--reference: the fraction needs the base, too: name it with --base"),
        (["--instruct", "other"], "--instruct: the fraction needs the base, too"),
        (["--base", "base", "--reference", "90"], "write a percentage as a share, 0.9"),
        (
            ["--base", "base", "--reference", "0.9", "--benchmark", "tiny_bfcl"],
            "one score cannot stand for 2 benchmarks",
        ),
        (["--base", "base", "--reference", "0.9", "--anchors", "published"], "published"),
        (["--base", "base", "--reference", "other", "--instruct", "other"], "give one"),
    ],
)
def test_what_cannot_be_compared_is_one_line(run, options, said):
    code, out, err = run(*options)
    assert code == 2 and out == "" and said in err.strip().rpartition("\n")[2]


def test_a_reference_within_noise_of_the_base_is_named_as_such(run):
    code, out, _ = run("--base", "base", "--reference", "0.11", "--json")
    found = json.loads(out)
    assert code == 0 and found["fraction"] is None and found["fraction_why"].startswith("reference - base = +0.010")
