"""The end of a run: choice, final split, what is handed over."""

from __future__ import annotations

import os
import shutil

import pytest

from pipeline.errors import InputError
from pipeline.paths import read_json, write_json, write_jsonl
from pipeline.types import Budget, Proposal
from tests import runs
from tests.runs import GOOD, RATE, WEAK, Bench

bench = runs.bench  # the fixture


def test_the_best_trial_is_chosen_scored_once_and_handed_over_with_a_report(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=1000.0))
    session.step(WEAK)
    best = session.step(GOOD)
    used = session.clock.used()
    report = session.finish()
    assert report["best_trial"] == best.id and report["final_looks"] == 1
    assert 0.3 < report["fraction"]["value"] < 1.0
    assert session.clock.used() == used == pytest.approx(report["spend"]["seconds"])
    assert set(report["spend"]["outside_budget"]) == {"anchors", "final scoring", "final model and guards"}
    assert {"report.json", "report.md", "report.html", "final_model"} <= set(os.listdir(bench.folder))
    card = (bench.folder / "final_model" / "README.md").read_text()
    assert "fake/base" in card and "learning_rate: 0.002" in card and "tiny_gsm8k" in card
    assert (bench.folder / "final_model" / "fake.json").exists()


def test_the_choice_knows_of_all_trials_though_only_the_best_ones_weights_are_kept(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=1000.0), keep_best=1)
    for rate in (1e-3, 2e-3, 5e-4, 1e-4):
        session.step(Proposal(changes={RATE: rate}))
    session.finish()
    chosen = next(event for event in session.ledger.events() if event["kind"] == "chosen")
    assert chosen["trial"] == "t002" and chosen["runner_up"] == "t001" and "best of 4" in chosen["why"]


def test_if_somebody_deleted_the_best_weights_the_next_best_is_chosen(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=1000.0))
    session.step(GOOD)
    session.step(Proposal(changes={RATE: 1e-3}))
    shutil.rmtree(bench.folder / "trials" / "t001" / "model")
    assert session.finish()["best_trial"] == "t002"


def test_finishing_again_is_a_second_look_at_the_final_split(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=15.0))
    session.step(WEAK)
    session.finish()
    session.close()
    extended = bench.resume(20.0)
    extended.step(GOOD)
    report = extended.finish()
    assert report["final_looks"] == 2 and report["best_trial"] == "t002"
    finals = [job.id for job in bench.executor.started if job.id.startswith("final/")]
    assert finals == ["final/best", "final/export"]  # the anchors' items are the same: scored once


def finals(bench: Bench) -> list[str]:
    """The jobs on final items so far, those of the anchors left out."""
    return [job.id for job in bench.executor.started if job.id in ("final/best", "final/base")]


@pytest.mark.parametrize("proposals", [[WEAK, GOOD], []])
def test_an_end_that_was_interrupted_after_its_scoring_is_gone_on_with_and_is_no_further_look(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, proposals: list[Proposal]
) -> None:
    session = bench.open(budget=Budget(seconds=1000.0))
    for proposal in proposals:
        session.step(proposal)
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr("pipeline.finish.write_final_model", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        session.finish()
    session.close()
    assert finals(bench) == (["final/base", "final/best"] if proposals else ["final/base"])
    report = bench.resume().finish()
    assert finals(bench) == []  # since it was resumed
    assert report["final_looks"] == 1
    assert report["best_trial"] == ("t002" if proposals else None)
    assert (bench.folder / "final_model").is_dir()
    assert (bench.folder / "sealed" / "final-1").is_dir() and not (bench.folder / "sealed" / "final-2").exists()


def test_the_same_choice_after_further_trials_is_scored_again_and_counted(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=1000.0))
    session.step(GOOD)
    session.finish()
    session.close()
    extended = bench.resume(2000.0)
    extended.step(WEAK)
    report = extended.finish()
    assert report["best_trial"] == "t001" and report["final_looks"] == 2


def test_if_nothing_beats_the_base_the_base_is_the_result(bench: Bench) -> None:
    session = bench.open()
    session.step(Proposal(changes={RATE: 1e-5}, fidelity=0.02))
    report = session.finish()
    assert report["best_trial"] is None and report["fraction"]["value"] == 0.0 and report["final_looks"] == 1
    card = (bench.folder / "final_model" / "README.md").read_text()
    assert "the base itself" in card


def test_a_run_without_a_single_trial_can_be_finished(bench: Bench) -> None:
    assert bench.open(agent=None).finish()["best_trial"] is None


def test_finishing_ends_what_still_runs(bench: Bench) -> None:
    session = bench.open()
    session.start(GOOD)
    report = session.finish()
    assert report["trials"] == {"scored": 0, "failed": 1, "rejected": 0, "pending": 0}


def test_a_model_that_does_not_stop_is_not_chosen_while_another_can_be(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = bench.open(budget=Budget(seconds=1000.0))
    best = session.step(GOOD)
    session.step(Proposal(changes={RATE: 1e-3}))
    outcome = best.outcome.model_copy(update={"labels": ("does not stop",)}) if best.outcome else None
    session.ledger.append("finished", trial=best.id, state="scored", outcome=outcome)
    assert session.finish()["best_trial"] == "t002"


def test_a_changed_file_flags_the_run(bench: Bench) -> None:
    session = bench.open()
    session.step(GOOD)
    (bench.place / "base" / "fake.json").write_text('{"score": 0.0}')
    report = session.finish()
    assert report["flagged"] and report["fraction"]["value"] == 0.0
    assert any(not verdict["ok"] and verdict["guard"] == "files" for verdict in report["verdicts"])


# ---------------------------------------------------------------- a model's own settings


def configure(bench: Bench, trial_id: str, **settings: object) -> None:
    write_json(bench.folder / "trials" / trial_id / "model" / "generation_config.json", settings)


def test_what_the_best_model_s_settings_alone_bring_is_measured_on_the_base(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=1000.0))
    session.step(GOOD)
    configure(bench, "t001", do_sample=True, temperature=0.7)
    report = session.finish()
    job = read_json(bench.folder / "sealed" / "final-1" / "base_as_configured" / "job.json")
    assert job["configured_as"] == str(bench.folder / "trials" / "t001" / "model")
    assert job["model_path"] == session.request.model_path
    assert report["base_as_configured"]["value"] == report["scores"]["base"]["value"]  # a fake base is alike always
    assert report["base_as_configured"]["points"]["value"] == 0.0
    text = (bench.folder / "report.md").read_text()
    assert "base, decoded as t001's generation" in text and "these settings alone bring the base +0.0" in text


def test_settings_like_the_base_s_need_no_row_of_their_own(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=1000.0))
    session.step(GOOD)
    configure(bench, "t001", do_sample=False, pad_token_id=0)
    report = session.finish()
    assert "base_as_configured" not in report and not (bench.folder / "sealed/final-1/base_as_configured").exists()


def test_the_settings_of_an_earlier_choice_are_not_shown_as_the_present_one_s(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=15.0))
    session.step(WEAK)
    configure(bench, "t001", do_sample=True, temperature=0.7)
    assert "base_as_configured" in session.finish()
    session.close()
    extended = bench.resume(20.0)
    extended.step(GOOD)
    report = extended.finish()
    assert report["best_trial"] == "t002" and "base_as_configured" not in report


def test_unusable_settings_are_said_and_end_no_run(bench: Bench) -> None:
    session, told = bench.open(budget=Budget(seconds=1000.0)), []
    session.on_event = lambda news: told.append(news.text)
    session.step(GOOD)
    configure(bench, "t001", do_sample=True, temperature="hot")
    assert session.finish()["best_trial"] == "t001"
    assert any("not measured" in text and "temperature: must be a number" in text for text in told)


# ---------------------------------------------------------------- a protocol


@pytest.fixture
def gsm8k(tmp_path, monkeypatch):
    """Local copies of GSM8K in miniature."""
    monkeypatch.setenv("POSTTRAIN_DATA_ROOT", str(tmp_path / "data"))
    for split, n in (("train", 60), ("test", 12)):
        rows = [{"question": f"{split} {i}?", "answer": f"It is {i}.\n#### {i}"} for i in range(n)]
        write_jsonl(tmp_path / "data" / "gsm8k" / f"{split}.jsonl", rows)


def test_under_a_protocol_the_run_says_that_its_final_items_were_searched_on(bench: Bench, gsm8k: None) -> None:
    session = bench.open(budget=Budget(seconds=1000.0), benchmark="gsm8k", protocol="posttrainbench-v1.2")
    session.step(GOOD)
    report = session.finish()
    assert bench.job("t001")["protocol"] == "posttrainbench-v1.2"
    assert read_json(bench.folder / "sealed/final-1/best/job.json")["protocol"] == "posttrainbench-v1.2"
    assert report["protocol"] == "posttrainbench-v1.2" and report["sealed"] is False
    assert report["terms"] == {
        "protocol": "posttrainbench-v1.2",
        "weight": pytest.approx(0.1011, abs=1e-4),
        "items": "search and final items are both the whole test set",
        "decoding": "as each model's generation_config.json says (vllm's reading), 3 answers per item",
        "few_shot_decoding": "temperature 0.6, top-p 0.95, 3 answers per item",
    }
    assert read_json(bench.folder / "run.json")["terms"] == report["terms"]
    text = " ".join((bench.folder / "report.md").read_text().split())
    assert "Not sealed: search and final items are both the whole test set, as the protocol has it" in text
    assert "no agent saw" not in text and "decoded: as each model's generation" in text


def test_without_a_protocol_a_run_is_sealed_and_decoded_greedily(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=1000.0))
    session.step(GOOD)
    report = session.finish()
    assert report["protocol"] == "own" and report["sealed"] is True and report["terms"]["decoding"] == "greedy"
    assert "no agent saw" in (bench.folder / "report.md").read_text()


def test_a_benchmark_outside_the_protocol_opens_no_run(bench: Bench) -> None:
    with pytest.raises(InputError, match="a miniature of gsm8k, is not part of the protocol"):
        bench.open(protocol="posttrainbench-v1")
    assert not bench.folder.exists()
