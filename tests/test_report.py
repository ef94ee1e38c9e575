"""Reports of finished, unfinished, flagged and damaged runs, in every format."""

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from pipeline import gain, report
from pipeline.errors import InputError, LedgerError
from pipeline.paths import read_jsonl, write_jsonl
from pipeline.reporting.blocks import Page, Table
from pipeline.reporting.plain import WIDTH, to_text
from pipeline.types import Verdict
from tests.made_runs import RIGHT, Made, N, finished

SCHEMA_KEYS = {
    "schema", "model", "benchmark", "metric", "agent", "seed", "protocol", "fraction", "fraction_why",
    "fraction_over_few_shot", "gain_points", "scores", "trials", "best_trial", "noise_floor", "controls", "spend",
    "verdicts", "flagged", "sealed", "final_looks", "strategies", "reference", "resolved", "resolved_why",
}  # fmt: skip


# ---------------------------------------------------------------- one run, as data


def test_the_report_of_a_finished_run_has_the_schema_and_the_numbers(tmp_path):
    finished(tmp_path)
    found = report.build_report(tmp_path)
    assert set(found) == SCHEMA_KEYS
    assert found["schema"] == 1 and found["model"] == "lab/qwen3-base" and found["metric"] == "exact answer"
    assert found["fraction"]["value"] == pytest.approx(415 / 475)
    assert set(found["fraction"]) == {"value", "low", "high", "confidence"}
    assert found["fraction_why"] is None
    assert found["fraction_over_few_shot"]["value"] == pytest.approx(365 / 425)
    assert found["gain_points"]["value"] == pytest.approx(83.0) and set(found["gain_points"]) == {
        "value",
        "low",
        "high",
    }
    assert found["scores"]["best"] == {
        "value": 0.85, "stderr": pytest.approx(0.016, abs=1e-3), "n": N, "lenient": pytest.approx(0.86),
        "source": "measured",
    }  # fmt: skip
    assert found["trials"] == {"scored": 4, "failed": 1, "rejected": 1, "pending": 0}
    assert found["best_trial"] == "t006" and found["final_looks"] == 1 and found["sealed"] and not found["flagged"]
    assert found["protocol"] == "own" and found["controls"] == []
    assert 0.02 < found["noise_floor"] < 0.06
    assert json.loads(report.render(tmp_path, "json")) == json.loads(json.dumps(found))


def test_the_interval_in_the_report_is_that_of_the_paired_items(tmp_path):
    finished(tmp_path)
    items = {role: (np.arange(N) < right).astype(float) for role, right in RIGHT.items()}
    expected = gain.fraction(items["best"], items["base"], items["instruct"]).interval
    assert report.build_report(tmp_path)["fraction"] == expected.model_dump()


def test_time_outside_the_budget_is_itemised_and_not_counted(tmp_path):
    finished(tmp_path)
    spend = report.build_report(tmp_path)["spend"]
    assert spend["seconds"] == pytest.approx(120.0) and spend["budget_seconds"] == 120.0
    assert spend["outside_budget"] == {"lab": 212.5, "base": 5.0}
    assert (spend["train_seconds"], spend["eval_seconds"]) == (48.0, 6.0)
    assert spend["overhead_seconds"] == pytest.approx(120 - 54)


def test_two_slots_share_the_clock(tmp_path):
    finished(tmp_path, slots=2)
    assert report.build_report(tmp_path)["spend"]["overhead_seconds"] == pytest.approx(120 - 54 / 2)


def test_a_flagged_run_counts_as_its_base_with_the_raw_value_beside_it(tmp_path):
    finished(tmp_path, flagged=True)
    found = report.build_report(tmp_path)
    assert set(found) == SCHEMA_KEYS | {"raw_fraction"}
    assert found["flagged"] and found["fraction"]["value"] == 0.0
    assert found["raw_fraction"]["value"] == pytest.approx(415 / 475)
    assert found["fraction_over_few_shot"]["value"] == pytest.approx(-50 / 425)
    assert found["gain_points"]["value"] == 0.0 and found["scores"]["best"]["value"] == 0.85
    text = report.to_text(tmp_path)
    assert "FLAGGED" in text and "3 final items in maths_9" in text and "0.874" in text


def test_a_later_verdict_of_a_guard_replaces_its_earlier_one(tmp_path):
    made = finished(tmp_path, flagged=True)
    made.note("verdict", 140, verdict=Verdict(guard="contamination", ok=True))
    assert not report.build_report(tmp_path)["flagged"]


def test_where_nothing_beats_the_base_the_result_is_the_base(tmp_path):
    made = Made(tmp_path)
    made.choose(None, unresolved=True)
    for role in ("base", "base_few_shot", "instruct"):
        made.final(role)
    found = report.build_report(tmp_path)
    assert (found["fraction"]["value"], found["fraction"]["low"], found["fraction"]["high"]) == (0.0, 0.0, 0.0)
    assert found["best_trial"] is None and found["scores"]["best"] == found["scores"]["base"]
    assert "best (the base)" in report.to_text(tmp_path) and "(unresolved)" in report.to_text(tmp_path)


@pytest.mark.parametrize(("right", "resolved"), [(14, False), (16, True), (4, True)])
def test_a_gain_is_resolved_where_the_exact_test_says_so_too(tmp_path, right, resolved):
    """Of 500 items the base has 10: four more are p = 0.125, six more p = 0.031, six less a loss beyond noise."""
    made = finished(tmp_path)
    made.final("best", right=right, look=2)
    found = report.build_report(tmp_path)
    assert found["resolved"] is resolved
    assert resolved or "p = 0.12" in found["resolved_why"]
    assert ("Worse than the base" in report.to_text(tmp_path)) == (right < 10)


def test_an_extended_run_uses_the_last_look_and_counts_both(tmp_path):
    made = finished(tmp_path)
    made.note("extended", 200, seconds=60.0, trials=0)
    for role in RIGHT:
        made.final(role, right=450 if role == "best" else None, look=2)
    found = report.build_report(tmp_path)
    assert found["final_looks"] == 2 and found["spend"]["budget_seconds"] == 180.0
    assert found["fraction"]["value"] == pytest.approx(440 / 475)
    assert "looked at 2 times" in report.to_text(tmp_path)


# ---------------------------------------------------------------- what is missing or wrong


def test_a_run_that_has_just_been_opened_has_a_report_that_says_what_is_missing(tmp_path):
    Made(tmp_path)
    found = report.build_report(tmp_path)
    assert set(found) == SCHEMA_KEYS
    assert found["fraction"] is None and found["fraction_why"].startswith("not finished, no final score yet of")
    assert found["scores"]["base"] is None and found["noise_floor"] is None and found["gain_points"] is None
    for form in report.FORMATS:
        assert "not finished" in report.render(tmp_path, form)


def test_a_run_in_flight_shows_its_pending_trial_and_the_time_so_far(tmp_path):
    made = Made(tmp_path)
    made.clock("runs", 0)
    made.trial("t001", 90, 20)
    made.trial("t002", 0, 40, state="pending")
    found = report.build_report(tmp_path)
    assert found["trials"]["pending"] == 1 and found["spend"]["seconds"] == pytest.approx(30.0)
    assert "0.300 at 20.0 s (t001)" in report.to_text(tmp_path)


def test_time_between_two_owners_does_not_count(tmp_path):
    made = Made(tmp_path)
    made.clock("runs", 0)
    made.clock("stops", 30)
    made.clock("runs", 1000)
    made.trial("t001", 90, 1020)
    made.clock("stops", 1030)
    assert report.build_report(tmp_path)["spend"]["seconds"] == pytest.approx(60.0)
    assert "0.300 at 50.0 s" in report.to_text(tmp_path)


def test_items_that_cannot_be_read_leave_a_wider_interval_and_say_so(tmp_path):
    made = finished(tmp_path)
    paired = report.build_report(tmp_path)["fraction"]
    (tmp_path / "sealed/final-1/instruct/items.jsonl").unlink()
    found = report.build_report(tmp_path)
    assert found["fraction"]["value"] == pytest.approx(paired["value"])
    assert found["fraction"]["high"] - found["fraction"]["low"] > paired["high"] - paired["low"]
    assert "not paired" in found["fraction_why"] and "cannot be read" in found["fraction_why"]
    assert str(made.folder) not in found["fraction_why"]


def test_items_that_contradict_the_ledger_give_no_fraction(tmp_path):
    finished(tmp_path)
    place = tmp_path / "sealed/final-1/best/items.jsonl"
    place.write_text(place.read_text().replace('"strict": 0.0', '"strict": 1.0'))
    found = report.build_report(tmp_path)
    assert found["fraction"] is None and "does not fit the ledger" in found["fraction_why"]


def test_models_scored_on_different_items_give_no_paired_fraction(tmp_path):
    finished(tmp_path)
    place = tmp_path / "sealed/final-1/best/items.jsonl"
    place.write_text(place.read_text().replace('"id": "f1"', '"id": "other"'))
    found = report.build_report(tmp_path)
    assert "was scored on other items" in found["fraction_why"] and found["gain_points"] is None


def test_an_instruct_model_within_noise_of_the_base_gives_null_and_the_reason(tmp_path):
    made = Made(tmp_path)
    made.choose("t001")
    for role in RIGHT:
        made.final(role, right=12 if role == "instruct" else None)
    found = report.build_report(tmp_path)
    assert found["fraction"] is None and "within noise" in found["fraction_why"]
    assert found["gain_points"]["value"] == pytest.approx(83.0)
    assert "No fraction: instruct - base" in report.to_text(tmp_path)


def test_a_run_without_an_instruct_model_says_that_one_is_needed(tmp_path):
    made = Made(tmp_path, instruct=None)
    made.choose("t001")
    for role in ("base", "base_few_shot", "best"):
        made.final(role)
    found = report.build_report(tmp_path)
    assert found["fraction"] is None and "--instruct" in found["fraction_why"]
    assert found["gain_points"]["value"] == pytest.approx(83.0)


def test_a_folder_that_is_no_run_and_a_broken_ledger_are_one_line_errors(tmp_path):
    with pytest.raises(InputError, match="no run"):
        report.render(tmp_path)
    with pytest.raises(InputError, match="no run folder"):
        report.build_report(tmp_path)
    finished(tmp_path / "run")
    ledger = tmp_path / "run" / "ledger.jsonl"
    ledger.write_text(ledger.read_text().replace("maths_3", "maths_4", 1))
    with pytest.raises(LedgerError, match="line"):
        report.build_report(tmp_path / "run")
    with pytest.raises(InputError, match="choose one of"):
        report.render(tmp_path / "run", "pdf")


# ---------------------------------------------------------------- one run, in words


def test_the_text_fits_a_terminal_and_says_what_a_reader_wants(tmp_path):
    finished(tmp_path)
    text = report.to_text(tmp_path)
    assert all(len(line) <= WIDTH for line in text.replace(str(tmp_path), "DIR").splitlines())
    assert text.isascii()
    for said in ("fraction of the human gain regained", "0.874 [0.8", "base, few-shot", "instruct", "lenient",
                 "best (t006)", "maths_3 75%, maths_1 25%", "4 scored, 1 failed, 1 rejected, 0 pending",
                 "120.0 s of 120.0 s", "outside: lab", str(tmp_path), "B)", "the budget is spent"):  # fmt: skip
        assert said in text


def test_the_curve_leaves_out_what_does_not_stop(tmp_path):
    finished(tmp_path)
    line = next(line for line in report.to_text(tmp_path).splitlines() if "(t001)" in line)
    assert line.strip() == "0.300 at 20.0 s (t001), 0.800 at 60.0 s (t003), 0.840 at 110.0 s (t006)"


def test_markdown_has_whole_tables_and_the_recipe(tmp_path):
    finished(tmp_path)
    lines = report.to_markdown(tmp_path).splitlines()
    assert lines[0] == "# lab/qwen3-base on tiny\\_gsm8k"
    tables = [line for line in lines if line.startswith("|")]
    assert (
        len({line.count("|") - line.count("\\|") for line in tables if "strict" in line or "few-shot |" in line}) == 1
    )
    assert any("loss is NaN after 30 steps" in line for line in tables)
    assert "```yaml" in lines and "  - {name: maths_3, weight: 3.0}" in lines


def test_the_page_is_self_contained_well_formed_and_draws_the_curve(tmp_path):
    finished(tmp_path)
    page = report.to_html(tmp_path)
    assert "http" not in page.replace("http-equiv", "") and "<script" not in page and "url(" not in page
    drawings = [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.S)]
    assert len(drawings) == 2
    curve = drawings[1]
    assert len(curve.findall("circle")) == 4
    assert [circle.get("class") for circle in curve.findall("circle")].count("dot hollow") == 1
    path = next(path.get("d") for path in curve.findall("path") if path.get("class") == "line")
    assert path.count("V") == 2
    heights = [float(y) for y in re.findall(r"V([\d.]+)", path)]
    assert heights == sorted(heights, reverse=True)


def test_names_from_outside_cannot_become_markup(tmp_path):
    finished(tmp_path, model="<script>alert(1)</script>", agent="a|b")
    assert "<script" not in report.to_html(tmp_path)
    markdown = report.to_markdown(tmp_path)
    assert "\\<script>" in markdown and "a\\|b" in markdown


def test_a_long_row_is_folded_into_its_column(tmp_path):
    made = Made(tmp_path)
    made.note("verdict", verdict=Verdict(guard="files", ok=False, reason="evals/tiny_gsm8k was changed " * 12))
    text = report.to_text(tmp_path)
    assert all(len(line) <= WIDTH for line in text.replace(str(tmp_path), "DIR").splitlines())
    assert text.count("evals/tiny_gsm8k was changed") >= 12


def test_seven_benchmarks_side_by_side_still_fit():
    cells = ("0.87 [0.84, 0.90]",) * 7
    grid = Table("Grid", (("HuggingFaceTB/SmolLM3-3B-Base", *cells),), ("", *("arenahardwriting",) * 7))
    text = to_text(Page("t", "", "", "", "", (grid,)))
    assert all(len(line) <= WIDTH for line in text.splitlines())
    assert "".join(text.split()).count("0.84,") == 7


def test_writing_leaves_three_files_and_the_same_again(tmp_path):
    finished(tmp_path)
    first = report.write_report(tmp_path)
    assert json.loads((tmp_path / "report.json").read_text()) == json.loads(json.dumps(first))
    assert (tmp_path / "report.md").is_file() and (tmp_path / "report.html").is_file()
    assert report.write_report(tmp_path) == first


# ---------------------------------------------------------------- who judged


def judged_run(folder, verdicts, **more):
    made = finished(folder, judge={"name": "openai:gpt-5-mini", "budget": 5.0, "final": 1.0, "trial": 0.1})
    for path in (folder / "sealed").rglob("items.jsonl"):
        extra = {"judge": "openai:gpt-5-mini", "verdicts": verdicts, "asked": 2, "kept": 0, "dollars": 0.001, **more}
        write_jsonl(path, [each | extra for each in read_jsonl(path)])
    return made


def test_a_judged_report_names_its_judge_and_how_far_it_can_be_believed(tmp_path):
    judged_run(tmp_path / "run", ["A>B", "A>B"], weight=1)
    found = report.build_report(tmp_path / "run")["judge"]
    assert (found["name"], found["budget"]) == ("openai:gpt-5-mini", 5.0)
    assert found["final"]["best"]["verdicts"] == 1000 and found["final"]["best"]["position_bias"] == 1.0
    text = report.to_text(tmp_path / "run")
    assert "judged by openai:gpt-5-mini" in text and "Judge of the final answers (openai:gpt-5-mini)" in text
    assert "flip with the order" in text and "100%" in text
    for form in ("md", "html"):
        assert "openai:gpt-5-mini" in report.render(tmp_path / "run", form)


def test_a_judge_of_criteria_has_no_order_to_flip_with(tmp_path):
    judged_run(tmp_path / "run", [True, None])
    text = report.to_text(tmp_path / "run")
    assert "unreadable" in text and "flip" not in text


def test_an_unjudged_report_names_no_judge(tmp_path):
    finished(tmp_path / "run")
    assert "judge" not in report.build_report(tmp_path / "run")
    assert "judged by" not in report.to_text(tmp_path / "run") and "Judge" not in report.to_text(tmp_path / "run")
