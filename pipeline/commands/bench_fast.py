"""`posttrain bench fast`: what the trainer's options for a CPU gain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline import console
from pipeline.commands import options
from pipeline.commands.showing import show
from pipeline.errors import InputError, unknown


def fast(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="New, or of the same measurement: it goes on.")],
    train: Annotated[Path, typer.Option(metavar="FILE", help="Rows to train on: CSV, TSV, JSON Lines, Parquet.")],
    test: Annotated[Path, typer.Option(metavar="FILE", help="Held-out rows.")],
    model: Annotated[str, typer.Option(metavar="M", help="Base: a lab model, a folder, a Hub id.")],
    question: Annotated[str, typer.Option("--input", metavar="COLUMN", help="What is asked.")] = "text",
    answer: Annotated[str, typer.Option("--target", metavar="COLUMN", help="What is to be answered.")] = "category",
    train_seconds: Annotated[float, typer.Option(metavar="X", min=1.0, help="Of training, each side.")] = 60.0,
    rates: Annotated[str, typer.Option(metavar="X,Y..", help="Learning rates that TRL's trainer tries.")] = (
        "5e-4,1e-3,2e-3"
    ),
    sides: Annotated[
        str,
        typer.Option(metavar="A,B..", help="Which of layers, logits, prefix, streams, sorted, small, kept, together."),
    ] = ("layers,logits,prefix,streams,sorted,small,kept,together"),
    layers: Annotated[str, typer.Option(metavar="N", help="Upper layers: a number, or upper_half.")] = "upper_half",
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Rows per step.")] = 8,
    items: Annotated[int, typer.Option(metavar="N", min=1, help="Held-out rows that are looked at.")] = 100,
    clock: Annotated[
        Literal["wall", "cpu"], typer.Option(help="cpu: CPU seconds, where others use the machine.")
    ] = "wall",
    lab_seed: options.LabSeed = 0,
    as_json: options.Json = False,
) -> None:
    """Measure what the trainer's options for a CPU gain over TRL's trainer.

    Seconds to equal accuracy on your rows: TRL's SFTTrainer at its best rate against ours, with each option alone and
    with all together. Start the same command again to go on after an interruption.

    \b
    Example:
      posttrain bench fast --model ./smollm2 --train train.csv --test test.csv --train-seconds 60 --out runs/fast
    """
    from pipeline import machine, models
    from pipeline.bench import fast as bench
    from pipeline.bench.results import claim

    models.check(model)
    plan = bench.Plan(
        model,
        "",
        train_seconds,
        _rates(rates),
        _sides(sides, bench.OPTIONS),
        batch,
        _layers(layers),
        items=items,
        clock=clock,
    )
    columns = (question, answer)
    rows = bench.rows_from(train, columns), bench.rows_from(test, columns)
    claim(out, "fast")
    progress = console.Progress()
    with console.stdout_kept_clean():
        plan = replace(plan, model_path=str(models.resolve(model, lab_seed, progress)))
        document = bench.run(plan, *rows, machine.cached().threads, out, progress)
    progress.close()
    show(document, bench.page, as_json)


def _rates(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or len(set(found)) < len(found) or not all(0 < rate <= 1 for rate in found):
        raise InputError(f"--rates '{text}': write different numbers above 0, at most 1, such as 5e-4,1e-3")
    return found


def _sides(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    chosen = {part.strip() for part in text.split(",")}
    for name in sorted(chosen - set(known)):
        raise unknown("side", name, list(known))
    return tuple(name for name in known if name in chosen)


def _layers(text: str) -> str | int:
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    if text != "upper_half":
        raise InputError(f"--layers '{text}': write a number of upper layers, or upper_half")
    return text
