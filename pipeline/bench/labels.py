"""`bench labels`: what else a classification task could be given to: TF-IDF with logistic regression on the same rows,
and the labels scored by likelihood instead of written.

A model that writes freely may write anything; scored by likelihood it must name one of the labels, so the two tell
apart what it knows and whether it says it. Both readings are of the same prompts. TF-IDF with logistic regression needs
no language model: it is what a task of this kind would otherwise be given to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import benchmarks, decoding, noise, plugins, scoring_progress, set_items
from pipeline.bench.results import Document, ground, ground_text
from pipeline.errors import InputError
from pipeline.offtarget import Heard, gold
from pipeline.paths import read_jsonl
from pipeline.reporting.blocks import Page, Table, interval, number
from pipeline.types import Benchmark, ItemsKey, Request

Item = dict[str, Any]
TRAIN, METRIC = Path("data") / "train.jsonl", "choice"
STRENGTHS = (1.0, 10.0, 100.0)  # of logistic regression, C: the one that is best on the search items is taken
Z = 1.96  # standard errors to the ends of a 95% interval
STEPS = 2000  # of its optimiser at most
LABELS_AT_ONCE = 16  # all logits of a label are held in memory; the rest is left out once it cannot win


def run(
    models: Sequence[tuple[str, Path]], benchmark: Benchmark, limit: int | None, told: Callable[..., None]
) -> Document:  # fmt: skip
    """Score `benchmark`'s final items in each way. Raises InputError if it is no task with labels."""
    rows = check(benchmark)
    items = benchmarks.items(benchmark, "final", ItemsKey(), limit)
    golds = [gold(benchmark, item) for item in items]
    told("TF-IDF with logistic regression")
    found = [_linear(benchmark, rows, items, golds)]
    labels = list(dict.fromkeys(gold(benchmark, row) for row in rows))
    for name, path in models:
        found += _both_ways(name, path, benchmark, items, golds, labels, told)
    common = {"kind": "labels", "benchmark": benchmark.name, "items": len(items), "labels": len(labels)}
    return {**ground(), **common, "train_rows": len(rows), "ways": found}


def check(benchmark: Benchmark) -> list[Item]:
    """The training rows, as items. Raises InputError for a benchmark that is not a task with labels."""
    path = Path(benchmark.folder) / TRAIN
    module = set_items.module_of(benchmark.folder)
    if not path.is_file() or getattr(module, "METRIC", None) != METRIC:
        raise InputError(
            f"--benchmark {benchmark.name}: labels are scored for tasks of `posttrain task create --metric choice`"
        )
    return [module.item(row, place, 0) for place, row in enumerate(read_jsonl(path))]


def _line(name: str, way: str, right: Sequence[float], seconds: float) -> Item:
    error = noise.standard_error(right) if len(right) > 1 else None
    return {"name": name, "way": way, "accuracy": float(np.mean(right)), "stderr": error, "seconds": seconds}


# ---------------------------------------------------------------- without a language model


def _linear(benchmark: Benchmark, rows: Sequence[Item], items: Sequence[Item], golds: Sequence[str]) -> Item:
    """Words and pairs of words, weighted; the strength is chosen on the search items."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    begun = time.perf_counter()
    held = benchmarks.items(benchmark, "search", ItemsKey())
    weigh = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    inputs = weigh.fit_transform([row["question"] for row in rows])
    targets = [gold(benchmark, row) for row in rows]
    asked, wanted = weigh.transform([item["question"] for item in held]), [gold(benchmark, item) for item in held]
    fitted = [LogisticRegression(C=strength, max_iter=STEPS).fit(inputs, targets) for strength in STRENGTHS]
    best = max(fitted, key=lambda each: float(each.score(asked, wanted)))
    answers = best.predict(weigh.transform([item["question"] for item in items]))
    right = [float(answer == wanted) for answer, wanted in zip(answers, golds, strict=True)]
    return _line(f"TF-IDF, logistic regression (C {best.C:g})", "chosen", right, time.perf_counter() - begun)


# ---------------------------------------------------------------- a language model


def _both_ways(
    name: str, path: Path, benchmark: Benchmark, items: Sequence[Item], golds: Sequence[str], labels: Sequence[str],
    told: Callable[..., None],
) -> list[Item]:  # fmt: skip
    """What the model writes, and the label that it finds likeliest after the same prompts."""
    begun = time.perf_counter()
    engine = plugins.entry("engines", "hf")(str(path))
    scoring_progress.listen(engine, partial(told, f"{name}: written freely"))
    asked = Heard(engine)
    drawn = benchmark.model_copy(update={"decoding": decoding.settled(benchmark.decoding, path)})
    written = plugins.entry("scorers", benchmark.scorer)(asked, drawn, items, 0, ())
    between = time.perf_counter()
    requests = [asked.requests[place] for place in range(len(items))]
    chosen = by_likelihood(engine, requests, labels, partial(told, f"{name}: by likelihood"))
    right = [float(label == wanted) for label, wanted in zip(chosen, golds, strict=True)]
    return [
        _line(name, "written freely", [item["strict"] for item in written], between - begun),
        _line(name, "by likelihood", right, time.perf_counter() - between),
    ]


def by_likelihood(
    engine: Any, requests: Sequence[Request], labels: Sequence[str], told: Callable[[float], None]
) -> list[str]:  # fmt: skip
    """For each request the label that the engine's model finds likeliest after it, the end of the turn included.

    With its end no label that begins another has an advantage; sums of log-probabilities, not means: labels are
    compared as whole answers.
    """
    end = engine.family.end_of_turn
    endings = engine.tokenizer([label + end for label in labels], add_special_tokens=False)["input_ids"]
    chosen = []
    for place, request in enumerate(requests):
        chosen.append(labels[engine.likeliest(request, endings, LABELS_AT_ONCE)])
        told((place + 1) / len(requests))
    return chosen


# ---------------------------------------------------------------- page


def page(document: Document) -> Page:
    """The document in words."""
    lines = tuple(
        (
            f"{way['name']}, {way['way']}",
            interval(_reach(way)) if way["stderr"] is not None else number(way["accuracy"]),
            f"{way['seconds']:.0f}",
        )
        for way in document["ways"]
    )
    best = max(document["ways"], key=lambda way: way["accuracy"])
    return Page(
        title="Labels, chosen in other ways",
        subtitle=f"{document['benchmark']}: {document['items']} final items, {document['labels']} labels, "
        f"{document['train_rows']} training rows",
        headline=number(best["accuracy"], 3),
        caption=f"is the most, by {best['name']}, {best['way']}.",
        warning="",
        blocks=(
            Table(
                "Accuracy",
                lines,
                ("", "accuracy", "seconds"),
                note=f"by likelihood: the likeliest label after the same prompt, its end of turn included; "
                f"{ground_text(document)}",
            ),
        ),
    )


def _reach(way: Item) -> dict[str, float]:
    reach = Z * way["stderr"]
    low, high = max(0.0, way["accuracy"] - reach), min(1.0, way["accuracy"] + reach)
    return {"value": way["accuracy"], "low": low, "high": high}
