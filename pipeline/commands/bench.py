"""`posttrain bench`: measurements of the project itself, each with one command."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline import console
from pipeline.commands import options
from pipeline.commands.bench_fast import fast
from pipeline.commands.bench_labels import labels
from pipeline.commands.run import QWEN3, TINY_GSM8K
from pipeline.commands.running import FLAGGED, SEEDS
from pipeline.commands.scoring import by_lab
from pipeline.commands.showing import show
from pipeline.commands.watching import Watcher
from pipeline.errors import InputError

if TYPE_CHECKING:
    from pipeline.asking import Asked

app = typer.Typer(
    help="Measure agents, the lab's landscape, trial starts, training, evaluation and judges.", rich_markup_mode=None
)
Families = Annotated[list[str], typer.Option("--family", metavar="F", help="Commas, repeats and `all` are taken.")]
Family = Annotated[str, typer.Option(metavar="F", help="See `posttrain list families`.")]
OneBenchmark = Annotated[str, typer.Option("--benchmark", metavar="B", help="See `posttrain list benchmarks`.")]
Rounds = Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Rounds, each with both sides.")]
Series = Annotated[Path, typer.Option("--out", metavar="DIR", help="New, or of the same measurement: it goes on.")]


@app.command()
def agents(
    out: Series,
    agents: Annotated[str, typer.Option(metavar="A,B..", help="The first is compared with the others.")] = (
        "asha,plain,random"
    ),
    seeds: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Search seeds.")] = 5,
    first_seed: Annotated[int, typer.Option(metavar="N", min=0, max=2**31, help="The first of them.")] = 0,
    budget: options.BudgetText = "120s",
    benchmark: options.Benchmarks = TINY_GSM8K,
    family: Families = QWEN3,
    lab_seed: options.LabSeed = 0,
    slots: options.Slots = 1,
    as_json: options.Json = False,
) -> None:
    """Compare agents on the same seeds, paired.

    Every run is an ordinary one in DIR/arms/AGENT-SEED; with several families or benchmarks each has its own folder.
    Start the same command again to go on, or with more seeds to add some.

    \b
    Example:
      posttrain bench agents --agents asha,plain,random --seeds 5 --budget 120s --out runs/agents
    """
    from pipeline.bench import agents as bench
    from pipeline.bench import agents_table
    from pipeline.types import Budget

    names = options.agents([agents], "--agents")
    limits = Budget(seconds=options.seconds(budget))
    cells = _cells(family, benchmark, lab_seed, limits, slots)
    plan = bench.Plan(out, cells, tuple(names), tuple(range(first_seed, first_seed + seeds)))
    watcher = Watcher()
    with console.stdout_kept_clean():
        document = bench.run(plan, watcher.cell, watcher.resolve)
    show(document, agents_table.page, as_json)
    if any(run.get("flagged") for cell in document["cells"] for run in cell["runs"]):
        raise typer.Exit(FLAGGED)


@app.command()
def landscape(
    out: Series,
    benchmark: options.Benchmarks = TINY_GSM8K,
    family: Families = QWEN3,
    random: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="Random recipes.")] = 30,
    tokens: Annotated[
        int | None, typer.Option(metavar="T", min=1, help="Length of every recipe. Default: the benchmark's recipe's.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, max=SEEDS, help="Seed of the random recipes.")] = 0,
    lab_seed: options.LabSeed = 0,
    slots: options.Slots = 1,
    reveal: Annotated[bool, typer.Option("--reveal", help="Name the roles of the lab's sources.")] = False,
    as_json: options.Json = False,
) -> None:
    """Survey what there is to find: sources, mixtures, random recipes.

    Sources alone, pairs of the best one with each other, triples of the best pair, and random recipes, all of one
    length in training tokens. Start the same command again to go on.

    \b
    Example:
      posttrain bench landscape --benchmark tiny_gsm8k --out runs/landscape
    """
    from pipeline.bench import landscape as bench
    from pipeline.bench import landscape_table
    from pipeline.types import Budget

    cells = _cells(family, benchmark, lab_seed, Budget(), slots, agent=None, seed=seed)
    plan = bench.Plan(out, cells, random, tokens, reveal)
    watcher = Watcher()
    with console.stdout_kept_clean():
        document = bench.run(plan, watcher.cell, watcher.resolve)
    show(document, landscape_table.page, as_json)


@app.command()
def start(
    runs: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Trials that are measured.")] = 5,
    family: Family = "qwen3",
    benchmark: OneBenchmark = "tiny_gsm8k",
    lab_seed: options.LabSeed = 0,
    as_json: options.Json = False,
) -> None:
    """Measure a trial's start: from its proposal to the end of its first training step.

    Fresh trials of the benchmark's recipe on warm workers, one after the other; rows are tokenised before.

    \b
    Example:
      posttrain bench start --runs 5
    """
    from pipeline import asking
    from pipeline.bench import start as bench
    from pipeline.types import Budget

    cells = _cells([family], [benchmark], lab_seed, Budget(), 1, agent=None)
    if len(cells) != 1:
        raise InputError("trials are started on one family and one benchmark: name one of each")
    asking.check(cells[0])
    watcher = Watcher()
    with console.stdout_kept_clean(), _scratch() as place:
        document = bench.run(
            place / "run", asking.to_request(cells[0], watcher.resolve, watcher.progress.say), runs, watcher
        )
    show(document, bench.page, as_json)


@app.command()
def train(
    steps: Annotated[int, typer.Option(metavar="N", min=1, help="Optimizer steps.")] = 60,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Rows per step.")] = 16,
    rate: Annotated[float, typer.Option(metavar="X", min=1e-9, max=1.0, help="Learning rate.")] = 3e-3,
    runs: Rounds = 3,
    model: Annotated[str, typer.Option(metavar="M", help="Base: a lab model, a folder, a Hub id.")] = "lab/qwen3-base",
    benchmark: OneBenchmark = "tiny_gsm8k",
    lab_seed: options.LabSeed = 0,
    as_json: options.Json = False,
) -> None:
    """Compare our trainer with TRL's own on the same rows.

    Fresh processes in turns: ours, TRL's, ours, ...

    \b
    Example:
      posttrain bench train --steps 60 --runs 3
    """
    from pipeline.bench import train as bench

    with _paired(model, benchmark, lab_seed) as (common, progress):
        document = bench.run(steps=steps, batch=batch, rate=rate, runs=runs, told=progress, **common)
    show(document, bench.page, as_json)


@app.command("eval")
def evaluation(
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Search items.")] = 200,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Items per batch.")] = 64,
    runs: Rounds = 3,
    model: Annotated[str, typer.Option(metavar="M", help="A lab model, a folder, a Hub id.")] = "lab/qwen3",
    benchmark: OneBenchmark = "tiny_gsm8k",
    lab_seed: options.LabSeed = 0,
    as_json: options.Json = False,
) -> None:
    """Compare our evaluation with lm-eval's own model class on the same items.

    Fresh processes in turns: ours, lm-eval's, ours, ...

    \b
    Example:
      posttrain bench eval --limit 200 --runs 3
    """
    from pipeline.bench import eval as bench

    with _paired(model, benchmark, lab_seed) as (common, progress):
        document = bench.run(limit=limit, batch=batch, runs=runs, told=progress, **common)
    show(document, bench.page, as_json)


app.command()(fast)
app.command()(labels)


@app.command()
def parity(
    out: Series,
    model: Annotated[str, typer.Option(metavar="M", help="A lab model, a folder, a Hub id.")] = "lab/qwen3",
    benchmark: options.Benchmarks = TINY_GSM8K,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Search items per benchmark.")] = 60,
    max_tokens: Annotated[int, typer.Option(metavar="N", min=1, help="Tokens per answer.")] = 200,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Items per batch.")] = 16,
    lab_seed: options.LabSeed = 0,
    as_json: options.Json = False,
) -> None:
    """Compare our evaluation with plain `lm_eval run` on our tasks, item by item.

    Start the same command again to go on after an interruption.

    \b
    Example:
      posttrain bench parity --model lab/qwen3 --benchmark tiny_gsm8k --limit 60 --out runs/parity
    """
    from pipeline import benchmarks, machine, models
    from pipeline.bench import parity as bench
    from pipeline.bench.results import claim

    models.check(model)
    names = options.benchmarks(benchmark, model)
    parts = by_lab([benchmarks.load_benchmark(name) for name in names], [model])
    if len(parts) > 1:
        first = ", ".join(each.name for each in parts[0])
        raise InputError(f"--benchmark: {model} is another model by benchmark; measure {first} apart from the others")
    claim(out, "parity")
    progress = console.Progress()
    with console.stdout_kept_clean():
        folder = models.resolve(models.address(model, parts[0][0]), lab_seed, progress)
        document = bench.run(
            model, folder, names, lab_seed, limit, max_tokens, batch, machine.cached().threads, out, progress
        )
    progress.close()
    show(document, bench.page, as_json)


@app.command()
def judges(
    first: Annotated[Path, typer.Argument(metavar="A", help="Judged per-item results, or the folder they lie in.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another judge's, or a person's, on the same answers.")],
    as_json: options.Json = False,
) -> None:
    """Compare two sets of verdicts on the same answers: agreement, Cohen's kappa, consistency between orders.

    A and B are items.jsonl of `posttrain evaluate ... --judge` or of a trial. A person's verdicts are lines such as
    {"id": ITEM, "verdicts": ["B>A", "A=B"]}, the baseline's answer first and then the candidate's, or
    {"id": ITEM, "verdicts": [true, false]} by criterion; `benchmark` and `of` tell items of several apart.

    \b
    Example:
      posttrain evaluate mine --engine recorded:mine.jsonl --benchmark healthbench --judge openai:gpt-5-mini --out a
      posttrain evaluate mine --engine recorded:mine.jsonl --benchmark healthbench --judge anthropic:MODEL --out b
      posttrain bench judges a b
    """
    from pipeline.bench import judges as bench

    show(bench.run(first, second), bench.page, as_json)


@contextlib.contextmanager
def _paired(model: str, benchmark: str, lab_seed: int) -> Iterator[tuple[dict[str, Any], console.Progress]]:
    """What both paired measurements need, resolved, and a folder that is gone afterwards."""
    from pipeline import benchmarks, machine, models

    models.check(model)
    loaded = benchmarks.load_benchmark(benchmark)
    progress = console.Progress()
    with console.stdout_kept_clean(), _scratch() as place:
        common = {"model": model, "model_path": models.resolve(models.address(model, loaded), lab_seed, progress),
                  "benchmark": loaded,
                  "lab_seed": lab_seed, "threads": machine.cached().threads, "place": place}  # fmt: skip
        yield common, progress
    progress.close()


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="posttrain-bench-") as name:
        yield Path(name)


def _cells(
    families: list[str], benchmarks: list[str], lab_seed: int, budget: Any, slots: int, **given: Any
) -> tuple[Asked, ...]:  # fmt: skip
    """Every family's lab base on every benchmark."""
    from pipeline import plugins
    from pipeline.asking import Asked

    bases = [f"lab/{name}-base" for name in options.split(families, "family", "--family", plugins.names("families"))]
    names = options.benchmarks(benchmarks)
    return tuple(
        Asked(model=base, benchmark=name, budget=budget, lab_seed=lab_seed, slots=slots, **given)
        for base in bases
        for name in names
    )
