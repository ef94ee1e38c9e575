"""Runs take kept anchors: the same numbers as measuring them, without the time; what is one run's own is measured."""

from __future__ import annotations

import json
import stat

import pytest

from pipeline import anchors, finish, machine, rerun
from pipeline.errors import DataError
from pipeline.fakes import FakeExecutor, fake_model
from pipeline.paths import read_json, write_json
from pipeline.report import build_report, render
from pipeline.session import Session
from pipeline.types import ItemsKey
from tests import runs
from tests.runs import GOOD, Bench
from tests.test_anchors import HERE

bench = runs.bench
QWEN = "Qwen/Qwen3-1.7B-Base"
GSM8K_ROWS = [{"question": f"What is {i} + {i}?", "answer": f"It is {2 * i}.\n#### {2 * i}"} for i in range(40)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("POSTTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("POSTTRAIN_DATA_ROOT", str(tmp_path / "data"))
    monkeypatch.setattr(machine, "cached", lambda recheck=False: HERE)
    for split in ("train", "test"):
        path = tmp_path / "data" / "gsm8k" / f"{split}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "".join(json.dumps({**row, "question": f"{split}: {row['question']}"}) + "\n" for row in GSM8K_ROWS)
        )


def opened(bench: Bench, name: str, **changes) -> Session:
    bench.folder = bench.place / name
    return bench.open(**{"keeps_anchors": True} | changes)


def scores(report):
    return {role: score for role, score in report["scores"].items() if role != "best"}


def test_a_second_run_takes_the_first_one_s_search_anchors_and_no_time_for_them(bench):
    first = opened(bench, "one")
    first.begin()
    second = opened(bench, "two")
    second.begin()
    assert [job.id for job in bench.executor.started] == []
    assert first.clock.outside_seconds["anchors"] > 0 and "anchors" not in second.clock.outside_seconds
    assert second.history() == first.history() and len(second.history()) == 3
    for name in anchors.ROLES:
        for file in ("items.jsonl", "outcome.json", "job.json"):
            places = [bench.place / run / "trials" / name / file for run in ("one", "two")]
            assert places[0].read_text().replace("/one/", "/two/") == places[1].read_text()
    (note,) = second.notes("anchors_kept")
    assert note["role"] == "search" and set(note["measured_at"]) == set(anchors.ROLES)


def test_kept_anchors_leave_the_workers_imports_outside_the_budget_as_measured_ones_do(bench):
    opened(bench, "one").begin()
    session = opened(bench, "two")
    session.executor.import_seconds = 5.0
    session.begin()
    assert session.clock.outside_seconds["starting workers"] == 5.0 and session.clock.used() == 0.0


def test_the_report_is_the_same_as_with_measured_anchors(bench, monkeypatch):
    monkeypatch.setattr(finish, "sealed_key", lambda folder, request: ItemsKey())  # a fake's items hang on the salt
    reports = []
    for name in ("one", "two"):
        session = opened(bench, name, benchmark="gsm8k", sources=("maths_1", "maths_2", "maths_3"))
        session.step(GOOD)
        reports.append(session.finish())
    one, two = reports
    same = ("scores", "fraction", "fraction_over_few_shot", "gain_points", "best_trial", "noise_floor")
    assert {key: one[key] for key in same} == {key: two[key] for key in same}
    assert "anchors" not in two["spend"]["outside_budget"] and "anchors" not in one
    assert {split: set(found) for split, found in two["anchors"]["kept"].items()} == {
        "search": set(anchors.ROLES), "final": set(anchors.ROLES),
    }  # fmt: skip
    text = " ".join(render(bench.folder, "text").split())
    assert "search split: base, few-shot base, instruct model measured before (20" in text
    assert [job.id for job in bench.executor.started if job.id.startswith("final/")] == ["final/best", "final/export"]


def test_final_anchors_of_a_generated_benchmark_belong_to_the_run_and_those_of_a_set_are_private(bench):
    session = opened(bench, "one")
    session.step(GOOD)
    session.finish()
    assert {kept.score.role for kept in anchors.listing()} == {"search"}
    session = opened(bench, "two", benchmark="gsm8k")
    session.step(GOOD)
    session.finish()
    final = list((bench.place / "home" / "anchors").glob("gsm8k-final-*.jsonl"))
    assert len(final) == 3 and {stat.S_IMODE(path.stat().st_mode) for path in final} == {0o600}
    third = opened(bench, "three", benchmark="gsm8k")
    third.step(GOOD)
    third.finish()
    items = list((bench.folder / "sealed" / "final-1").glob("*/items.jsonl"))
    assert len(items) == 4
    kept = [path for path in items if path.parent.name in anchors.ROLES]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}


def test_another_model_or_other_items_are_measured(bench):
    opened(bench, "one").begin()
    opened(bench, "two", lab_seed=1).begin()
    assert len(bench.executor.started) == 3
    opened(bench, "three", model_path=str(fake_model(bench.place / "other", 0.1))).begin()
    assert sorted(job.id for job in bench.executor.started) == ["search/base", "search/base_few_shot"]


@pytest.mark.parametrize("changes", [{"keeps_anchors": False}, {"executor": "elsewhere"}], ids=str)
def test_a_run_that_keeps_no_anchors_or_scores_elsewhere_measures_them_and_leaves_none(bench, changes):
    opened(bench, "one", **changes).begin()
    assert anchors.listing() == []
    opened(bench, "two").begin()
    before = anchors.listing()
    opened(bench, "three", **changes).begin()
    assert len(bench.executor.started) == 3 and anchors.listing() == before and len(before) == 3


def test_a_kept_anchor_can_be_rerun_like_a_measured_one(bench):
    opened(bench, "one").begin()
    opened(bench, "two").begin()
    found = rerun.rerun(bench.folder, rerun.find(bench.folder, "base"), FakeExecutor())
    assert found["same"]


def test_a_missing_data_set_is_told_before_anything_is_scored(bench, tmp_path):
    session = opened(bench, "one", benchmark="gsm8k")
    (tmp_path / "data" / "gsm8k" / "train.jsonl").unlink()
    with pytest.raises(DataError, match="train.jsonl is missing: put a copy of openai/gsm8k there"):
        session.begin()
    assert bench.executor.started == []


# ---------------------------------------------------------------- published ones


def published_run(bench: Bench, **changes):
    session = bench.open(
        model=QWEN, instruct=f"{QWEN[:-5]}", instruct_path=None, benchmark="gsm8k", anchors="published", **changes
    )
    session.step(GOOD)
    return session.finish()


def test_a_run_told_to_use_published_anchors_measures_no_instruct_model_and_says_so(bench):
    report = published_run(bench)
    assert {job.id for job in bench.executor.started} == {
        "search/base", "search/base_few_shot", "t001", "final/best", "final/export",
    }  # fmt: skip
    assert {role: score["source"] for role, score in report["scores"].items()} == {
        "base": "published", "base_few_shot": "published", "instruct": "published", "best": "measured",
    }  # fmt: skip
    best = report["scores"]["best"]["value"]
    assert report["fraction"]["value"] == pytest.approx((best - 0.1266) / (0.8848 - 0.1266))
    assert "base and instruct are published; harnesses differ" in report["fraction_why"]
    assert report["anchors"]["published"]["used"] and report["gain_points"] is None
    text = " ".join(render(bench.folder, "text").split())
    assert "used for the fraction: base 0.127" in text and "instruct, published 0.885" in text
    assert "| instruct, published | 0.885" in (bench.folder / "final_model" / "README.md").read_text()


def test_a_base_that_stays_the_result_regains_nothing_of_the_published_gain(bench):
    session = bench.open(model=QWEN, instruct=QWEN[:-5], instruct_path=None, benchmark="gsm8k", anchors="published")
    report = session.finish()
    assert report["fraction"]["value"] == 0.0 and report["best_trial"] is None


def test_a_report_refuses_a_mixture_that_nobody_asked_for(bench):
    published_run(bench)
    path = bench.folder / "run.json"
    document = read_json(path)
    document["request"]["anchors"] = "measured"
    write_json(path, document)
    report = build_report(bench.folder)
    assert report["fraction"] is None and "--anchors published accepts that" in report["fraction_why"]


def test_what_is_published_stands_beside_measured_anchors_unused(bench):
    session = bench.open(model=QWEN, benchmark="gsm8k")
    session.step(GOOD)
    report = session.finish()
    assert report["anchors"] == {
        "published": {
            "source": "PostTrainBench v1 (arXiv 2603.08640; posttrainbench.com, scores.json)", "used": False,
            "base": 0.1266, "base_few_shot": 0.4668, "instruct": 0.8848,
        }
    }  # fmt: skip
    assert {score["source"] for score in report["scores"].values()} == {"measured"}
    assert "not used: harnesses differ" in " ".join(render(bench.folder, "text").split())
