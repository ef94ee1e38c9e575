"""A task's folder wherever a benchmark goes: agents, guards, lists, resuming; and what gains are measured against."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import benchmarks, report
from pipeline.admission import load_guards
from pipeline.inspection import inspect_source
from pipeline.types import ItemsKey

FAKE = ["--model", "base", "--benchmark", "./colours", "--executor", "pipeline.fakes:instant"]
SEARCH = ["search", *FAKE, "--budget", "1m", "--trials", "3", "--out", "run", "--json"]


def searched(command, *more):
    code, out, err = command(*SEARCH, *more)
    assert code == 0, err
    return json.loads(out)


@pytest.mark.parametrize("agent", ["plain", "random", "asha", "tpe", "portfolio", "portfolio_probe", "portfolio_first"])
def test_every_agent_searches_on_it(command, place, agent):
    found = searched(command, "--agent", agent)
    assert found["benchmark"] == "colours" and found["trials"]["scored"] >= 1 and found["trials"]["rejected"] == 0
    recipe = json.loads((place / "run" / "run.json").read_text())["request"]["recipe"]
    assert [each["name"] for each in recipe["stages"][0]["data"]] == ["colours"]


def test_a_team_searches_on_it(command, place):
    assert searched(command, "--agent", "team:asha,random")["trials"]["scored"] == 3


def test_a_run_goes_on_from_another_folder(command, place, monkeypatch):
    searched(command)
    monkeypatch.chdir("/")
    code, out, err = command("search", "--resume", place / "run", "--budget", "+1m", "--json")
    assert code == 0 and json.loads(out)["benchmark"] == "colours", err


def test_a_run_by_steps_mixes_its_source_with_others_of_the_catalogue(command, place):
    code, out, err = command("open", *FAKE, "--budget", "5m", "--data", "colours,maths_1", "--out", "run", "--json")
    assert code == 0 and [card["name"] for card in json.loads(out)["data"]] == ["colours", "maths_1"], err
    changes = {"stages.0.data": [{"name": "colours", "weight": 1.0}]}
    code, out, _ = command("step", "run", "--changes", json.dumps(changes), "--json")
    assert code == 0 and json.loads(out)["trial"]["state"] == "scored"
    changes = {"stages.0.data": [{"name": "elsewhere", "weight": 1.0}]}
    code, _, err = command("step", "run", "--changes", json.dumps(changes), "--json")
    assert code == 2 and "unknown data source 'elsewhere': known are colours, maths_1" in err


def test_lists_show_the_tasks_of_this_folder(command, place):
    (place / "broken").mkdir()
    (place / "broken" / "benchmark.yaml").write_text("name: [")
    for kind, name in (("benchmarks", "./colours"), ("data", "colours"), ("recipes", "./colours/recipe.yaml")):
        code, out, _ = command("list", kind, "--json")
        names = {row["name"]: row for row in json.loads(out)}
        assert code == 0 and names[name]["summary"]
    code, out, _ = command("list", "benchmarks")
    assert code == 0 and "./broken" in out and "cannot be read" in out


def verdicts():
    folder = str(Path("colours").absolute())
    benchmark = benchmarks.load_benchmark(folder)
    return inspect_source("colours", ItemsKey(folder=folder), benchmark, load_guards())


def test_the_contamination_guard_passes_what_was_written_and_refuses_final_rows_among_training_rows(place):
    assert all(verdict.ok for verdict in verdicts())
    train, final = (place / "colours" / "data" / f"{name}.jsonl" for name in ("train", "final"))
    train.write_text(train.read_text() + final.read_text().splitlines()[-1] + "\n")
    [refused] = [verdict for verdict in verdicts() if not verdict.ok]
    assert refused.guard == "contamination" and "1 row holds final benchmark items" in refused.reason


def test_final_rows_that_are_edited_are_looked_for_anew(place):
    assert all(verdict.ok for verdict in verdicts())
    train, final = (place / "colours" / "data" / f"{name}.jsonl" for name in ("train", "final"))
    row = json.loads(train.read_text().splitlines()[0])
    final.write_text(final.read_text() + json.dumps(row) + "\n")
    assert not all(verdict.ok for verdict in verdicts())


def test_a_task_that_is_changed_while_it_is_searched_on_flags_the_run(command, place):
    code, _, _ = command("open", *FAKE, "--budget", "5m", "--out", "run")
    utils = place / "colours" / "utils.py"
    utils.write_text(utils.read_text() + "\n# edited\n")
    code, out, _ = command("finish", "run", "--json")
    found = json.loads(out)
    assert code == 3 and found["flagged"] and "benchmark/utils.py was changed" in found["verdicts"][0]["reason"]


# ---------------------------------------------------------------- what the gain is measured against


def test_without_a_sibling_the_gain_in_points_is_the_headline(command, place):
    found = searched(command)
    assert found["fraction"] is None and "--reference" in found["fraction_why"] and found["reference"] is None
    points = found["gain_points"]
    assert points["low"] < points["value"] < points["high"] and found["resolved"] is True
    assert f"**{points['value']:+.1f}** points over the base" in (place / "run" / "report.md").read_text()
    assert "points over the base" in (place / "run" / "report.html").read_text()


def test_a_reference_model_is_measured_and_named(command, place):
    found = searched(command, "--reference", "instruct")
    assert found["reference"] == {"model": "instruct", "source": "measured"}
    assert 0 < found["fraction"]["value"] < 1.2 and found["scores"]["instruct"]["source"] == "measured"
    text = report.to_text(place / "run")
    assert "measured against instruct" in text and "fraction of the gain to the reference regained" in text
    assert "\n  reference " in text and "human gain" not in text


def test_a_known_score_is_a_reference_that_counts_as_exact(command, place):
    found = searched(command, "--reference", "0.93", "--reference-note", "published BERT result")
    assert found["reference"]["value"] == 0.93 and found["reference"]["note"] == "published BERT result"
    base, best, fraction, points = (
        *(found["scores"][role]["value"] for role in ("base", "best")),
        found["fraction"],
        found["gain_points"],
    )
    assert fraction["value"] == pytest.approx((best - base) / (0.93 - base))
    assert fraction["high"] - fraction["low"] < 1.3 * (points["high"] - points["low"]) / 100 / (0.93 - base)
    assert found["scores"]["instruct"] == {"value": 0.93, "stderr": 0.0, "n": None, "lenient": None, "source": "given"}
    for form in ("text", "md", "html"):
        told = " ".join(report.render(place / "run", form).split())
        assert "0.93 (published BERT result)" in told and "exact" in told
    assert "0.93" not in (place / "run" / "ledger.jsonl").read_text()  # it is no score of a model


def test_a_number_without_a_note_says_so(command, place):
    searched(command, "--reference", "0.93")
    assert "0.93 (no note says where it is from)" in report.to_text(place / "run")


def test_a_reference_that_is_no_better_than_the_base_gives_no_fraction(command, place):
    found = searched(command, "--reference", "0.01", "--reference-note", "a coin")
    assert found["fraction"] is None and "reference (0.010) is not above the base" in found["fraction_why"]


def test_a_task_that_could_not_be_learnt_is_unresolved_in_plain_words(command, place):
    from pipeline.fakes import fake_model

    fake_model(place / "base", 0.95)
    found = searched(command)
    assert found["resolved"] is False and "the result is the base" in found["resolved_why"]
    for form in ("text", "md", "html"):
        assert "Unresolved: nothing that was tried beats the base" in " ".join(
            report.render(place / "run", form).split()
        )


def test_arms_and_a_matrix_keep_their_reference(command, place):
    arms = [*SEARCH[:-3], "--trials", "1", "--control", "random", "--out", "arms", "--json"]
    code, out, err = command(*arms, "--reference", "0.93", "--reference-note", "known")
    assert code == 0 and json.loads(out)["fraction"] is not None, err
    matrix = [
        "search",
        *FAKE,
        "--benchmark",
        "tiny_gsm8k",
        "--budget",
        "1m",
        "--trials",
        "1",
        "--out",
        "several",
        "--json",
    ]
    code, out, err = command(*matrix, "--reference", "instruct")
    assert code == 0 and json.loads(out)["fraction"] is not None, err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--reference", "93"], "scores on colours lie between 0 and 1; write a percentage as a share, 0.93"),
        (["--reference", "93%"], "write a percentage as a share, such as 0.93"),
        (["--reference", "-0.5"], "lie between 0 and 1"),
        (["--reference", "nan"], "a finite number is needed"),
        (["--reference-note", "x"], "--reference-note: there is no number that it is about"),
        (["--reference", "instruct", "--reference-note", "x"], "is a model and is measured: omit the note"),
        (["--reference", "0.9", "--instruct", "instruct"], "both name what the gain is measured against"),
        (["--reference", "./nowhere"], "unknown model './nowhere'"),
        (["--reference", "0.9", "--anchors", "published"], "both say what the gain is measured against"),
        (["--reference", "0.9", "--benchmark", "tiny_gsm8k"], "one score cannot stand for 2 benchmarks"),
    ],
)  # fmt: skip
def test_a_reference_that_is_none_is_one_line(command, place, options, said):
    code, out, err = command(*SEARCH, *options)
    assert code == 2 and out == "" and said in err.strip().rpartition("\n")[2]
    assert not (place / "run").exists()


def test_a_resumed_run_keeps_its_reference(command, place):
    searched(command, "--reference", "0.93")
    code, _, err = command("search", "--resume", "run", "--reference", "0.5")
    assert code == 2 and "--reference with --resume: the run keeps what it was started with" in err


# ---------------------------------------------------------------- off target


def test_the_result_is_measured_on_other_tasks_outside_the_budget_and_told_in_every_form(command, place):
    found = searched(command, "--off-target", "tiny_gsm8k,tiny_bfcl")
    assert [row["benchmark"] for row in found["off_target"]] == ["tiny_gsm8k", "tiny_bfcl"]
    [row, _] = found["off_target"]
    bits, right = row["bits_per_byte"], row["accuracy"]
    assert row["n"] == 100 and bits["base"] == pytest.approx(40 * 0.95 / 10) and bits["best"] < bits["base"]
    assert bits["change"]["low"] <= bits["change"]["value"] < 0 < right["points"]["value"]
    assert "off-target scoring" in found["spend"]["outside_budget"] and found["spend"]["seconds"] <= 60
    for form in ("text", "md", "html"):
        assert "Off-target effect" in report.render(place / "run", form)


def test_a_result_that_is_the_base_has_no_off_target_effect(command, place):
    from pipeline.fakes import fake_model

    fake_model(place / "base", 0.95)
    assert "off_target" not in searched(command, "--off-target", "tiny_bfcl")


def test_finishing_again_measures_nothing_twice(command, place):
    searched(command, "--off-target", "tiny_bfcl")
    before = {path: path.stat().st_mtime_ns for path in (place / "run" / "off_target").rglob("outcome.json")}
    code, out, _ = command("search", "--resume", "run", "--budget", "+1m", "--json")
    assert code == 0 and len(before) == 2 and json.loads(out)["off_target"]
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("./colours", "is what is searched on, or named twice"),
        ("nothing", "unknown benchmark 'nothing'"),
        ("arenahardwriting", "it has no gold answers (scored by a judge): omit it"),
    ],
)
def test_what_cannot_be_measured_off_target_is_one_line(command, place, named, said):
    code, out, err = command(*SEARCH, "--off-target", named)
    assert code == 2 and out == "" and said in err.strip().rpartition("\n")[2] and not (place / "run").exists()
