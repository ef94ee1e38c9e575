"""A task's folder: an ordinary benchmark with its data, its data source, its recipe and a README. Whole or none."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import yaml

from pipeline import catalogue, sizes
from pipeline.owntask import texts
from pipeline.owntask.dividing import Divided
from pipeline.owntask.reading import Example
from pipeline.paths import sync_folder, write_atomic, write_jsonl
from pipeline.recipe import dump_recipe
from pipeline.task_items import fill
from pipeline.types import DataRef, Recipe, Stage
from pipeline.yaml_file import Dumper

Document = dict[str, Any]
METRICS = {
    "choice": "accuracy", "exact": "exact match", "number": "number match", "contains": "target contained",
    "json": "JSON by value",
}  # fmt: skip
SHOTS, MOST_SHOTS, SHOT_TOKENS = 4, 8, 1500  # examples; tokens that all of them may take
LEAST_ROOM, NUMBER_ROOM = 16, 64  # tokens of an answer; one that calculates aloud ends in its number
PASSES, LEAST_TOKENS, MOST_TOKENS = 3, 200_000, 20_000_000  # over the training rows at full length
SMALL_TOKENS = 400_000  # half an hour of two cores with a model of 135 M parameters
LEAST_LENGTH, MOST_LENGTH = 128, 2048  # tokens of a training row
MODEL = "Qwen/Qwen3-1.7B-Base"  # in the recipe; the run's own takes its place


def write(out: Path, document: Document, divided: Divided, target: str, columns: Sequence[str]) -> None:
    """Write the folder beside its place and move it there whole. `columns` are those that the prompt names."""
    temporary = out.with_name(f".{out.name}.{os.getpid()}.{secrets.token_hex(4)}")
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    try:
        _fill(temporary, document, divided, target, columns)
        os.rename(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_folder(out.absolute().parent)


def _fill(folder: Path, document: Document, divided: Divided, target: str, columns: Sequence[str]) -> None:
    name, data = document["name"], folder / "data"
    for split in ("train", "search", "final"):
        write_jsonl(data / f"{split}.jsonl", _rows(getattr(divided, split), target, columns))
    shots = _shots(document, divided.train)
    write_jsonl(data / "fewshot.jsonl", _rows(shots, target, columns))
    if document["labels"] is not None:
        labels = [each["label"] for each in document["labels"]]
        write_atomic(data / "labels.json", json.dumps(labels, ensure_ascii=False, indent=1) + "\n")
    write_atomic(data / f"{name}.yaml", texts.SOURCE + _yaml(_source(document)))
    write_atomic(folder / "benchmark.yaml", texts.BENCHMARK + _yaml(_benchmark(document, len(shots))))
    recipe = _recipe(document)
    write_atomic(folder / "recipe.yaml", texts.RECIPE + dump_recipe(recipe))
    write_atomic(folder / f"recipe{sizes.SUFFIX}.yaml", texts.RECIPE_SMALL + dump_recipe(_small(recipe)))
    holes = {
        "NAME": json.dumps(name),
        "FILE": json.dumps(f"{name}.yaml"),
        "TASK": json.dumps(f"{name}_few_shot"),
        "SHOTS": str(len(shots)),
        "ROOM": str(_room(document)),
        "UNTIL": json.dumps(
            ["\nQuestion:"] if any("\n\n" in row.target for row in divided.train) else ["\n\n", "Question:"]
        ),
    }
    write_atomic(folder / f"{name}.yaml", fill(texts.TASK, holes))
    write_atomic(folder / f"{name}_few_shot.yaml", fill(texts.FEW_SHOT, holes))
    constants = {
        "DOC": name,
        "NAME": repr(name),
        "METRIC": repr(document["metric"]),
        "TARGET": repr(target),
        "PROMPT": repr(document["prompt"]),
        "JSON": "import json\n" if document["labels"] is not None else "",
        "LABELS": texts.LABELS if document["labels"] is not None else "()",
    }
    write_atomic(folder / "utils.py", fill(texts.UTILS, constants))
    write_atomic(folder / "README.md", texts.readme(document, len(shots)))


def _yaml(value: Document) -> str:
    return yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=False, width=120)


def _rows(rows: Sequence[Example], target: str, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """The rows in their own columns, as far as the task uses them."""
    for row in rows:
        yield {**{name: row.columns.get(name, "") for name in columns}, target: row.target}


def _benchmark(document: Document, shots: int) -> Document:
    name, scored = document["name"], document["scored"]
    return {
        "name": name,
        "summary": f"A task of your own: {document['metric_means']}.",
        "metric": METRICS[document["metric"]],
        "kind": kind(name),
        "items": {
            "search": {"file": "data/search.jsonl", "n": scored["search"]},
            "final": {"file": "data/final.jsonl", "n": scored["final"]},
            "fewshot": {"file": "data/fewshot.jsonl"},
        },
        "recipe": "recipe.yaml",
        "few_shot": shots,
        "max_tokens": _room(document),
    }


def kind(name: str) -> str:
    """The kind of data that belongs to a task: its own, whatever kinds the catalogue has."""
    return name if name not in catalogue.kinds().values() else f"{name} of your own"


def _source(document: Document) -> Document:
    return {
        "name": document["name"],
        "loader": "task",
        "path": "train.jsonl",
        "kind": kind(document["name"]),
        "summary": f"The {document['rows']['train']} training rows of {document['name']}, asked as its items are.",
    }


def _recipe(document: Document) -> Recipe:
    tokens = document["tokens"]
    per_row = tokens["prompt"]["median"] + tokens["answer"]["median"]
    longest = tokens["prompt"]["longest"] + tokens["answer"]["longest"]
    params = {
        "tuning": "lora", "rank": 16, "alpha": 16, "targets": "all", "layers": "all", "embeddings": "auto",
        "learning_rate": 1e-3, "schedule": "constant_tail", "tail": 0.15, "warmup_steps": 10,
        "tokens": min(MOST_TOKENS, max(LEAST_TOKENS, PASSES * per_row * document["rows"]["train"])),
        "batch_size": 16, "max_length": min(MOST_LENGTH, max(LEAST_LENGTH, 64 * ceil((3 * longest + 64) / 64))),
        "answers_only": True, "weight_decay": 0.0,
    }  # fmt: skip
    return Recipe(model=MODEL, stages=(Stage(data=(DataRef(name=document["name"]),), params=params),))


def _small(recipe: Recipe) -> Recipe:
    """The recipe for models that `sizes` calls small, as minutes on a CPU want it."""
    stage = recipe.stages[0]
    params = stage.params | {
        "layers": "upper_half", "learning_rate": 2e-3, "tokens": min(SMALL_TOKENS, stage.params["tokens"]),
        "sort_window": 16,
    }  # fmt: skip
    return recipe.model_copy(update={"stages": (stage.model_copy(update={"params": params}),)})


def _room(document: Document) -> int:
    """Tokens that an answer may take: half as many again as the longest target has."""
    least = NUMBER_ROOM if document["metric"] == "number" else LEAST_ROOM
    return max(least, ceil(1.5 * document["tokens"]["answer"]["longest"]) + 8)


def _shots(document: Document, train: Sequence[Example]) -> list[Example]:
    """Worked examples out of the training rows: as many different targets as there is room for."""
    tokens = document["tokens"]
    room = max(1, SHOT_TOKENS // max(1, tokens["prompt"]["p95"] + tokens["answer"]["p95"]))
    wanted = min(room, max(SHOTS, min(MOST_SHOTS, len(document["labels"] or ()))))
    first = list({row.target: row for row in reversed(train)}.values())[::-1]
    rest = [row for row in train if row not in first[:wanted]] if len(first) < wanted else []
    return [*first, *rest][:wanted]
