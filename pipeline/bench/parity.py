"""`bench parity`: our evaluation against plain `lm_eval run` on the same task: per-item answers and scores.

Plain means lm-eval's own command, its own model class and its own task index with `--include_path evals/NAME`: nothing
of this project but the task's YAML and `utils.py`. It is told what decides an answer and is not in the YAML: the dtype,
the token limit, and the arguments that the family gives its chat template (`enable_thinking=False`).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline import benchmarks
from pipeline.bench.fresh import measured
from pipeline.bench.results import BENCH_FILE, Document, ground, ground_text, write
from pipeline.errors import InputError, PosttrainError
from pipeline.executors import spawn
from pipeline.jobs import JOB, OUTCOME
from pipeline.paths import read_json, read_jsonl, write_json
from pipeline.reporting.blocks import Page, Table, number
from pipeline.types import Benchmark, ItemsKey

OURS, PLAIN = "posttrain", "lm_eval"
SIDES = {OURS: "pipeline.bench.parity.ours", PLAIN: "pipeline.bench.parity.plain"}
Item = dict[str, Any]


def run(
    model: str, model_path: Path, names: Sequence[str], lab_seed: int, limit: int, max_tokens: int, batch: int,
    threads: int, out: Path, told: Callable[..., None],
) -> Document:  # fmt: skip
    """Score search items both ways, each in a fresh process. What lies in `out` from the same work is not done again.

    Raises PosttrainError if a side fails.
    """
    common = {"model_path": str(model_path), "lab_seed": lab_seed, "limit": limit, "max_tokens": max_tokens,
              "batch": batch}  # fmt: skip
    if not (out / BENCH_FILE).is_file():
        write_json(out / BENCH_FILE, {"kind": "parity"})  # whose folder it is, should this be interrupted
    rows = []
    for name in names:
        sides = {}
        for side in SIDES:
            told(f"{name}: {side}, {limit} items at most")
            folder = out / benchmarks.load_benchmark(name).name.replace(":", "-") / side
            sides[side] = _side(folder, SIDES[side], {**common, "benchmark": name}, threads)
        rows.append({"benchmark": name, **agreement(sides[OURS]["items"], sides[PLAIN]["items"]),
                     "sides": {side: _summary(found, max_tokens) for side, found in sides.items()}})  # fmt: skip
    document = {**ground(), **common, "kind": "parity", "model": model, "threads": threads, "benchmarks": rows}
    return write(out, document, page)


def _side(folder: Path, call: str, work: Item, threads: int) -> Item:
    """What one side found: kept from an earlier run of the same work, or measured now."""
    if (folder / "found.json").is_file():
        if read_json(folder / JOB) == work:
            return dict(read_json(folder / "found.json"))
        raise InputError(f"{folder}: holds other work: name a new folder for --out")
    shutil.rmtree(folder, ignore_errors=True)
    executor = spawn.create(1, threads)
    try:
        found = measured(executor, folder, call, work, threads)
    finally:
        executor.close()
    write_json(folder / "found.json", found)
    return found


def agreement(ours: Sequence[Item], plain: Sequence[Item]) -> dict[str, Any]:
    """On how many items the two agree. Raises PosttrainError if they are not the same items in the same order."""
    if [item["id"] for item in ours] != [item["id"] for item in plain]:
        raise PosttrainError("the two sides scored different items: compare them under one version")
    pairs = list(zip(ours, plain, strict=True))
    same = {key: sum(a[key] == b[key] for a, b in pairs) for key in ("strict", "lenient", "response")}
    differing = [a["id"] for a, b in pairs if any(a[key] != b[key] for key in same)]
    return {"items": len(pairs), "same": same, "differing": differing}


def _summary(found: Item, max_tokens: int) -> dict[str, Any]:
    items = found["items"]
    mean = {key: sum(item[key] for item in items) / len(items) for key in ("strict", "lenient")}
    stopped = [item["tokens"] < max_tokens for item in items]
    return {**mean, "stops": sum(stopped) / len(items), "process_seconds": found["process_seconds"],
            "cpu_seconds": found["cpu_seconds"]}  # fmt: skip


# ---------------------------------------------------------------- the two sides, each in a process of its own


def ours(folder: Path) -> None:
    """As `posttrain evaluate` does it, but for the token limit."""
    from pipeline.evaluate import evaluate

    job = read_json(folder / JOB)
    benchmark = benchmarks.load_benchmark(job["benchmark"]).model_copy(update={"max_tokens": job["max_tokens"]})
    items = benchmarks.items(benchmark, "search", ItemsKey(lab_seed=job["lab_seed"]), job["limit"])
    found = evaluate(job["model_path"], benchmark, items, "search", dtype="float32", batch_rows=job["batch"])
    spent, tokens = time.process_time(), _counter(job["model_path"])
    kept = [{key: item[key] for key in ("id", "strict", "lenient", "response")} for item in found.items]
    items = [{**item, "tokens": tokens(item["response"])} for item in kept]
    write_json(folder / OUTCOME, {"items": items, "cpu_seconds": spent})


def plain(folder: Path) -> None:
    """lm-eval's command in a process of its own, and what it left in its folder of samples."""
    import resource  # POSIX only

    job = read_json(folder / JOB)
    benchmark = benchmarks.load_benchmark(job["benchmark"])
    subprocess.run(command(job, benchmark, folder / "lm_eval"), check=True)
    [samples] = (folder / "lm_eval").rglob(f"samples_{benchmark.task}_*.jsonl")
    tokens = _counter(job["model_path"])
    kept = [
        {"id": each["doc"]["id"], "strict": each["strict"], "lenient": each["lenient"], "response": each["resps"][0][0]}
        for each in sorted(read_jsonl(samples), key=lambda each: each["doc_id"])
    ]
    items = [{**item, "tokens": tokens(item["response"])} for item in kept]
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    write_json(folder / OUTCOME, {"items": items, "cpu_seconds": spent.ru_utime + spent.ru_stime})


def command(job: Item, benchmark: Benchmark, out: Path) -> list[str]:
    """The command line that lm-eval is given."""
    from pipeline.chat import family_of

    template = family_of(job["model_path"]).template_kwargs
    given = {"pretrained": job["model_path"], "dtype": "float32", **template}
    metadata = {"lab_seed": job["lab_seed"], "part": benchmark.name.partition(":")[2]}
    return [
        sys.executable, "-m", "lm_eval", "run", "--model", "hf",
        "--model_args", ",".join(f"{key}={value}" for key, value in given.items()),
        "--include_path", benchmark.folder, "--tasks", benchmark.task, "--apply_chat_template",
        "--limit", str(job["limit"]), "--gen_kwargs", f"max_gen_toks={job['max_tokens']}",
        "--batch_size", str(job["batch"]), "--device", _device(), "--metadata", json.dumps(metadata),
        "--log_samples", "--output_path", str(out),
    ]  # fmt: skip


def _device() -> str:
    from pipeline import weights

    return weights.placement("float32")[0]


def _counter(model_path: str) -> Callable[[str], int]:
    """Counts an answer's tokens alike for both sides: one shorter than the limit ended by itself."""
    from pipeline import weights
    from pipeline.chat import family_of

    tokenizer = weights.load_tokenizer(model_path, family_of(model_path))
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


# ---------------------------------------------------------------- page


def page(document: Document) -> Page:
    """The document in words."""
    rows = [_row(row) for row in document["benchmarks"]]
    equal = sum(not row["differing"] for row in document["benchmarks"])
    return Page(
        title="Our evaluation and plain lm_eval",
        subtitle=f"{document['model']}, the first {document['limit']} search items, at most {document['max_tokens']} "
        f"tokens, greedy, float32, batches of {document['batch']}, {document['threads']} threads; "
        f"{ground_text(document)}",
        headline=f"{equal} of {len(rows)}",
        caption="benchmarks with equal answers and scores on every item.",
        warning="",
        blocks=(
            Table(
                title="posttrain / lm_eval run",
                header=("benchmark", "items", "strict", "lenient", "stopped", "seconds", "CPU", "answers", "scores"),
                rows=tuple(rows),
                note="stopped: the share of answers shorter than the limit; seconds: the whole process, imports and "
                "lm_eval's reading of its own tasks included; CPU: of it, but for code in the sandbox; answers, "
                "scores: items on which the two agree",
            ),
        ),
    )


def _row(row: Item) -> tuple[str, ...]:
    def both(key: str, digits: int) -> str:
        return " / ".join(number(row["sides"][side][key], digits) for side in SIDES)

    same = row["same"]
    return (
        row["benchmark"], str(row["items"]), both("strict", 3), both("lenient", 3), both("stops", 2),
        both("process_seconds", 0), both("cpu_seconds", 0),
        str(same["response"]), str(min(same["strict"], same["lenient"])),
    )  # fmt: skip
