"""A micro-batch's rows on several threads: the same losses, whichever thread is first."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from pipeline.data import Built
from pipeline.errors import TrainError
from pipeline.trainers import _streams, sft
from pipeline.trainers._trainer import Trainer
from pipeline.training import CHECKPOINT
from tests import foreign_models
from tests.tiny_models import FAMILIES
from tests.trainers.test_prefix import TOLD
from tests.trainers.test_sft import SUMS, logits, losses, task
from tests.variants import few

BUILT = Built(("sums",), (1.0,), (SUMS,), {}, {})


@pytest.fixture(autouse=True)
def split(monkeypatch):
    """Models of every width are split, whatever their rows share; into how many parts their micro-batches were."""
    monkeypatch.setattr(_streams, "LEAST_WIDTH", 0)
    monkeypatch.setattr(_streams, "LEAST_TOKENS", 16)
    monkeypatch.setattr(_streams, "MOST_AGAIN", 10.0)
    counts: list[int] = []
    run = _streams.split
    monkeypatch.setattr(_streams, "split", lambda inputs, parts: counts.append(parts) or run(inputs, parts))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield counts
    torch.set_num_threads(before)


KINDS = [
    ("qwen3", {"layers": 1, "embeddings": False, "sort_window": 2, "device_batch": 4}),
    ("gemma3", {"tuning": "full"}),
    *((name, {}) for name in FAMILIES),
]


@pytest.mark.parametrize(("name", "params"), few(KINDS, 2))
@pytest.mark.parametrize("rows", few([SUMS, TOLD], 2), ids=["bare", "with a beginning that all share"])
def test_losses_and_weights_are_those_of_rows_on_one_thread(tmp_path, split, name, params, rows):
    built = Built(("sums",), (1.0,), (rows,), {}, {})
    found = sft.train(task(tmp_path / "several", name, built, **params))
    assert len(split) >= found.steps and set(split) == {2}
    split.clear()
    one = sft.train(task(tmp_path / "one", name, built, streams="one", **params))
    assert split == []
    assert losses(tmp_path / "several") == pytest.approx(losses(tmp_path / "one"), rel=2e-3)
    assert torch.allclose(logits(found.model_path), logits(one.model_path), atol=1e-2)
    assert torch.get_num_threads() == 2


def test_losses_do_not_hang_on_which_thread_is_first_nor_on_where_a_run_was_continued(tmp_path, monkeypatch):
    whole = sft.train(task(tmp_path / "whole", built=BUILT))
    sft.train(task(tmp_path / "part", built=BUILT, fidelity=0.4))
    loss_of = Trainer.compute_loss
    turn = iter(range(10**6))

    def late(*args, **kwargs):
        time.sleep(0.01 * (next(turn) // 2 % 2))  # now the first, now the second
        return loss_of(*args, **kwargs)

    monkeypatch.setattr(Trainer, "compute_loss", late)
    last = sft.train(task(tmp_path / "last", built=BUILT, resume_from=tmp_path / "part" / CHECKPOINT))
    assert losses(tmp_path / "part") + losses(tmp_path / "last") == losses(tmp_path / "whole")
    assert torch.equal(logits(last.model_path), logits(whole.model_path))


@pytest.mark.parametrize(
    "params",
    [{"dropout": 0.1}, {"neftune": 5.0}, {"packing": True},
     {"layers": 1, "embeddings": False, "lower_outputs": "kept"}],
    ids=["dropout", "noise", "packing", "kept outputs"],
)  # fmt: skip
def test_rows_that_draw_something_or_are_handed_something_stay_together(tmp_path, split, params):
    sft.train(task(tmp_path, tokens=2000, **params))
    assert split == []


def test_a_model_with_a_dropout_of_its_own_is_trained_as_ever(tmp_path, split):
    tokens = foreign_models.tokenizer(foreign_models.CHATML)
    path = str(foreign_models.llama(tmp_path / "llama", tokens, attention_dropout=0.2))
    given = task(tmp_path / "run", tokens=2000)
    sft.train(type(given)(path, *(getattr(given, name) for name in ("stage", "built", "seed", "folder"))))
    assert split == []


def test_running_out_of_memory_on_a_thread_is_told_as_ever(tmp_path, monkeypatch):
    def fails(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(Trainer, "compute_loss", fails)
    with pytest.raises(TrainError, match="out of memory with device_batch 8: lower device_batch"):
        sft.train(task(tmp_path, tokens=2000))


def test_parts_are_as_many_as_threads_rows_and_tokens_allow(monkeypatch):
    monkeypatch.setattr(_streams, "LEAST_TOKENS", 128)
    mask = torch.ones(4, 256)
    assert [_streams.number(mask, threads) for threads in (1, 2, 3, 16)] == [1, 2, 3, 4]
    assert _streams.number(torch.ones(4, 64), 16) == 2


def test_narrow_models_and_one_thread_keep_rows_together(monkeypatch):
    monkeypatch.setattr(_streams, "LEAST_WIDTH", 256)
    assert _streams.pays(256, 2) and not _streams.pays(255, 2) and not _streams.pays(4096, 1)


def test_rows_that_share_most_of_their_tokens_stay_together(monkeypatch):
    monkeypatch.setattr(_streams, "MOST_AGAIN", 0.25)
    mask = torch.ones(4, 200)
    assert _streams.number(mask, 2, shared=40) == 2
    assert _streams.number(mask, 2, shared=150) == 1


def test_parts_have_all_rows_in_order_and_no_padding_that_they_do_not_need():
    lengths = [2, 3, 5, 9, 9]
    mask = torch.tensor([[1] * n + [0] * (9 - n) for n in lengths])
    ids = mask * torch.arange(1, 6)[:, None]
    parts = _streams.split({"input_ids": ids, "attention_mask": mask}, 2)
    assert [tuple(part["input_ids"].shape) for part in parts] == [(3, 5), (2, 9)]
    assert [int(row.sum()) for part in parts for row in part["input_ids"]] == [2, 6, 15, 36, 45]


def test_gradients_are_added_to_those_that_are_there_and_what_takes_no_part_is_left_alone():
    used, unused = nn.Parameter(torch.tensor([2.0, 3.0])), nn.Parameter(torch.tensor([1.0]))
    used.grad = torch.tensor([1.0, 1.0])
    streams = _streams.Streams(2)
    parts = [{"input_ids": torch.tensor([1.0, 2.0])}, {"input_ids": torch.tensor([10.0, 20.0])}]
    loss = streams.add_gradients(lambda part: (used * part["input_ids"]).sum(), parts, [used, unused])
    streams.close()
    assert float(loss) == 88.0 and used.grad.tolist() == [12.0, 23.0] and unused.grad is None
