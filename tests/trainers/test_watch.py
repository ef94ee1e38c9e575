"""Looking at held-out rows in the middle of training."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from pipeline import weights
from pipeline.trainers import _watch
from pipeline.training_rows import tokenise
from tests import tiny_models

ROWS = [
    {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": told}]}
    for asked, told in (tiny_models.sums(number) for number in range(81))
]


def test_an_answer_counts_if_greedy_decoding_gives_it_whole_and_stops():
    path = tiny_models.taught("qwen3")
    model, tokenizer = weights.load_model(path), weights.load_tokenizer(path)
    tokens = tokenise(ROWS, tokenizer, tiny_models.family("qwen3"))
    found = _watch.held_out(model, list(_watch.batches(tokens, tokenizer.pad_token_id)))
    right = 0
    for number in range(len(ROWS)):
        ids, labels = tokens.row(number, answers_only=True)
        begin = int((labels != -100).argmax())
        prompt = torch.tensor([ids[:begin].tolist()])
        with torch.no_grad():
            told = model.generate(prompt, max_new_tokens=len(ids) - begin, do_sample=False)[0, begin:]
        right += told.tolist() == ids[begin:].tolist()
    assert found["accuracy"] == right / len(ROWS) and found["loss"] > 0


def test_marks_are_reached_by_the_training_clock_which_stands_still_while_it_looks(monkeypatch):
    now = [100.0]
    path = tiny_models.taught("qwen3")
    watch = _watch.Watch(str(path), ROWS[:2], [1.0, 2.0, 2.9], clock=lambda: now[0])

    def slow(model: object, rows: object) -> dict[str, float]:
        now[0] += 50.0
        return {"accuracy": 0.0, "loss": 1.0}

    monkeypatch.setattr(_watch, "held_out", slow)
    control = SimpleNamespace(should_training_stop=False)
    watch.on_train_begin(None, None, control)
    for step in range(1, 8):
        now[0] += 0.6
        watch.on_step_end(None, SimpleNamespace(global_step=step), control, model=None)
        if control.should_training_stop:
            break
    assert [(look["steps"], round(look["seconds"], 6)) for look in watch.looks] == [(2, 1.2), (4, 2.4), (5, 3.0)]
    watch.on_train_end(None, None, control, model=None)
    assert len(watch.looks) == 3 and control.should_training_stop


def test_where_rows_are_used_up_before_the_time_it_looks_at_the_end(monkeypatch):
    watch = _watch.Watch(str(tiny_models.taught("qwen3")), ROWS[:3], [1e6])
    model = weights.load_model(tiny_models.taught("qwen3")).train()
    control = SimpleNamespace(should_training_stop=False)
    watch.on_train_begin(None, None, control)
    watch.on_step_end(None, SimpleNamespace(global_step=1), control, model=model)
    assert not watch.looks and not control.should_training_stop
    watch.on_train_end(None, SimpleNamespace(global_step=1), control, model=model)
    assert len(watch.looks) == 1 and 0 <= watch.looks[0]["accuracy"] <= 1 and model.training
