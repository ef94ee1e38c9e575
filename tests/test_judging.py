"""The judge of a run: what its trials may spend, what is set aside, and how jobs hear of it."""

from __future__ import annotations

import json

import pytest

from pipeline import asking, judging
from pipeline.errors import InputError
from pipeline.judging import JudgePlan
from pipeline.paths import read_json, write_json
from pipeline.session import Session
from pipeline.types import Budget, Judge
from tests.runs import GOOD, Bench, bench  # noqa: F401 (a fixture)

PLAN = JudgePlan(name="openai:gpt-5-mini", budget=10.0, final=4.0, trial=1.0)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "very-secret")


@pytest.fixture
def health(tmp_path, monkeypatch):
    """HealthBench with forty conversations."""
    monkeypatch.setenv("POSTTRAIN_DATA_ROOT", str(tmp_path / "data"))
    rubrics = [{"criterion": "Says so.", "points": 5, "tags": ["axis:completeness"]}]
    talk = [{"role": ("user", "assistant")[turn % 2], "content": f"turn {turn}"} for turn in range(4)]
    rows = [
        {"prompt_id": f"p{i}", "prompt": [*talk, {"role": "user", "content": f"last {i}"}], "rubrics": rubrics}
        for i in range(40)
    ]
    path = tmp_path / "data" / "healthbench" / "healthbench.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(json.dumps(row) for row in rows))


def test_what_the_final_scoring_needs_is_not_for_trials(tmp_path):
    search, final = (judging.judge_for(PLAN, tmp_path, role) for role in ("search", "final"))
    assert (search.budget, final.budget) == (5.0, 10.0)
    assert search.purse == final.purse == str(tmp_path / "judge-spent.json")
    assert judging.judge_for(None, tmp_path, "search") is None
    assert judging.judge_for(JudgePlan(name="openai"), tmp_path, "search").budget is None


def test_trials_go_on_while_one_more_can_be_judged(tmp_path):
    left = []
    for spent in (0.0, 3.5, 4.5, 11.0):
        write_json(tmp_path / "judge-spent.json", {"dollars": spent})
        left.append(judging.dollars_left(PLAN, tmp_path))
    assert left == [5.0, 1.5, 0.0, 0.0]
    assert judging.dollars_left(JudgePlan(name="openai"), tmp_path) is None


def test_a_job_names_the_judge_and_no_key_is_written(bench: Bench):  # noqa: F811
    session = bench.open(judge=PLAN)
    trial = session.start(GOOD)
    assert bench.job(trial.id)["judge"] == {
        "name": PLAN.name,
        "budget": 5.0,
        "purse": str(bench.folder / judging.PURSE),
    }
    anchor = read_json(bench.folder / "trials" / "base" / "job.json")
    assert anchor["judge"] == bench.job(trial.id)["judge"] and anchor["scorer"] is None
    session.wait()
    session.finish()
    final = read_json(bench.folder / "sealed" / "final-1" / "base" / "job.json")
    assert final["judge"]["budget"] == 10.0
    written = [path.read_bytes() for path in bench.folder.rglob("*") if path.is_file()]
    assert not [text for text in written if b"very-secret" in text]


def test_a_search_ends_when_its_judge_s_budget_is_spent(bench: Bench):  # noqa: F811
    session = bench.open(judge=PLAN)
    session.step(GOOD)
    assert session.has_room() and session.remaining().dollars == 5.0
    write_json(bench.folder / judging.PURSE, {"dollars": 4.5})
    assert not session.has_room()
    with pytest.raises(InputError, match="the budget is spent"):
        session.start(GOOD)


def test_a_run_is_not_gone_on_with_where_its_judge_s_key_is_missing(bench: Bench, monkeypatch):  # noqa: F811
    bench.open(judge=PLAN).close()
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(InputError, match="set OPENAI_API_KEY"):
        Session.resume(bench.folder)


def asked(**more):
    mine = {"model": "lab/qwen3-base", "benchmark": "healthbench", "recipe": "lora_default"}
    return asking.Asked(**mine, budget=Budget(seconds=9.0), **more)


def test_a_judged_run_needs_a_judge_and_another_takes_none(health):
    with pytest.raises(InputError, match="benchmark 'healthbench' is scored by a judge and none is given"):
        asking.check(asked())
    asking.check(asked(judge=Judge(name="openai")))
    with pytest.raises(InputError, match="nothing is judged in tiny_gsm8k"):
        asking.check(asked(judge=Judge(name="openai")).model_copy(update={"benchmark": "tiny_gsm8k"}))


def test_a_budget_that_pays_for_no_trial_is_refused_before_anything_is_built(health):
    def refuse(model, lab_seed):
        raise AssertionError("built before the price was looked at")

    with pytest.raises(InputError, match=r"one trial and the final models costs about \$0\.\d+, more than \$0\.01"):
        asking.to_request(asked(judge=Judge(name="openai", budget=0.01)), refuse)
