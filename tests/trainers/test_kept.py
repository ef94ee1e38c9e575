"""The lower layers' output, kept: the same losses, in less time, for whoever trains on the same rows."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline import weights
from pipeline.chat import family_of
from pipeline.errors import InputError
from pipeline.params import SftParams
from pipeline.paths import home
from pipeline.trainers import _kept, _lower, _model, sft
from pipeline.training import CHECKPOINT, NOT_KEPT, TrainResult, TrainTask
from tests import foreign_models, tiny_models
from tests.trainers.test_sft import logits, losses, task
from tests.variants import few

UPPER = {"layers": 1, "embeddings": False, "tokens": 3000}  # the upper one of two layers
KEPT = {**UPPER, "lower_outputs": "kept"}


@pytest.fixture(autouse=True)
def emptied(monkeypatch):
    """A test finds nothing kept by another, nor by one that another process runs at the same time."""
    monkeypatch.setattr(_kept, "FOLDER", f"{_kept.FOLDER}-{os.getpid()}")
    shutil.rmtree(home() / _kept.FOLDER, ignore_errors=True)
    yield
    shutil.rmtree(home() / _kept.FOLDER, ignore_errors=True)


@pytest.fixture
def counted(monkeypatch):
    """Trains; the result and how many rows were computed and read back."""
    made: list[_kept.LowerOutputs] = []
    build = _kept.LowerOutputs.__init__
    monkeypatch.setattr(_kept.LowerOutputs, "__init__", lambda self, *rest: made.append(self) or build(self, *rest))

    def train(which: TrainTask) -> tuple[TrainResult, int, int]:
        made.clear()
        result = sft.train(which)
        return result, *((made[0].computed, made[0].read) if made and not result.remarks else (0, 0))

    return train


def deep_gemma3(folder: Path) -> Path:
    """A Gemma 3 of four layers: a sliding and a full one are frozen, a sliding and a full one trained."""
    config = tiny_models.config("gemma3", 32)
    config.num_hidden_layers, config.sliding_window = 4, 8
    config.layer_types = ["sliding_attention", "full_attention"] * 2
    from transformers import AutoModelForCausalLM

    return foreign_models._saved(AutoModelForCausalLM.from_config, config, tiny_models.tokenizer("gemma3"), folder)


def model_of(kind: str, folder: Path) -> Path:
    if kind == "deep gemma3":
        return deep_gemma3(folder)
    if kind == "gemma3 with images":
        return foreign_models.gemma3_with_images(folder)
    if kind in ("llama", "untied llama"):
        tokens = foreign_models.tokenizer(foreign_models.CHATML)
        return foreign_models.llama(folder, tokens, tied=kind == "llama", num_hidden_layers=3)
    return tiny_models.taught(kind)


ALIKE = [
    ("qwen3", {"packing": True, "dropout": 0.2}),
    ("qwen3", {"tuning": "full"}),
    ("smollm3", {"device_batch": 4, "dropout": 0.1}),
    ("deep gemma3", {"layers": "upper_half"}),
    ("llama", {"sort_window": 4}),
    ("qwen3", {}),
    ("smollm3", {"packing": True, "device_batch": 2, "dora": True}),
    ("gemma3", {}),
    ("gemma3", {"packing": True}),
    ("deep gemma3", {"layers": "upper_half", "packing": True}),
    ("gemma3 with images", {}),
    ("untied llama", {"layers": 2, "packing": True}),
]


@pytest.mark.parametrize(("kind", "params"), few(ALIKE, 2))
def test_losses_with_kept_outputs_are_those_without(tmp_path, counted, kind, params):
    path = str(model_of(kind, tmp_path / "model"))
    plain = sft.train(dataclasses.replace(task(tmp_path / "plain", **UPPER | params), model_path=path))
    on = dataclasses.replace(task(tmp_path / "kept", **KEPT | params), model_path=path)
    kept, computed, read = counted(on)
    assert kept.remarks == {} and computed > 40 and kept.steps == plain.steps
    assert losses(tmp_path / "kept") == pytest.approx(losses(tmp_path / "plain"), rel=1e-4)
    assert torch.allclose(logits(kept.model_path), logits(plain.model_path), atol=5e-3)
    # whoever comes next computes nothing, and gets the same to the last digit
    again, computed_again, read_again = counted(dataclasses.replace(on, folder=tmp_path / "again"))
    assert computed_again == 0 and read_again == computed + read
    assert losses(tmp_path / "again") == losses(tmp_path / "kept")
    assert torch.equal(logits(again.model_path), logits(kept.model_path))


def test_outputs_in_bfloat16_are_kept_as_they_are(tmp_path, counted):
    given = {"dtype": "bfloat16", "tokens": 1500}
    sft.train(task(tmp_path / "plain", **UPPER | given))
    _, computed, _ = counted(task(tmp_path / "kept", **KEPT | given))
    files = [path.stat().st_size - 4 for path in (home() / _kept.FOLDER).glob("*/*")]
    assert computed == len(files) and all(size % (2 * 32) == 0 for size in files)  # two bytes, 32 wide
    assert losses(tmp_path / "kept") == pytest.approx(losses(tmp_path / "plain"), rel=0.05)
    assert counted(task(tmp_path / "again", **KEPT | given))[1] == 0
    assert losses(tmp_path / "again") == losses(tmp_path / "kept")


def test_other_trials_and_epochs_share_what_is_kept_and_other_models_and_layers_do_not(tmp_path, counted):
    _, computed, read = counted(task(tmp_path / "a", **KEPT | {"tokens": 12_000}))
    rows = len(list((home() / _kept.FOLDER).glob("*/*")))
    assert computed == rows and read > 100  # more than an epoch
    other = {"rank": 4, "learning_rate": 1e-3, "answers_only": False, "batch_size": 4, "packing": True, "dropout": 0.1}
    assert counted(task(tmp_path / "b", **KEPT | other))[1] == 0
    assert counted(task(tmp_path / "d", "smollm3", **KEPT))[1] > 0
    changed = weights.load_model(tiny_models.taught("qwen3"))
    with torch.no_grad():
        changed.model.layers[0].mlp.up_proj.weight[0, 0] += 1e-3
    weights.save_whole(
        changed, weights.load_tokenizer(tiny_models.taught("qwen3")), tmp_path / "m", tiny_models.family("qwen3")
    )
    on = dataclasses.replace(task(tmp_path / "e", **KEPT), model_path=str(tmp_path / "m"))
    assert counted(on)[1] > 0
    llama = str(model_of("llama", tmp_path / "llama"))
    for layers in (1, 2):
        folder = tmp_path / f"layers{layers}"
        assert counted(dataclasses.replace(task(folder, **KEPT | {"layers": layers}), model_path=llama))[1] > 0


CONTINUED = [
    ("qwen3", {"dropout": 0.2, "sort_window": 4}),
    ("gemma3", {"packing": True, "device_batch": 4}),
    ("smollm3", {"tuning": "full", "sort_window": 2}),
]


@pytest.mark.parametrize("lost", few([True, False], 1))
@pytest.mark.parametrize(("kind", "params"), few(CONTINUED, 1))
def test_a_continued_runs_losses_equal_an_uninterrupted_runs_whatever_is_still_kept(tmp_path, kind, params, lost):
    given = KEPT | {"tokens": 5000} | params
    whole = sft.train(task(tmp_path / "whole", kind, **given))
    if lost:
        shutil.rmtree(home() / _kept.FOLDER)
    sft.train(task(tmp_path / "part", kind, fidelity=0.3, **given))
    if lost:
        for path in sorted((home() / _kept.FOLDER).glob("*/*"))[::2]:
            path.unlink()
    last = sft.train(task(tmp_path / "last", kind, resume_from=tmp_path / "part" / CHECKPOINT, **given))
    assert last.remarks == {}
    assert losses(tmp_path / "part") + losses(tmp_path / "last") == losses(tmp_path / "whole")
    assert losses(tmp_path / "last", tail=True) == losses(tmp_path / "whole", tail=True) != []
    assert torch.equal(logits(last.model_path), logits(whole.model_path))


def test_the_bound_on_the_disk_holds_and_changes_no_loss(tmp_path, counted, monkeypatch):
    counted(task(tmp_path / "roomy", **KEPT))
    shutil.rmtree(home() / _kept.FOLDER)
    monkeypatch.setenv(_kept.LIMIT, "60KB")
    sizes = []
    write = _kept.ByteStore.write

    def watched(store: Any, *rest: Any) -> None:
        write(store, *rest)
        sizes.append(sum(path.stat().st_size for path in store.folder.glob("*/*")))

    monkeypatch.setattr(_kept.ByteStore, "write", watched)
    _, computed, _ = counted(task(tmp_path / "tight", **KEPT))
    assert 30_000 < max(sizes) <= 60_000
    assert losses(tmp_path / "tight") == losses(tmp_path / "roomy")
    assert computed > len(list((home() / _kept.FOLDER).glob("*/*"))) > 0


@pytest.mark.parametrize("trouble", ["damaged", "a file in the way"])
def test_whatever_is_wrong_with_the_disk_the_losses_are_the_same(tmp_path, counted, trouble):
    counted(task(tmp_path / "first", **KEPT))
    if trouble == "damaged":
        for path in (home() / _kept.FOLDER).glob("*/*"):
            path.write_bytes(path.read_bytes()[:-4] + b"oops")
    else:
        shutil.rmtree(home() / _kept.FOLDER)
        (home() / _kept.FOLDER).write_text("not a folder")
    result, computed, _ = counted(task(tmp_path / "second", **KEPT))
    assert result.remarks == {} and computed > 0
    assert losses(tmp_path / "second") == losses(tmp_path / "first")
    if trouble != "damaged":
        (home() / _kept.FOLDER).unlink()


def test_the_time_limit_holds_with_kept_outputs(tmp_path):
    result = sft.train(task(tmp_path / "run", **KEPT | {"tokens": 10**6}, limit_seconds=2.0))
    assert result.cut_short and result.remarks == {} and result.steps >= 1
    assert len(losses(tmp_path / "run")) == result.steps and result.body_tokens < 10**6


# ---------------------------------------------------------------- where it is off

OFF = [
    ({"layers": "all"}, "the lowest layer is trained, too: set layers to upper_half"),
    ({"embeddings": True}, "weights below the layers are trained, such as embeddings"),
    ({"neftune": 5.0}, "neftune adds noise"),
    ({"layers": 7}, "the lowest layer is trained"),
    ({"tuning": "full", "layers": "all"}, "the lowest layer is trained"),
    ({"tuning": "full", "embeddings": True}, "weights below the layers are trained"),
]


@pytest.mark.parametrize(("params", "reason"), few(OFF, 3))
def test_where_it_is_no_use_or_wrong_it_is_off_and_said(tmp_path, params, reason):
    result = sft.train(task(tmp_path / "kept", **KEPT | params))
    assert reason in result.remarks[NOT_KEPT]
    assert sft.train(task(tmp_path / "plain", **UPPER | params)).remarks == {}
    assert losses(tmp_path / "kept") == losses(tmp_path / "plain")
    assert not (home() / _kept.FOLDER).exists()


def test_a_model_with_dropout_of_its_own_is_trained_as_ever(tmp_path):
    path = foreign_models.gpt2(tmp_path / "gpt2", foreign_models.tokenizer(foreign_models.CHATML))
    result = sft.train(dataclasses.replace(task(tmp_path / "run", **KEPT), model_path=str(path)))
    assert "dropout of its own" in result.remarks[NOT_KEPT]


def test_a_gpt2_without_dropout_is_served_too(tmp_path, counted):
    import json

    path = foreign_models.gpt2(tmp_path / "gpt2", foreign_models.tokenizer(foreign_models.CHATML))
    config = json.loads((path / "config.json").read_text())
    config |= dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    (path / "config.json").write_text(json.dumps(config))
    sft.train(dataclasses.replace(task(tmp_path / "plain", **UPPER), model_path=str(path)))
    result, computed, _ = counted(dataclasses.replace(task(tmp_path / "kept", **KEPT), model_path=str(path)))
    assert result.remarks == {} and computed > 0
    assert losses(tmp_path / "kept") == pytest.approx(losses(tmp_path / "plain"), rel=1e-4)


def test_a_model_whose_upper_layers_read_more_than_the_layer_below_is_found_out(tmp_path, monkeypatch):
    from transformers.models.qwen3 import modeling_qwen3

    forward, seen = modeling_qwen3.Qwen3MLP.forward, {}

    def gossiping(self: Any, x: torch.Tensor) -> torch.Tensor:
        out = forward(self, x)
        found = seen.get("below")
        seen["below"] = out.detach()
        return out + found if found is not None and found.shape == out.shape else out

    monkeypatch.setattr(modeling_qwen3.Qwen3MLP, "forward", gossiping)
    result = sft.train(task(tmp_path / "run", **KEPT))
    assert "need more than the output of the one below" in result.remarks[NOT_KEPT]


def test_a_bound_of_zero_turns_it_off(tmp_path, monkeypatch):
    monkeypatch.setenv(_kept.LIMIT, "0")
    assert _kept.LIMIT in sft.train(task(tmp_path / "run", **KEPT)).remarks[NOT_KEPT]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("20GB", 20 * 10**9), ("1.5 gb", 15 * 10**8), ("500M", 5 * 10**8), ("12", 12), ("0", 0), ("3kB", 3000)],
)
def test_the_bound_is_read_with_its_unit(monkeypatch, text, expected):
    monkeypatch.setenv(_kept.LIMIT, text)
    assert _kept.limit_bytes() == expected


@pytest.mark.parametrize("text", ["much", "-1GB", "1e9", "GB", "٣GB", "5 PB"])
def test_a_bound_that_cannot_be_read_is_told(monkeypatch, text):
    monkeypatch.setenv(_kept.LIMIT, text)
    with pytest.raises(InputError, match="write it as 500MB or 20GB"):
        _kept.limit_bytes()


def test_without_a_bound_it_is_a_share_of_the_free_disk(monkeypatch):
    monkeypatch.delenv(_kept.LIMIT, raising=False)
    monkeypatch.setattr(_kept, "free_bytes", lambda folder: 4000)
    assert _kept.limit_bytes() == 1000
    monkeypatch.setattr(_kept, "free_bytes", lambda folder: 10**15)
    assert _kept.limit_bytes() == _kept.MOST_BYTES


# ---------------------------------------------------------------- one row


def loaded(kind: str) -> Any:
    path = tiny_models.taught(kind)
    return _model.load(str(path), SftParams(**UPPER), family_of(path), "float32", "cpu", None, 0)


@pytest.mark.parametrize("kind", tiny_models.FAMILIES)
def test_a_rows_output_does_not_depend_on_its_batch(kind):
    model = loaded(kind).eval()
    inner = model.get_base_model()
    lower = _lower.Lower(inner.model, _lower.frozen_layers(inner, tiny_models.family(kind)))
    ids_BxL = torch.randint(10, 300, (2, 50), generator=torch.Generator().manual_seed(0))
    mask_BxL = torch.ones_like(ids_BxL)
    mask_BxL[0, 37:] = 0
    with torch.no_grad():
        together = lower.output(input_ids=ids_BxL, attention_mask=mask_BxL)
        alone = [lower.output(input_ids=ids_BxL[:1, :37])[0], lower.output(input_ids=ids_BxL[1:])[0]]
        expected = inner.model(input_ids=ids_BxL, output_hidden_states=True).hidden_states[1]
    assert torch.allclose(together[0, :37], alone[0], atol=1e-4) and torch.allclose(together[1], alone[1], atol=1e-4)
    assert torch.allclose(expected[1], alone[1], atol=1e-4)


def test_rows_are_found_in_padded_and_in_packed_batches():
    rows = [[5, 6, 7], [8, 9], [1]]
    padded = {
        "input_ids": torch.tensor([[5, 6, 7], [8, 9, 0], [1, 0, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0]]),
    }
    packed = {
        "input_ids": torch.tensor([[5, 6, 7, 8, 9, 1]]),
        "position_ids": torch.tensor([[0, 1, 2, 0, 1, 0]]),
    }
    for inputs in (padded, packed):
        assert [row.tolist() for row in _kept.rows_of(inputs)] == rows
        laid = _kept._laid_out([row[:, None].float() for row in _kept.rows_of(inputs)], inputs)
        assert laid.shape == (*inputs["input_ids"].shape, 1)
        assert torch.equal(laid[..., 0].long(), inputs["input_ids"])


def test_a_number_of_threads_is_part_of_the_key(tmp_path, counted):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        counted(task(tmp_path / "one", **KEPT))
        assert counted(task(tmp_path / "one again", **KEPT))[1] == 0
        torch.set_num_threads(2)
        assert counted(task(tmp_path / "two", **KEPT))[1] > 0
    finally:
        torch.set_num_threads(threads)
