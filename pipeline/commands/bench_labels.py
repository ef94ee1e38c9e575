"""`posttrain bench labels`: a classification task's labels chosen in other ways than by writing them."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline import console
from pipeline.commands import options
from pipeline.commands.showing import show


def labels(
    benchmark: Annotated[str, typer.Option(metavar="B", help="A task of your own with labels: its folder.")],
    models: Annotated[list[str] | None, typer.Argument(metavar="MODEL...", help="Base, result, any others.")] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=2, help="Final items at most. Default: all.")] = None,
    as_json: options.Json = False,
) -> None:
    """Choose labels in other ways: TF-IDF with logistic regression on the same rows, and by likelihood.

    By likelihood a model must name one of the labels; written freely it may write anything. Every MODEL is scored both
    ways on the same final items.

    \b
    Example:
      posttrain bench labels smollm2-135m runs/banking/final_model --benchmark ./banking --limit 200
    """
    from pipeline import benchmarks
    from pipeline import models as known
    from pipeline.bench import labels as bench

    loaded = benchmarks.load_benchmark(benchmark)
    bench.check(loaded)
    for name in models or ():
        known.check(name)
    progress = console.Progress()
    with console.stdout_kept_clean():
        found = [(name, known.resolve(name, 0, progress)) for name in models or ()]
        document = bench.run(found, loaded, limit, progress)
    progress.close()
    show(document, bench.page, as_json)
