"""With full real vocabularies a model learns to stop at its real turn token, and all ways to load it agree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline import weights
from pipeline.data import Built
from pipeline.engines.hf import open_engine
from pipeline.errors import DataError
from pipeline.paths import read_jsonl
from pipeline.trainers import _trainer, sft
from pipeline.training import LOSSES, TrainResult, TrainTask
from pipeline.types import DataRef, Request, Stage
from tests import real_models, tiny_models
from tests.real_models import FAMILIES

COLOURS = {"grass": "green", "blood": "red", "snow": "white", "coal": "black"}
PARAMS: dict[str, Any] = {  # 40 steps: 31, and 9 of the tail
    "steps": 31, "tail": 0.3, "batch_size": 4, "learning_rate": 2e-2, "warmup_steps": 2, "rank": 8, "embeddings": True,
    "dtype": "float32",
}  # fmt: skip


def asked(thing: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"What colour is {thing}?"}]


def row(thing: str, colour: str) -> dict[str, Any]:
    return {"messages": [*asked(thing), {"role": "assistant", "content": f"It is {colour}."}]}


ROWS = [row(*each) for each in COLOURS.items()]


def task(place: Path, name: str, rows: list[dict[str, Any]], **params: Any) -> TrainTask:
    stage = Stage(data=(DataRef(name="colours"),), params=PARAMS | params)
    built = Built(("colours",), (1.0,), (rows,), {}, {})
    return TrainTask(str(real_models.folder(name)), stage, built, seed=0, folder=place)


@dataclass
class Trained:
    """What came of training: the adapter's folder, the merged model's, and the model as it was in memory."""

    name: str
    result: TrainResult
    merged: Path
    model: Any


@pytest.fixture(scope="module", params=FAMILIES)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """An adapter with the embeddings, trained for 40 steps and exported."""
    kept: dict[str, Any] = {}
    place, save = tmp_path_factory.mktemp(request.param), sft._save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sft, "_save", lambda model, *rest: kept.update(model=model) or save(model, *rest))
        result = sft.train(task(place / "run", request.param, ROWS))
    weights.export(result.model_path, place / "final")
    return Trained(request.param, result, place / "final", kept["model"])


def answers(folder: Path, name: str) -> list[tuple[str, int]]:
    """What plain transformers generates after each question, and the last token's number."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    given = {"add_generation_prompt": True, "return_tensors": "pt", "return_dict": True}
    switch, found = tiny_models.family(name).template_kwargs, []
    for thing in COLOURS:
        ids = tokenizer.apply_chat_template(asked(thing), **given, **switch)
        out = model.generate(**ids, max_new_tokens=20, do_sample=False)[0, ids["input_ids"].shape[1] :]
        found.append((tokenizer.decode(out, skip_special_tokens=True), int(out[-1])))
    return found


def test_the_merged_model_stops_at_its_real_turn_token_under_plain_generate_and_the_engine_sees_the_same(trained):
    end = real_models.tokenizer(trained.name).convert_tokens_to_ids(tiny_models.family(trained.name).end_of_turn)
    assert len(read_jsonl(Path(trained.result.model_path).with_name(LOSSES))) == 40
    plain = answers(trained.merged, trained.name)
    # 40 steps teach how an answer goes and where it ends, if not always the right colour
    assert {last for _, last in plain} == {end}
    assert all(text.startswith("It is") and len(text) < 20 for text, _ in plain)
    engine = open_engine(str(trained.merged), dtype="float32")
    found = engine.generate([Request(messages=tuple(asked(thing)), max_tokens=20) for thing in COLOURS])
    assert [(each.text, each.stopped) for [each] in found] == [(text, True) for text, _ in plain]
    before = real_models.engine(trained.name).generate([Request(messages=tuple(asked("grass")), max_tokens=20)])
    assert not before[0][0].stopped


def logits(model: Any, name: str) -> torch.Tensor:
    ids = real_models.tokenizer(name)("It is green. 12 + 34\n", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        return model.eval()(ids).logits


def test_the_trained_model_its_adapter_the_merged_folder_and_a_reload_agree(trained):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    expected = logits(trained.model, trained.name)
    base = AutoModelForCausalLM.from_pretrained(real_models.folder(trained.name))
    untrained = logits(base, trained.name)
    adapted = PeftModel.from_pretrained(base, trained.result.model_path)
    others = (adapted, AutoModelForCausalLM.from_pretrained(trained.merged), weights.load_model(trained.merged))
    for other in others:
        assert torch.allclose(logits(other, trained.name), expected, atol=1e-3, rtol=1e-4)
    assert not torch.allclose(untrained, expected, atol=0.1)
    assert others[1].get_output_embeddings().weight.shape[0] == real_models.rows(trained.name)


@pytest.mark.slow
@pytest.mark.real("gemma3")
def test_the_largest_vocabularys_loss_is_the_same_at_once_and_in_tiles(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "load_tokenizer", lambda *_: real_models.tokenizer("gemma3"))  # seconds each time
    monkeypatch.setattr(sft, "_save", lambda model, task, *_: task.folder)
    losses = []
    for limit in (_trainer.LOGITS_AT_ONCE, 0):
        monkeypatch.setattr(_trainer, "LOGITS_AT_ONCE", limit)
        losses.append(sft.train(task(tmp_path / str(limit), "gemma3", ROWS, steps=2)).final_loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.real("gemma3")
def test_rows_that_cannot_be_trained_are_left_out_and_told_and_none_left_is_one_line(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(weights, "load_tokenizer", lambda *_: real_models.tokenizer("gemma3"))
    monkeypatch.setattr(sft, "_save", lambda model, task, *_: task.folder)
    refused = {"messages": [*asked("ice"), *ROWS[0]["messages"]]}  # two users in a row
    unknown = row("<image_soft_token>", "grey")
    sft.train(task(tmp_path / "a", "gemma3", [*ROWS, refused, unknown], steps=1))
    told = capfd.readouterr().err
    assert (
        "colours: 2 of 6 rows are left out: 1 the chat template refuses; 1 hold a token that the model has no" in told
    )
    with pytest.raises(DataError, match="^colours: no row can be trained: 2 the chat template refuses: mend that or"):
        sft.train(task(tmp_path / "b", "gemma3", [refused, refused], steps=1))


def test_nearly_all_parameters_of_these_models_are_embeddings(trained):
    counted = sum(p.numel() for p in weights.load_model(trained.merged).parameters())
    rows = real_models.rows(trained.name)
    assert rows * 32 < counted < rows * 32 * 1.01
