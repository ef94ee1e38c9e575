"""A run's beginning: what is sealed is what its result rests on, wherever that lies."""

from __future__ import annotations

import json

import pytest

from pipeline import opening
from pipeline.guards import files
from pipeline.recipe import load_recipe
from pipeline.request import RunRequest
from pipeline.types import Budget


@pytest.mark.parametrize("changed", ["test.jsonl", "train.jsonl"])
def test_the_local_copies_that_items_and_rows_are_read_from_are_sealed(tmp_path, monkeypatch, changed):
    monkeypatch.setenv("POSTTRAIN_DATA_ROOT", str(tmp_path / "data"))
    (tmp_path / "data" / "gsm8k").mkdir(parents=True)
    for name in ("test.jsonl", "train.jsonl", "other.jsonl"):
        (tmp_path / "data" / "gsm8k" / name).write_text(json.dumps({"question": name, "answer": "#### 1"}))
    monkeypatch.setattr(files, "_harness", lambda secret: {})
    request = RunRequest(
        model="m", model_path="m", benchmark="gsm8k", recipe=load_recipe("gsm8k"), budget=Budget(seconds=60)
    )
    opening.make_folder(tmp_path / "run", request).release()
    sealed = json.loads((tmp_path / "run" / "run.json").read_text())["seals"]["files"]
    (tmp_path / "data" / "gsm8k" / "other.jsonl").write_text("{}")
    assert files.on_finish(tmp_path / "run", sealed).ok
    copy = tmp_path / "data" / "gsm8k" / changed
    copy.write_text("{}")
    assert files.on_finish(tmp_path / "run", sealed).evidence == (f"file {copy} was changed",)
