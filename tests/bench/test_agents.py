"""`bench agents`: ordinary runs, interleaved, resumable; the table is rewritten after every run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline import report
from pipeline.asking import Asked
from pipeline.bench import agents, agents_table, results
from pipeline.errors import InputError
from pipeline.fakes import fake_model
from pipeline.lock import Lock
from pipeline.reporting.plain import to_text
from pipeline.types import Budget
from tests.variants import few

FAKE: dict[str, Any] = {"executor": "pipeline.fakes", "budget": Budget(seconds=60.0, trials=2)}


def nobody(name: str) -> Any:
    return lambda news: None


def resolve(name: str, lab_seed: int) -> Path:
    return Path(name)


@pytest.fixture
def asked(tmp_path, monkeypatch) -> Asked:
    """A base and its instruct sibling that only pretend, as do the trials."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setenv("POSTTRAIN_FAKE_SECONDS", "0.05")
    for name, score in (("base", 0.05), ("instruct", 0.9)):
        fake_model(tmp_path / name, score)
        (tmp_path / name / "config.json").write_text('{"architectures": ["Qwen3ForCausalLM"]}')
    return Asked(model=str(tmp_path / "base"), instruct=str(tmp_path / "instruct"), benchmark="tiny_gsm8k", **FAKE)


def plan(asked: Asked, out: Path, names: tuple[str, ...] = ("random", "plain"), seeds: int = 2) -> agents.Plan:
    return agents.Plan(out, (asked,), names, tuple(range(seeds)))


def test_arms_are_interleaved_by_seed_and_cell(asked, tmp_path):
    other = asked.model_copy(update={"benchmark": "tiny_bfcl"})
    both = agents.Plan(tmp_path / "out", (asked, other), ("asha", "plain"), (3, 4))
    folders = [str(arm.folder.relative_to(tmp_path / "out")) for arm in both.arms()]
    assert folders[:5] == [
        "base-tiny_gsm8k/arms/asha-3",
        "base-tiny_gsm8k/arms/plain-3",
        "base-tiny_bfcl/arms/asha-3",
        "base-tiny_bfcl/arms/plain-3",
        "base-tiny_gsm8k/arms/asha-4",
    ]
    assert [arm.folder.name for arm in plan(asked, tmp_path, ("my.agents:best",), 1).arms()] == ["my.agents-best-0"]


def test_runs_are_ordinary_ones_and_the_table_grows_with_each(asked, tmp_path, monkeypatch):
    seen = []
    written = agents.write
    monkeypatch.setattr(agents, "write", lambda plan: seen.append(written(plan)) or seen[-1])
    document = agents.run(plan(asked, tmp_path / "out"), nobody, resolve)
    assert [sum(run["finished"] for run in each["cells"][0]["runs"]) for each in seen] == [0, 1, 2, 3, 4]
    assert json.loads((tmp_path / "out" / "bench.json").read_text()) == json.loads(json.dumps(document))
    assert "Fraction of the human gain" in (tmp_path / "out" / "bench.md").read_text()

    [cell] = document["cells"]
    assert [(arm["agent"], arm["finished"]) for arm in cell["arms"]] == [("random", 2), ("plain", 2)]
    assert cell["lifts"][0]["agent"] == "random" and cell["lifts"][0]["pairs"] == 2
    run = cell["runs"][0]
    assert run["trials"]["scored"] == 2 and run["peak_memory_bytes"] > 1e6 and 0 <= run["overhead_share"] <= 1
    told = report.document(tmp_path / "out")  # `posttrain report OUT` knows such a folder
    assert told["kind"] == "comparison" and len(told["runs"]) == 4
    assert "random over plain" in to_text(agents_table.page(document))


@pytest.mark.slow
def test_finished_runs_are_kept_and_more_seeds_are_added(asked, tmp_path):
    agents.run(plan(asked, tmp_path / "out", seeds=1), nobody, resolve)
    ledger = tmp_path / "out" / "arms" / "plain-0" / "ledger.jsonl"
    before, told = ledger.read_bytes(), []
    document = agents.run(plan(asked, tmp_path / "out"), lambda name: told.append(name) or nobody(name), resolve)
    assert ledger.read_bytes() == before
    assert told == ["base-tiny_gsm8k random seed 1", "base-tiny_gsm8k plain seed 1"]
    assert all(run["finished"] for run in document["cells"][0]["runs"])


class Stop(Exception):
    """What a user's Ctrl-C stands for here: the session is closed, the run remains."""


def stop_at(what: str):
    def watch(news: Any) -> None:
        if news.what == what:
            raise Stop

    return lambda name: watch


def test_a_run_interrupted_within_its_budget_is_set_aside_and_done_again(asked, tmp_path):
    mine = plan(asked, tmp_path / "out", ("plain",), 1)
    with pytest.raises(Stop):
        agents.run(mine, stop_at("started"), resolve)
    arms = tmp_path / "out" / "arms"
    assert agents.state_of(arms / "plain-0") == "interrupted"
    document = agents.run(mine, nobody, resolve)
    assert (arms / "plain-0.interrupted" / "ledger.jsonl").is_file()
    assert document["cells"][0]["runs"][0]["finished"] and document["cells"][0]["runs"][0]["set_aside"] == 1


@pytest.mark.parametrize("what", few(["anchor", "ended"], 1))
def test_a_run_interrupted_outside_its_budget_goes_on(asked, tmp_path, what):
    mine = plan(asked, tmp_path / "out", ("plain",), 1)
    with pytest.raises(Stop):
        agents.run(mine, stop_at(what), resolve)
    assert agents.state_of(tmp_path / "out" / "arms" / "plain-0") == "goes on"
    document = agents.run(mine, nobody, resolve)
    assert document["cells"][0]["runs"][0]["finished"]
    assert [path.name for path in (tmp_path / "out" / "arms").iterdir()] == ["plain-0"]


def test_a_folder_that_died_before_its_run_was_described_is_set_aside(tmp_path):
    (tmp_path / "plain-0" / "sealed").mkdir(parents=True)
    assert agents.state_of(tmp_path / "plain-0") == "interrupted"
    results.set_aside(tmp_path / "plain-0")
    (tmp_path / "plain-0").mkdir()
    assert agents.state_of(tmp_path / "plain-0") == "new"
    assert results.set_aside(tmp_path / "plain-0").name == "plain-0.interrupted-2"


def test_a_run_that_somebody_is_at_is_not_set_aside(tmp_path):
    lock = Lock(tmp_path)
    try:
        with pytest.raises(InputError, match=str(os.getpid())):
            results.set_aside(tmp_path)
    finally:
        lock.release()


def test_a_run_that_was_asked_for_differently_is_refused_before_anything_runs(asked, tmp_path):
    agents.run(plan(asked, tmp_path / "out", ("plain",), 1), nobody, resolve)
    longer = asked.model_copy(update={"budget": Budget(seconds=120.0)})
    with pytest.raises(InputError, match="budget of 60 s"):
        agents.run(plan(longer, tmp_path / "out", ("random", "plain"), 1), nobody, resolve)
    assert not (tmp_path / "out" / "arms" / "random-0").exists()
    with pytest.raises(InputError, match="lab_seed 0, not 3"):
        agents.check(plan(asked.model_copy(update={"lab_seed": 3}), tmp_path / "out", ("plain",), 1))
    wide = asked.model_copy(update={"recipe": "lora_wide"})
    with pytest.raises(InputError, match="another recipe"):
        agents.check(plan(wide, tmp_path / "out", ("plain",), 1))
    with pytest.raises(InputError, match="every agent"):
        agents.check(plan(asked, tmp_path / "out", ("plain", "plain"), 1))


# ---------------------------------------------------------------- numbers


def row(agent: str, seed: int, value: float | None, steps: tuple[float, ...] = (), **rest: Any) -> dict[str, Any]:
    fraction = None if value is None else {"value": value, "low": value - 0.1, "high": value + 0.1}
    return {
        "agent": agent, "seed": seed, "folder": "", "finished": True, "fraction": fraction, "fraction_why": "noise",
        "scores": dict.fromkeys(("base", "best", "instruct")), "trials": {"scored": 3}, "seconds": 120.0,
        "overhead_share": 0.1, "first_step_seconds": list(steps), "peak_memory_bytes": 10**9, "flagged": False,
        "set_aside": 0, **rest,
    }  # fmt: skip


def test_an_arm_is_told_by_medians_and_the_first_steps_of_all_its_trials():
    runs = [row("asha", 0, 0.7, (1.0, 3.0)), row("asha", 1, 0.9, (2.0,)), row("asha", 2, None)]
    found = agents_table.arm("asha", [*runs, row("asha", 3, 0.1) | {"finished": False}])
    assert found["finished"] == 3 and found["first_step_seconds"] == 2.0
    assert found["fraction"] == {"median": pytest.approx(0.8), "lowest": 0.7, "highest": 0.9}
    assert agents_table.arm("asha", [])["fraction"] is None


def test_a_lift_pairs_the_seeds_that_both_finished():
    runs = [row("asha", seed, 0.8 + seed / 100) for seed in range(3)]
    runs += [row("plain", seed, 0.5) for seed in (1, 2)] + [row("plain", 0, None)]
    found = agents_table.lift(runs, "asha", "plain")
    assert found["pairs"] == 2 and found["lift"]["value"] == pytest.approx(0.315)
    assert agents_table.lift(runs[:4], "asha", "plain")["lift"]["low"] is None


def test_the_page_names_flagged_and_unfinished_runs(asked):
    runs = [row("asha", 0, 0.0, flagged=True), row("asha", 1, None) | {"finished": False}]
    document = agents_table.document([asked], ["asha"], [0, 1], {"base-tiny_gsm8k": runs})
    told = to_text(agents_table.page(document))
    assert "flagged" in told and "not finished" in told and "asha seed 0" in told
