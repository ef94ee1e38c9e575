"""Supervised fine-tuning: continuations, time limits, what is trained, what is saved."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl.trainer import utils as trl_utils

from pipeline import weights
from pipeline.chat import render
from pipeline.data import Built
from pipeline.errors import TrainError
from pipeline.trainers import _run, _trainer, sft
from pipeline.training import CHECKPOINT, LOSSES, MODEL, PROGRESS, TrainResult, TrainTask
from pipeline.types import DataRef, Stage
from tests import tiny_models
from tests.tiny_models import FAMILIES
from tests.variants import few

STANDARD = {"tokens": 5000, "dtype": "float32", "learning_rate": 3e-3, "batch_size": 8, "warmup_steps": 2}


def rows(pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": told}]}
        for asked, told in pairs
    ]


SUMS = rows([tiny_models.sums(number) for number in range(81)])
STORIES = rows(tiny_models.worlds.get("maths").pairs(0, "easy", 60))
BUILT = Built(("sums", "stories"), (3.0, 1.0), (SUMS, STORIES), {}, {})


def task(folder: Path, name: str = "qwen3", built: Built = BUILT, fidelity: float = 1.0, **rest: Any) -> TrainTask:
    own = {key: rest.pop(key) for key in ("resume_from", "limit_seconds", "tail_limit") if key in rest}
    stage = Stage(data=(DataRef(name="sums"),), params=STANDARD | rest)
    return TrainTask(str(tiny_models.taught(name)), stage, built, seed=5, folder=folder, fidelity=fidelity, **own)


def losses(folder: Path, tail: bool = False) -> list[float]:
    lines = [json.loads(line) for line in (folder / LOSSES).read_text().splitlines()]
    return [line["loss"] for line in lines if line["tail"] == tail]


def logits(path: str | Path, model: Any = None) -> torch.Tensor:
    """Of the model in a folder, or of `model` with that folder's tokenizer."""
    tokens = weights.load_tokenizer(path)("4 + 3 = 7. #### 7", return_tensors="pt")
    with torch.no_grad():
        return (model or weights.load_model(path)).eval()(**tokens).logits


CONTINUED = [
    ("qwen3", {"dropout": 0.2, "neftune": 5.0}),
    ("gemma3", {"embeddings": True, "device_batch": 4}),
    ("qwen3", {"tuning": "full", "neftune": 5.0}),
    ("smollm3", {"dora": True, "dropout": 0.1, "weight_decay": 0.1, "packing": True}),
]


@pytest.mark.parametrize(("name", "params"), few(CONTINUED, 1))
def test_a_continued_runs_losses_equal_an_uninterrupted_runs_to_the_last_digit(tmp_path, name, params):
    whole = sft.train(task(tmp_path / "whole", name, **params))
    part = sft.train(task(tmp_path / "part", name, fidelity=0.3, **params))
    rest = sft.train(task(tmp_path / "rest", name, fidelity=0.7, resume_from=tmp_path / "part" / CHECKPOINT, **params))
    last = sft.train(task(tmp_path / "last", name, resume_from=tmp_path / "rest" / CHECKPOINT, **params))
    joined = [loss for piece in ("part", "rest", "last") for loss in losses(tmp_path / piece)]
    assert joined == losses(tmp_path / "whole") and len(joined) == whole.steps
    assert len(losses(tmp_path / "part")) >= 3
    # the tail of the last piece, too, and with it the scored weights
    assert losses(tmp_path / "last", tail=True) == losses(tmp_path / "whole", tail=True) != []
    assert torch.equal(logits(tmp_path / "last" / MODEL), logits(tmp_path / "whole" / MODEL))
    assert part.body_tokens < rest.body_tokens < last.body_tokens == whole.body_tokens == whole.full_tokens
    assert part.full_tokens == whole.full_tokens


def test_a_trial_that_is_continued_without_more_tokens_scores_the_same_and_can_go_on(tmp_path):
    part = sft.train(task(tmp_path / "part", fidelity=0.3))
    again = sft.train(task(tmp_path / "again", fidelity=0.3, resume_from=tmp_path / "part" / CHECKPOINT))
    assert again.steps == part.steps and losses(tmp_path / "again") == []
    assert torch.equal(logits(part.model_path), logits(again.model_path))
    on = sft.train(task(tmp_path / "on", fidelity=0.5, resume_from=tmp_path / "again" / CHECKPOINT))
    assert on.steps > part.steps


def test_the_scored_weights_are_those_after_the_tail_and_the_checkpoint_those_before_it(tmp_path):
    result = sft.train(task(tmp_path / "a", tuning="full", schedule="constant"))
    tailed = sft.train(task(tmp_path / "b", tuning="full", tail=0.5))
    before = [logits(tailed.model_path, weights.load_model(tmp_path / run / CHECKPOINT)) for run in ("a", "b")]
    assert torch.equal(before[0], before[1])
    assert torch.equal(before[0], logits(result.model_path))
    assert not torch.equal(before[0], logits(tailed.model_path))
    assert len(losses(tmp_path / "b", tail=True)) == round(0.5 * tailed.steps)


def test_micro_batches_need_not_be_of_one_size(tmp_path):
    whole = sft.train(task(tmp_path / "whole", tokens=2500, learning_rate=1e-3))
    found = sft.train(task(tmp_path / "three", tokens=2500, learning_rate=1e-3, device_batch=3))
    assert losses(tmp_path / "three") == pytest.approx(losses(tmp_path / "whole"), rel=2e-3)
    assert (found.steps, found.tokens) == (whole.steps, whole.tokens)


@pytest.mark.parametrize("params", few([{}, {"tuning": "full"}, {"embeddings": True}], 1))
def test_an_average_is_what_is_scored_and_goes_on_where_a_checkpoint_left_it(tmp_path, params):
    last = sft.train(task(tmp_path / "last", schedule="constant", **params))
    whole = sft.train(task(tmp_path / "whole", schedule="constant_average", **params))
    assert losses(tmp_path / "whole") == losses(tmp_path / "last") and losses(tmp_path / "whole", tail=True) == []
    assert not torch.equal(logits(whole.model_path), logits(last.model_path))
    part = task(tmp_path / "part", schedule="constant_average", fidelity=0.3, **params)
    scored = logits(sft.train(part).model_path)
    again = replace(part, folder=tmp_path / "again", resume_from=tmp_path / "part" / CHECKPOINT)
    assert torch.equal(logits(sft.train(again).model_path), scored)
    rest = replace(again, folder=tmp_path / "rest", resume_from=tmp_path / "again" / CHECKPOINT, fidelity=1.0)
    assert torch.equal(logits(sft.train(rest).model_path), logits(whole.model_path))


@pytest.mark.parametrize("name", few(FAMILIES, 1))
def test_a_saved_model_stops_by_itself_under_plain_generate(tmp_path, name):
    result = sft.train(task(tmp_path / "run", name, built=Built(("sums",), (1.0,), (SUMS,), {}, {}), tokens=15000))
    weights.export(result.model_path, tmp_path / "final")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "final")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "final")
    prompt = render(tokenizer, tiny_models.family(name), [{"role": "user", "content": "4 + 5 ?"}], generation=True)
    ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
    answer = model.generate(**ids, max_new_tokens=60, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert answer[-1] == tokenizer.convert_tokens_to_ids(tiny_models.family(name).end_of_turn)
    assert "####" in tokenizer.decode(answer)
    assert torch.allclose(logits(tmp_path / "final"), logits(result.model_path), atol=1e-5)


ADAPTERS = [
    {"embeddings": True},
    {"rslora": True, "rank": 4},
    {"dora": True},
    {"targets": ["q_proj", "down_proj"]},
    {"layers": "upper_half"},
]


@pytest.mark.parametrize("params", few(ADAPTERS, 2))
def test_what_is_loaded_from_disk_is_what_was_trained(tmp_path, monkeypatch, params):
    kept = {}
    save = sft._save
    monkeypatch.setattr(sft, "_save", lambda model, *rest: kept.update(model=model) or save(model, *rest))
    result = sft.train(task(tmp_path / "run", **params))
    trained = logits(result.model_path, kept["model"])
    assert torch.allclose(trained, logits(result.model_path), atol=1e-4)
    assert not torch.allclose(trained, logits(tiny_models.taught("qwen3")), atol=1e-2)


def trainable(model: Any) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_adapters_and_full_tuning_keep_to_the_layers_and_targets_they_are_given(tmp_path, monkeypatch):
    kept = {}
    save = sft._save
    monkeypatch.setattr(sft, "_save", lambda model, *rest: kept.update(model=model) or save(model, *rest))
    sft.train(task(tmp_path / "a", targets="attention", layers=1, steps=1, tokens=None))
    adapted = trainable(kept["model"])
    assert adapted and all("layers.1.self_attn" in name for name in adapted)
    sft.train(task(tmp_path / "b", tuning="full", layers="upper_half", steps=1, tokens=None))
    tuned = trainable(kept["model"])
    assert "model.norm.weight" in tuned and any("layers.1.mlp" in name for name in tuned)
    assert not any("layers.0" in name or "embed" in name for name in tuned)


def test_targets_that_the_model_lacks_are_an_error_of_the_trial(tmp_path):
    with pytest.raises(TrainError, match="targets .*nothing_proj"):
        sft.train(task(tmp_path / "run", targets=["nothing_proj"]))


def first_losses(folder: Path, **params: Any) -> list[float]:
    sft.train(task(folder, tuning="full", tokens=2500, schedule="constant", **params))
    return losses(folder)


@pytest.mark.slow
def test_packing_and_accumulation_change_the_layout_and_not_the_losses(tmp_path):
    plain = first_losses(tmp_path / "plain")
    assert first_losses(tmp_path / "packed", packing=True) == pytest.approx(plain, rel=1e-4)
    assert first_losses(tmp_path / "accumulated", device_batch=2) == pytest.approx(plain, rel=1e-4)
    assert first_losses(tmp_path / "both", device_batch=4, packing=True) == pytest.approx(plain, rel=1e-4)


def test_the_loss_is_trls_own(tmp_path, monkeypatch):
    ours = first_losses(tmp_path / "ours")
    monkeypatch.setattr(_trainer, "LOGITS_AT_ONCE", 0)
    assert first_losses(tmp_path / "fused") == pytest.approx(ours, rel=1e-4)
    monkeypatch.setattr(_trainer.Trainer, "compute_loss", _trainer.SFTTrainer.compute_loss)
    monkeypatch.setattr(_trainer, "add_fused_lm_head", lambda *_, **__: None)
    assert first_losses(tmp_path / "trl") == pytest.approx(ours, rel=1e-4)


def test_the_loss_covers_answers_only_unless_told_otherwise(tmp_path):
    assert first_losses(tmp_path / "all", answers_only=False)[0] != first_losses(tmp_path / "answers")[0]


def test_a_time_limit_ends_the_body_early_and_still_leaves_everything(tmp_path):
    result = sft.train(task(tmp_path / "run", tokens=10**6, limit_seconds=1.5))
    assert result.cut_short and result.seconds < 20  # all of its tokens would take minutes
    assert 0 < result.body_tokens < result.full_tokens
    tail = len(losses(tmp_path / "run", tail=True))
    assert tail == (max(1, round(0.15 * result.steps)) if result.tail_steps is None else result.tail_steps)
    on = sft.train(task(tmp_path / "on", tokens=10**6, limit_seconds=1.5, resume_from=tmp_path / "run" / CHECKPOINT))
    assert on.steps > result.steps and Path(on.model_path).is_dir()


def test_a_machine_that_becomes_slower_in_the_tail_ends_it_early_and_a_rerun_is_the_same(tmp_path, monkeypatch):
    record = _run.Run._record

    def slow(run: _run.Run, loss: float) -> None:
        time.sleep(0.6 if run.position >= run.body_steps else 0.0)
        record(run, loss)

    with monkeypatch.context() as patched:
        patched.setattr(_run.Run, "_record", slow)
        result = sft.train(task(tmp_path / "run", tokens=10**6, limit_seconds=4.0))
    assert result.tail_steps is not None and 0 < result.tail_steps == len(losses(tmp_path / "run", tail=True))
    assert result.tail_steps < round(0.15 * result.steps)
    fidelity = result.body_tokens / result.full_tokens * (1 - 1e-9)
    again = sft.train(task(tmp_path / "again", tokens=10**6, fidelity=fidelity, tail_limit=result.tail_steps))
    assert again.steps == result.steps and torch.equal(logits(again.model_path), logits(result.model_path))


def test_a_limit_that_is_already_over_still_gives_one_step(tmp_path):
    result = sft.train(task(tmp_path / "run", limit_seconds=0.0))
    assert result.cut_short and result.steps == 1


def test_progress_and_losses_are_written_while_it_trains(tmp_path):
    result: TrainResult = sft.train(task(tmp_path / "run"))
    lines = [json.loads(line) for line in (tmp_path / "run" / PROGRESS).read_text().splitlines()]
    assert lines[0]["step"] == 1 and lines[-1]["step"] == lines[-1]["steps"]
    assert lines[-1]["tokens"] == result.tokens
    assert set(lines[0]) == {"stage", "step", "steps", "tokens", "loss", "tokens_per_second", "seconds"}


def test_a_loss_that_is_not_a_number_is_the_trials_error(tmp_path, monkeypatch):
    monkeypatch.setattr(
        _trainer.Trainer, "compute_loss", lambda self, *_, **__: self._inner.lm_head.weight.sum() * 0 / 0
    )
    with pytest.raises(TrainError, match="nan at step 1: lower the learning rate"):
        sft.train(task(tmp_path / "run", tuning="full"))


def test_running_out_of_memory_says_what_to_lower(tmp_path, monkeypatch):
    def burst(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(_trainer.Trainer, "compute_loss", burst)
    with pytest.raises(TrainError, match="out of memory with device_batch 8: lower device_batch"):
        sft.train(task(tmp_path / "run"))


# ---------------------------------------------------------------- options for speed


@pytest.mark.parametrize("at_once", few([0, 2**27], 1))
@pytest.mark.parametrize("layout", few([{"device_batch": 2}, {"packing": True}, {}], 1))
def test_no_logits_are_computed_where_there_is_no_loss_and_the_losses_are_the_same(
    tmp_path, monkeypatch, at_once, layout
):
    monkeypatch.setattr(_trainer, "LOGITS_AT_ONCE", at_once)
    counts: list[int] = []
    log_probs = trl_utils._ChunkedLogProbFunction.apply
    cross_entropy = torch.nn.functional.cross_entropy

    def counted(compute: Any) -> Any:
        return lambda hidden, *rest, **more: counts.append(len(hidden)) or compute(hidden, *rest, **more)

    monkeypatch.setattr(trl_utils._ChunkedLogProbFunction, "apply", counted(log_probs))
    monkeypatch.setattr(torch.nn.functional, "cross_entropy", counted(cross_entropy))
    answers = first_losses(tmp_path / "answers", **layout)
    of_answers, counts[:] = sum(counts), []
    everything = first_losses(tmp_path / "all", logits="all", **layout)
    assert answers == pytest.approx(everything, rel=1e-5)
    assert 0 < of_answers < 0.8 * sum(counts)


def test_capped_logits_are_computed_for_answers_only_too(tmp_path, monkeypatch):
    monkeypatch.setattr(_trainer, "_has_plain_head", lambda model: False)
    tiled = first_losses(tmp_path / "tiled")
    assert tiled == pytest.approx(first_losses(tmp_path / "all", logits="all"), rel=1e-5)


@pytest.mark.parametrize("params", few([{"device_batch": 2}, {"packing": True, "dropout": 0.1}, {}], 1))
def test_a_continued_run_of_sorted_rows_equals_an_uninterrupted_one(tmp_path, params):
    given = {"sort_window": 4, **params}
    whole = sft.train(task(tmp_path / "whole", **given))
    sft.train(task(tmp_path / "part", fidelity=0.4, **given))
    last = sft.train(task(tmp_path / "last", resume_from=tmp_path / "part" / CHECKPOINT, **given))
    assert losses(tmp_path / "part") + losses(tmp_path / "last") == losses(tmp_path / "whole")
    assert torch.equal(logits(last.model_path), logits(whole.model_path))
    sft.train(task(tmp_path / "drawn", **params))
    assert losses(tmp_path / "drawn") != losses(tmp_path / "whole")


def test_who_watches_is_called_at_every_step_and_may_end_the_run(tmp_path):
    class Watcher(TrainerCallback):
        steps = 0

        def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> Any:
            assert given["model"] is not None
            self.steps += 1
            control.should_training_stop = self.steps == 3 or control.should_training_stop
            return control

    watcher = Watcher()
    sft.train(task(tmp_path / "run"), watchers=(watcher,))
    assert watcher.steps == 3 == len(losses(tmp_path / "run"))
