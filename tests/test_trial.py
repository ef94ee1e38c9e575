"""A trial from job.json to outcome.json: scored, refused, failed, cut short, continued, in stages."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline import trial, weights, worlds
from pipeline.jobs import ITEMS, JOB, OUTCOME
from pipeline.paths import read_json, read_jsonl, write_json
from pipeline.training import CHECKPOINT, LOSSES, MODEL, NOT_KEPT
from pipeline.types import Outcome
from tests import tiny_models
from tests.variants import few

ROLES = worlds.get("maths").roles(0)
GOOD, EASY = (f"maths_{ROLES.index(role) + 1}" for role in ("hard", "worked"))
LEAK = f"maths_{ROLES.index('leak') + 1}"
PARAMS = {"tokens": 3000, "batch_size": 4, "max_length": 256, "dtype": "float32", "learning_rate": 1e-3}


def stage(*sources: str, **params: Any) -> dict[str, Any]:
    return {"trainer": "sft", "data": [{"name": name} for name in sources or (GOOD,)], "params": PARAMS | params}


def run(folder: Path, *stages: dict[str, Any], **job: Any) -> Outcome:
    folder.mkdir()
    recipe = {"model": "lab/x", "stages": list(stages) or [stage()], "seed": 1}
    model_path = str(tiny_models.taught("qwen3"))
    standard = {"trial": folder.name, "recipe": recipe, "model_path": model_path, "benchmark": "tiny_gsm8k"}
    write_json(folder / JOB, standard | {"search_limit": 6} | job)
    trial.main(folder)
    return Outcome.model_validate(read_json(folder / OUTCOME))


def body_losses(folder: Path) -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in (folder / LOSSES).read_text().splitlines()]
    return [(line["stage"], line["loss"]) for line in lines if not line["tail"]]


@pytest.fixture(autouse=True, scope="module")
def _float32(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Evaluate in float32 without measuring this machine first, which takes seconds."""
    place = pytest.MonkeyPatch()
    found = weights.placement
    place.setattr(weights, "placement", lambda dtype="auto": found("float32" if dtype == "auto" else dtype))
    yield
    place.undo()


def test_a_trial_is_trained_scored_and_accounted_for(tmp_path):
    tiny_models.taught("qwen3")
    begun = time.time()
    outcome = run(tmp_path / "t1", stage(GOOD, EASY), proposed_at=begun)
    assert outcome.error is None
    [score] = outcome.scores
    assert (score.benchmark, score.role, score.n) == ("tiny_gsm8k", "search", 6)
    assert len(read_jsonl(tmp_path / "t1" / ITEMS)) == 6
    assert outcome.fidelity == 1.0 and 3000 <= outcome.tokens < outcome.cost.tokens
    assert outcome.cost.seconds >= outcome.cost.train_seconds + outcome.cost.eval_seconds > 0
    assert outcome.cost.flops == 4 * outcome.cost.tokens * parameters(tmp_path / "t1")
    assert 0 < outcome.first_step_seconds < outcome.cost.seconds
    assert outcome.verdicts[0].guard == "contamination" and outcome.verdicts[0].ok
    assert outcome.resumable and (tmp_path / "t1" / CHECKPOINT).is_dir()
    assert outcome.final_loss > 0
    assert set(outcome.data["stages"][0]["rows"]) == {GOOD, EASY}
    silent = score.stops < 0.95
    assert ("does not stop" in outcome.labels) == silent == ("does not stop" in outcome.reasons)


def test_a_trial_that_does_not_stop_says_what_its_answers_did_instead(tmp_path):
    outcome = run(tmp_path / "t", model_path=str(tiny_models.untrained("qwen3")))
    assert outcome.labels == ("does not stop",)
    assert re.fullmatch(
        r"does not stop: of 32 answers .*[0-9]+ ran to max_tokens \(\d+\).*; <\|im_end\|> was never written",
        outcome.remarks[0],
    )


def parameters(folder: Path) -> int:
    base = sum(p.numel() for p in weights.load_model(tiny_models.taught("qwen3")).parameters())
    import safetensors.torch

    adapter = safetensors.torch.load_file(folder / MODEL / "adapter_model.safetensors")
    return base + sum(tensor.numel() for tensor in adapter.values())


def test_the_same_job_gives_the_same_score_again(tmp_path):
    outcomes = [run(tmp_path / name) for name in ("a", "b")]
    assert outcomes[0].scores == outcomes[1].scores
    assert read_jsonl(tmp_path / "a" / ITEMS) == read_jsonl(tmp_path / "b" / ITEMS)


def test_a_source_with_final_items_is_refused_before_any_training(tmp_path):
    outcome = run(tmp_path / "t", stage(GOOD, LEAK))
    assert outcome.error and LEAK in outcome.error
    assert [verdict.ok for verdict in outcome.verdicts] == [False]
    assert outcome.scores == () and outcome.cost.train_seconds == 0 and not outcome.resumable
    assert not (tmp_path / "t" / MODEL).exists()


def test_a_source_of_weight_zero_is_not_asked_about(tmp_path):
    mixed = stage(GOOD)
    mixed["data"].append({"name": LEAK, "weight": 0.0})
    assert run(tmp_path / "t", mixed).error is None


def test_a_continued_trial_is_an_uninterrupted_one(tmp_path):
    whole = run(tmp_path / "whole", stage(dropout=0.1))
    part = run(tmp_path / "part", stage(dropout=0.1), fidelity=0.4)
    rest = run(tmp_path / "rest", stage(dropout=0.1), resume_from=str(tmp_path / "part" / CHECKPOINT))
    assert body_losses(tmp_path / "part") + body_losses(tmp_path / "rest") == body_losses(tmp_path / "whole")
    assert rest.scores == whole.scores and rest.tokens == whole.tokens and rest.fidelity == 1.0
    assert 0.4 <= part.fidelity < 0.7
    assert rest.cost.tokens < whole.cost.tokens


TWO = [stage(GOOD, dropout=0.1), stage(EASY, tokens=2000, tuning="full", learning_rate=1e-3)]


@pytest.mark.parametrize("stages", few([TWO, [TWO[0], stage(EASY, tokens=2000)]], 1))
def test_stages_follow_each_other_and_a_trial_may_stop_in_any_of_them(tmp_path, stages):
    whole = run(tmp_path / "whole", *stages)
    assert whole.error is None and whole.fidelity == 1.0
    assert {number for number, _ in body_losses(tmp_path / "whole")} == {0, 1}
    pieces = []
    for number, fidelity in enumerate((0.3, 0.8, 1.0)):
        before = str(tmp_path / f"piece{number - 1}" / CHECKPOINT) if number else None
        pieces.append(run(tmp_path / f"piece{number}", *stages, fidelity=fidelity, resume_from=before))
    assert [piece.error for piece in pieces] == [None] * 3
    joined = [loss for number in range(3) for loss in body_losses(tmp_path / f"piece{number}")]
    assert joined == body_losses(tmp_path / "whole")
    assert pieces[-1].scores == whole.scores and pieces[-1].tokens == whole.tokens
    assert [piece.fidelity for piece in pieces] == pytest.approx([0.3, 0.8, 1.0], abs=0.1)
    # nothing of it hangs on what a trial cleans up
    for name in ("whole", "piece2"):
        assert not (tmp_path / name / "stages").exists()
        weights.load_model(tmp_path / name / MODEL)


def test_a_failure_in_training_is_an_outcome_with_its_cost(tmp_path, monkeypatch):
    from pipeline.trainers import _trainer

    monkeypatch.setattr(
        _trainer.Trainer, "compute_loss", lambda self, *_, **__: self._inner.lm_head.weight.sum() * 0 / 0
    )
    outcome = run(tmp_path / "t", stage(tuning="full"))
    assert outcome.error == "the loss became nan at step 1: lower the learning rate"
    assert outcome.cost.train_seconds > 0 and outcome.scores == () and not outcome.resumable


def test_whatever_else_goes_wrong_is_an_outcome_too(tmp_path, monkeypatch, capsys):
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("the disk\nis full")

    monkeypatch.setattr(trial, "evaluate", fail)
    outcome = run(tmp_path / "t")
    assert outcome.error == "OSError: the disk is full"
    assert "Traceback" in capsys.readouterr().err
    assert outcome.tokens > 0 and outcome.resumable


def test_a_source_that_does_not_exist_is_an_outcome(tmp_path):
    assert "unknown data source 'nowhere'" in (run(tmp_path / "t", stage("nowhere")).error or "")


def test_a_trial_that_runs_out_of_time_is_labelled_and_can_go_on(tmp_path):
    outcome = run(tmp_path / "t", stage(tokens=10**6), limit_seconds=2.0)
    assert "cut short" in outcome.labels and outcome.scores and outcome.resumable
    assert 0 < outcome.fidelity < 1 and outcome.cost.train_seconds < 4.0


def test_the_time_that_a_trial_waited_for_its_process_is_not_its_own_to_train(tmp_path):
    outcome = run(tmp_path / "t", stage(tokens=10**6), limit_seconds=62.0, proposed_at=time.time() - 60)
    assert "cut short" in outcome.labels and outcome.scores and outcome.cost.train_seconds < 10.0


def test_an_option_for_speed_that_cannot_be_had_is_a_label_with_its_reason(tmp_path):
    kept = run(tmp_path / "t", stage(layers=1, embeddings=False, lower_outputs="kept"))
    assert kept.error is None and NOT_KEPT not in kept.labels and NOT_KEPT not in kept.reasons
    outcome = run(tmp_path / "u", stage(lower_outputs="kept"))
    assert outcome.error is None and outcome.scores and NOT_KEPT in outcome.labels
    assert "set layers to upper_half" in outcome.reasons[NOT_KEPT]
    assert any(remark.startswith(f"{NOT_KEPT}: the lowest layer is trained") for remark in outcome.remarks)


WHOLE = """
import json, os, sys
names = os.listdir(sys.argv[1])
whole = {"config.json", "model.safetensors", "tokenizer.json"} <= set(names) and "adapter_config.json" not in names
json.dump({"whole": float(whole), "n": 4}, open(sys.argv[2], "w"))
"""


@pytest.mark.slow
def test_a_program_scores_the_whole_model_of_a_trained_adapter(tmp_path):
    (tmp_path / "whole.py").write_text(WHOLE)
    program = {"command": "python whole.py {model} {json}", "folder": str(tmp_path)}
    outcome = run(tmp_path / "t", program=program)
    assert outcome.error is None and (tmp_path / "t" / MODEL / "adapter_config.json").is_file()
    [score] = outcome.scores
    assert (score.benchmark, score.metric, score.value, score.n) == ("tiny_gsm8k", "whole", 1.0, 4)
    assert not list((tmp_path / "t").glob(".merged-*")) and not (tmp_path / "t" / ITEMS).exists()
    (tmp_path / "whole.py").write_text("raise SystemExit('no room')")
    failed = run(tmp_path / "failed", program=program)
    assert failed.error == "the scoring program ended with exit code 1: no room" and failed.cost.train_seconds > 0
