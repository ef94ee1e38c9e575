"""Checkpoints made outside: what is taken in, what is refused, and where they end."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.fakes import fake_model
from pipeline.ledger import Ledger
from pipeline.paths import read_json, write_json
from pipeline.rerun import find, rerun
from pipeline.types import Budget
from tests import runs
from tests.runs import GOOD, WEAK, Bench

bench = runs.bench  # the fixture
SHAPE = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 100, "hidden_size": 8}


def made(place: Path, score: float = 0.8, name: str = "made", **config: object) -> Path:
    folder = fake_model(place / name, score)
    write_json(folder / "config.json", {**SHAPE, **config})
    return folder


def shaped(bench: Bench) -> None:
    write_json(bench.place / "base" / "config.json", SHAPE)


# ---------------------------------------------------------------- what becomes of it


def test_a_submission_is_copied_scored_and_labelled(bench: Bench) -> None:
    session = bench.open()
    source = made(bench.place)
    trial = session.submit(source, "distilled by hand", "me")
    assert (trial.id, trial.kind, trial.state) == ("s001", "submission", "scored")
    assert trial.score is not None and trial.score.value == pytest.approx(0.8, abs=0.1)
    assert trial.outcome is not None and trial.outcome.labels == ("unverified",)
    assert trial.proposal.rationale == "distilled by hand" and trial.proposal.author == "me"
    shutil.rmtree(source)
    assert (bench.folder / "trials" / "s001" / "model" / "model.safetensors").exists()
    assert session.history()[-1] == trial


def test_the_best_submission_is_handed_over_with_its_label_in_report_and_card(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=1000.0))
    session.step(WEAK)
    session.submit(made(bench.place), "by hand")
    report = session.finish()
    assert report["best_trial"] == "s001" and report["best_labels"] == ["unverified"]
    assert report["trials"]["scored"] == 2
    assert read_json(bench.folder / "final_model" / "fake.json")["score"] == 0.8
    assert "submitted" in (bench.folder / "final_model" / "README.md").read_text()
    for form in ("md", "html"):
        text = (bench.folder / f"report.{form}").read_text()
        assert "Unverified: the best model (s001) was made outside the run" in text and "by hand" in text


def test_a_submission_that_is_not_the_best_is_only_a_trial(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=1000.0))
    session.submit(made(bench.place, 0.1))
    session.step(GOOD)
    report = session.finish()
    assert report["best_trial"] == "t001" and "best_labels" not in report
    assert "Unverified" not in (bench.folder / "report.md").read_text()


def test_submissions_count_as_trials_and_need_time(bench: Bench) -> None:
    session = bench.open(budget=Budget(seconds=100.0, trials=1))
    session.submit(made(bench.place))
    assert session.remaining().trials == 0
    with pytest.raises(InputError, match="the budget is spent"):
        session.submit(made(bench.place, 0.7, "other"))


def test_a_submission_waits_for_a_slot_like_any_trial(bench: Bench) -> None:
    session = bench.open()
    session.start(GOOD)
    with pytest.raises(InputError, match="all slots are busy"):
        session.submit(made(bench.place))


def test_a_submission_is_scored_again_by_rerun(bench: Bench) -> None:
    session = bench.open()
    session.submit(made(bench.place))
    session.close()
    found = rerun(bench.folder, find(bench.folder, "s001"), bench.executor)
    assert found["same"]


def test_a_submission_whose_owner_was_killed_after_scoring_keeps_its_score(bench: Bench) -> None:
    session = bench.open()
    session.start_submission(made(bench.place))
    session.listener.close()
    bench.crash()
    assert bench.resume().trial("s001").state == "scored"


# ---------------------------------------------------------------- what is refused at once


def refused(bench: Bench, path: Path) -> str:
    session = bench.open()
    with pytest.raises(InputError) as caught:
        session.submit(path)
    assert session.history() == () and "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_that_is_not_there_or_a_file_is_refused(bench: Bench) -> None:
    assert "no such folder" in refused(bench, bench.place / "nowhere")


def test_a_file_is_refused(bench: Bench) -> None:
    (bench.place / "file").write_text("")
    assert "not a folder" in refused(bench, bench.place / "file")


def test_a_folder_without_a_model_is_refused(bench: Bench) -> None:
    (bench.place / "empty").mkdir()
    assert "neither config.json nor adapter_config.json" in refused(bench, bench.place / "empty")


@pytest.mark.parametrize(("name", "hint"), [("model.bin", "pickled"), ("notes.txt", "no weights")])
def test_a_folder_without_safetensors_is_refused(bench: Bench, name: str, hint: str) -> None:
    source = made(bench.place)
    (source / "model.safetensors").rename(source / name)
    assert hint in refused(bench, source)


@pytest.mark.parametrize("file", ["shard-2.safetensors", "../instruct/model.safetensors", "/etc/passwd"])
def test_an_index_that_names_what_is_not_there_is_refused(bench: Bench, file: str) -> None:
    source = made(bench.place)
    write_json(source / "model.safetensors.index.json", {"weight_map": {"w": file}})
    assert f"names {file}, which is not there" in refused(bench, source)


@pytest.mark.parametrize(
    ("name", "value"),
    [("model_type", "llama"), ("vocab_size", 101), ("hidden_size", 16), ("architectures", ["LlamaForCausalLM"])],
)
def test_another_architecture_size_or_vocabulary_than_the_base_s_is_refused(
    bench: Bench, name: str, value: object
) -> None:
    source = made(bench.place, **{name: value})
    write_json(bench.place / "shape.json", {})

    session = bench.open()
    shaped(bench)
    with pytest.raises(InputError, match="another model than the run's base") as caught:
        session.submit(source)
    assert name in str(caught.value) and session.history() == ()


def test_the_run_s_own_folders_and_the_base_are_refused(bench: Bench) -> None:
    session = bench.open()
    session.step(GOOD)
    shaped(bench)
    sealed = made(bench.folder / "sealed")
    own = bench.folder / "trials" / "t001" / "model"
    link = bench.place / "link"
    link.symlink_to(sealed)
    for path, why in (
        (sealed, "own sealed/"),
        (link, "own sealed/"),
        (own, "own trials/"),
        (bench.place / "base", "the run's base itself"),
    ):
        with pytest.raises(InputError, match=why):
            session.submit(path)


def test_an_adapter_on_another_base_is_refused(bench: Bench) -> None:
    source = fake_model(bench.place / "adapter", 0.7)
    write_json(source / "adapter_config.json", {"base_model_name_or_path": "someone/else"})
    assert "sits on 'someone/else', not on the run's base fake/base" in refused(bench, source)


@pytest.mark.parametrize("named", ["fake/base", "PLACE/base", "PLACE/copy"])
def test_an_adapter_on_the_base_by_any_name_is_scored_on_the_run_s_base(bench: Bench, named: str) -> None:
    session = bench.open()
    write_json(bench.place / "base" / "config.json", SHAPE)
    shutil.copytree(bench.place / "base", bench.place / "copy")
    source = fake_model(bench.place / "adapter", 0.7)
    write_json(source / "adapter_config.json", {"base_model_name_or_path": named.replace("PLACE", str(bench.place))})
    assert session.submit(source).state == "scored"
    kept = read_json(bench.folder / "trials" / "s001" / "model" / "adapter_config.json")
    assert kept["base_model_name_or_path"] == str(bench.place / "base")


# ---------------------------------------------------------------- what is refused when it is read


def rejected(bench: Bench, source: Path, state: str = "rejected") -> str:
    session = bench.open()
    trial = session.submit(source)
    assert trial.state == state and trial.score is None and trial.outcome is not None
    assert not (bench.folder / "trials" / "s001" / "model").exists()
    return str(trial.outcome.error)


@pytest.mark.parametrize(
    ("role", "score", "what"), [("base", 0.05, "base itself"), ("instruct", 0.9, "instruct model")]
)
def test_a_copy_of_the_base_or_the_instruct_model_is_rejected(bench: Bench, role: str, score: float, what: str) -> None:
    session = bench.open()
    source = bench.place / "copied"
    shutil.copytree(bench.place / role, source)
    write_json(source / "config.json", {})
    trial = session.submit(source)
    assert trial.state == "rejected" and trial.outcome is not None and what in str(trial.outcome.error)
    assert trial.outcome.verdicts[0].guard == "identity" and trial.score is None
    assert str(bench.place / "instruct") not in trial.model_dump_json()


def test_a_link_that_leads_out_of_the_folder_takes_nothing_in(bench: Bench) -> None:
    source = made(bench.place)
    secret = bench.place / "secret.json"
    secret.write_text('{"key": "s3cret"}')
    (source / "tokenizer_config.json").symlink_to(secret)
    assert "tokenizer_config.json is a link that leads out" in rejected(bench, source, "failed")
    held = [path for path in bench.folder.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
    assert not held


def test_links_into_the_hub_cache_s_own_blobs_are_followed(bench: Bench) -> None:
    session = bench.open()
    source = made(bench.place, name="hub/snapshots/abc")
    blobs = bench.place / "hub" / "blobs"
    blobs.mkdir()
    (source / "model.safetensors").rename(blobs / "123")
    (source / "model.safetensors").symlink_to("../../blobs/123")
    assert session.submit(source).state == "scored"
    assert not (bench.folder / "trials" / "s001" / "model" / "model.safetensors").is_symlink()


def test_a_pipe_in_the_folder_holds_nobody_up(bench: Bench) -> None:
    source = made(bench.place)
    os.mkfifo(source / "vocab.json")
    assert "vocab.json is no file" in rejected(bench, source, "failed")


def test_code_optimizers_and_subfolders_stay_outside(bench: Bench) -> None:
    session = bench.open()
    source = made(bench.place)
    for name in ("modeling.py", "optimizer.pt", "posttrain_family.json"):
        (source / name).write_text("{}")
    (source / "checkpoint-1").mkdir()
    session.submit(source)
    kept = sorted(os.listdir(bench.folder / "trials" / "s001" / "model"))
    assert kept == ["config.json", "fake.json", "model.safetensors"]


def tokenizer(folder: Path, *words: str) -> None:
    vocabulary = {word: number for number, word in enumerate(words)}
    write_json(folder / "tokenizer.json", {"model": {"vocab": vocabulary}})


def test_a_tokenizer_with_another_vocabulary_is_refused(bench: Bench) -> None:
    source = made(bench.place)
    tokenizer(source, "a", "c")
    session = bench.open()
    tokenizer(bench.place / "base", "a", "b")
    trial = session.submit(source)
    assert trial.state == "failed" and trial.outcome and "another vocabulary" in str(trial.outcome.error)


def test_a_model_without_a_tokenizer_gets_the_base_s(bench: Bench) -> None:
    session = bench.open()
    tokenizer(bench.place / "base", "a", "b")
    session.submit(made(bench.place))
    kept = bench.folder / "trials" / "s001" / "model" / "tokenizer.json"
    assert json.loads(kept.read_text())["model"]["vocab"] == {"a": 0, "b": 1}


def test_where_it_came_from_is_in_the_ledger(bench: Bench) -> None:
    session = bench.open()
    session.submit(made(bench.place))
    events = Ledger(bench.folder / "ledger.jsonl").events()
    assert [event["source"] for event in events if event.get("source")] == [str(bench.place / "made")]


# ---------------------------------------------------------------- with a real model


@pytest.mark.parametrize("kind", ["whole", "adapter"])
def test_a_real_checkpoint_is_loaded_and_scored_by_the_same_evaluation_as_a_trial(tmp_path: Path, kind: str) -> None:
    from pipeline import submission
    from pipeline.jobs import SubmissionJob
    from tests import tiny_models

    base, source = tiny_models.untrained("qwen3"), tmp_path / "made"
    if kind == "whole":
        shutil.copytree(tiny_models.taught("qwen3"), source)
        (source / "tokenizer.json").unlink()  # as `save_pretrained` of the model alone leaves it
    else:
        adapter_on(base, source)
    job = SubmissionJob(
        trial="s001", source=str(source), model_path=str(base), references={"base": str(base)},
        benchmark="tiny_gsm8k", search_limit=4, guards=("identity",),
    )  # fmt: skip
    write_json(tmp_path / "s001" / "job.json", job)
    submission.main(tmp_path / "s001")
    outcome = read_json(tmp_path / "s001" / "outcome.json")
    assert outcome["error"] is None and outcome["scores"][0]["n"] == 4
    assert outcome["labels"][0] == "unverified" and outcome["verdicts"][0]["ok"]
    assert len((tmp_path / "s001" / "items.jsonl").read_text().splitlines()) == 4


def adapter_on(base: Path, folder: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=2, target_modules=["q_proj"]))
    adapted.save_pretrained(folder)
