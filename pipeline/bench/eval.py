"""`bench eval`: our engine under lm-eval against lm-eval's own HFLM: same task, items, prompts and batch size."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline import benchmarks
from pipeline.bench.fresh import Round, compared, interleaved, paired_table, ratio_text
from pipeline.bench.results import Document, ground, ground_text
from pipeline.jobs import JOB, OUTCOME
from pipeline.paths import read_json, write_json
from pipeline.reporting.blocks import Page
from pipeline.types import Benchmark, ItemsKey

OURS, THEIRS = "posttrain", "lm_eval"
SIDES = {OURS: "pipeline.bench.eval.ours", THEIRS: "pipeline.bench.eval.stock"}
Item = dict[str, Any]


def run(
    model: str, model_path: Path, benchmark: Benchmark, lab_seed: int, limit: int, batch: int, runs: int, threads: int,
    place: Path, told: Callable[..., None],
) -> Document:  # fmt: skip
    """Score in turns, in fresh processes below `place`. Raises PosttrainError if a side fails."""
    work = {
        "model_path": str(model_path),
        "benchmark": benchmark.folder,
        "lab_seed": lab_seed,
        "limit": limit,
        "batch": batch,
    }
    rounds = interleaved(SIDES, work, place, runs, threads, told)
    return {
        **ground(),
        "kind": "eval",
        "model": model,
        "benchmark": benchmark.name,
        "lab_seed": lab_seed,
        "threads": threads,
        "batch": batch,
        "items": len(rounds[0][OURS]["items"]),
        **agreement(rounds[0]),
        "process_seconds": compared(rounds, lambda side: side["process_seconds"], OURS, THEIRS),
        "seconds": compared(rounds, lambda side: side["seconds"], OURS, THEIRS),
        "rounds": [
            {side: {name: value for name, value in found.items() if name != "items"} for side, found in each.items()}
            for each in rounds
        ],
    }


def agreement(found: Round) -> dict[str, Any]:
    """Both scores, and on how many items the two differ: in their strict score, in what was answered."""
    ours, theirs = ({item["id"]: item for item in found[side]["items"]} for side in (OURS, THEIRS))
    return {
        "scores": {side: _mean(found[side]["items"]) for side in (OURS, THEIRS)},
        "different_scores": sum(ours[name]["strict"] != theirs[name]["strict"] for name in ours),
        "different_answers": sum(ours[name]["response"].strip() != theirs[name]["response"].strip() for name in ours),
    }


def _mean(items: list[Item]) -> float:
    return float(sum(item["strict"] for item in items)) / len(items)


# ---------------------------------------------------------------- the two sides, each in a process of its own


def ours(folder: Path) -> None:
    """Our harness and engine, as a search uses them."""
    job, begun = read_json(folder / JOB), time.perf_counter()
    from pipeline.engines import hf  # noqa: F401 (imported before the clock starts)
    from pipeline.evaluate import evaluate
    from pipeline.scorers import harness  # noqa: F401

    imported = time.perf_counter()
    benchmark, items = _wanted(job)
    found = evaluate(
        job["model_path"], benchmark, items, "search", engine="hf", dtype="float32", batch_rows=job["batch"]
    )
    kept = [{name: item[name] for name in ("id", "strict", "response")} for item in found.items]
    _write(folder, begun, imported, kept)


def stock(folder: Path) -> None:
    """lm-eval with its own model class, given the task, the tokenizer and the length limit that ours has."""
    job, begun = read_json(folder / JOB), time.perf_counter()
    import torch  # noqa: F401 (first, as everywhere)
    from lm_eval import evaluator
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    from pipeline import weights
    from pipeline.chat import family_of

    imported = time.perf_counter()
    benchmark, items = _wanted(job)
    family, (device, dtype) = family_of(job["model_path"]), weights.placement("float32")
    manager = TaskManager(include_defaults=False, metadata={"items": items, "shots": []})
    path = str(Path(benchmark.folder) / f"{benchmark.task}.yaml")
    task = manager.load([path])["tasks"][benchmark.task]
    task.set_config("generation_kwargs", {"max_gen_toks": benchmark.max_tokens}, update=True)
    model = HFLM(
        pretrained=job["model_path"], tokenizer=weights.load_tokenizer(job["model_path"], family), device=device,
        dtype=dtype, batch_size=job["batch"], chat_template_args=family.template_kwargs,
    )  # fmt: skip
    found = evaluator.evaluate(
        lm=model, task_dict={"tasks": {task.task_name: task}}, bootstrap_iters=0, apply_chat_template=True,
        log_samples=True,
    )  # fmt: skip
    samples = found["samples"][task.task_name]
    kept = [
        {"id": sample["doc"]["id"], "strict": float(sample["strict"]), "response": sample["resps"][0][0]}
        for sample in samples
    ]
    _write(folder, begun, imported, kept)


def _wanted(job: Item) -> tuple[Benchmark, list[Item]]:
    benchmark = benchmarks.load_benchmark(job["benchmark"])
    return benchmark, benchmarks.items(benchmark, "search", ItemsKey(lab_seed=job["lab_seed"]), job["limit"])


def _write(folder: Path, begun: float, imported: float, items: list[Item]) -> None:
    seconds = time.perf_counter() - imported
    write_json(folder / OUTCOME, {"seconds": seconds, "import_seconds": imported - begun, "items": items})


# ---------------------------------------------------------------- page


def page(document: Document) -> Page:
    """The document in words."""
    scores, ratio = document["scores"], document["process_seconds"]["ratio"]
    times = (
        ("seconds, the whole process", document["process_seconds"]),
        ("seconds, imports left out", document["seconds"]),
    )
    same = (
        f"of {document['items']} items {document['different_scores']} are scored differently and "
        f"{document['different_answers']} answered differently"
    )
    return Page(
        title="Evaluation, ours and lm-eval's",
        subtitle=f"{document['model']}, {document['items']} search items of {document['benchmark']}, batches of "
        f"{document['batch']}, float32, {document['threads']} threads; {ground_text(document)}",
        headline=f"{ratio['median']:.2f} times",
        caption="the seconds of lm-eval's HFLM, whole process (median of paired rounds).",
        warning="",
        blocks=(
            paired_table(
                ("posttrain", "lm_eval HFLM"),
                len(document["rounds"]),
                [
                    (name, f"{found[OURS]:.2f}", f"{found[THEIRS]:.2f}", ratio_text(found["ratio"]))
                    for name, found in times
                ],
                [("score", f"{scores[OURS]:.4f}", f"{scores[THEIRS]:.4f}")],
                same,
            ),
        ),
    )
