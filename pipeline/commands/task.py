"""`posttrain task`: a benchmark of your own, from a file of inputs and targets."""

from __future__ import annotations

import shlex
import textwrap
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pipeline import console
from pipeline.commands import options
from pipeline.errors import InputError

app = typer.Typer(help="Make a benchmark of your own data.", rich_markup_mode=None)
WIDTH = 100
SHOWN_LABELS = 12


@app.callback()
def _group() -> None:
    """Make a benchmark of your own data."""


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the task: letters, digits, _.")],
    train: Annotated[Path, typer.Option(metavar="FILE", help="CSV, TSV, JSON Lines, JSON or Parquet.")],
    input_column: Annotated[str, typer.Option("--input", metavar="COLUMN", help="What is asked.")],
    target: Annotated[str, typer.Option("--target", metavar="COLUMN", help="What is to be answered.")],
    test: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The final rows. Default: a fifth of FILE, by a hash.")
    ] = None,
    metric: Annotated[
        Literal["choice", "exact", "number", "contains", "json"] | None,
        typer.Option(help="How answers are compared. Default: guessed from the targets, and said."),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(metavar="TEMPLATE", help="With {COLUMN} for values, {input} for the input.")
    ] = None,
    search_items: Annotated[int, typer.Option(metavar="N", help="Search items that are scored, at most.")] = 300,
    final_items: Annotated[int, typer.Option(metavar="N", help="Final items that are scored, at most.")] = 1000,
    tokenizer: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Count tokens by this model's. Default: an estimate.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="The new folder. Default: ./NAME.")] = None,
    as_json: options.Json = False,
) -> None:
    """Write a benchmark folder from your rows, which `--benchmark ./NAME` then takes everywhere.

    It holds the task, its items by split, its training rows as a data source, a recipe and a README; all of it may be
    edited. Training rows that repeat search or final rows, or nearly do, are left out. What is found in the rows is
    printed: look at it before you search.

    \b
    Examples:
      posttrain task create banking --train train.csv --test test.csv --input text --target category
      posttrain task create sums --train rows.jsonl --input question --target n --prompt "{question} Just the number."
    """
    from pipeline.owntask import making
    from pipeline.owntask.figures import about_tokens

    wanted = making.Wanted(
        name=name, train=train, test=test, input=input_column, target=target, metric=metric, prompt=prompt,
        out=out or Path(name), search_items=search_items, final_items=final_items,
    )  # fmt: skip
    progress = console.Progress()
    making.check_names(wanted)
    count = _counter(tokenizer, progress) if tokenizer else about_tokens
    document = making.create(wanted, count, tokenizer or "", progress)
    progress.close()
    if as_json:
        console.document(document)
    else:
        print(as_text(document))


def _counter(model: str, progress: console.Progress) -> Any:
    """Counts tokens as a model's tokenizer does."""
    from tokenizers import Tokenizer

    from pipeline import chat, models

    path = chat.tokenizer_folder(models.resolve(model, progress=progress)) / "tokenizer.json"
    if not path.is_file():
        raise InputError(f"--tokenizer {model}: it has no tokenizer.json: omit the option for an estimate")
    found = Tokenizer.from_file(str(path))
    return lambda text: len(found.encode(text, add_special_tokens=False).ids)


# ---------------------------------------------------------------- words


def as_text(document: dict[str, Any]) -> str:
    """What was found and written, for a terminal."""
    rows, scored = document["rows"], document["scored"]
    parts = [
        _wrapped(
            f"{document['folder']}: metric {document['metric']} ({document['metric_why']}): {document['metric_means']}"
        ),
        "",
        "split     rows  scored",
        f"train   {rows['train']:6}       -",
        *(f"{split:6}  {rows[split]:6}  {scored[split]:6}" for split in ("search", "final")),
        _wrapped(_shares(document["shares"]), "  "),
        *_left_out(document["left_out"]),
        "",
        *_targets(document),
        *_figures(document),
        "",
        *_examples(document["examples"]),
        *(_wrapped(f"!! {remark}") for remark in document["remarks"]),
        f"next: posttrain search --model MODEL --benchmark {_address(document['folder'])} --budget 20m",
    ]
    return "\n".join(parts)


def _address(folder: str) -> str:
    """The folder as `--benchmark` takes it for one."""
    path = folder if folder.startswith(("/", ".", "~")) else f"./{folder}"
    return shlex.quote(path)


def _shares(shares: dict[str, float]) -> str:
    told = ", ".join(f"{share:.0%} {split}" for split, share in shares.items())
    rest = "" if "final" in shares else "; final rows are the test file's"
    return f"(by a hash of the input: {told}{rest}; rows that are added later move no others)"


def _left_out(found: list[dict[str, Any]]) -> list[str]:
    if not found:
        return ["left out: nothing"]
    lines = [f"left out: {each['rows']} {each['reason']} (first: {'; '.join(each['first'])})" for each in found]
    return [_wrapped(line, "", "  ") for line in lines]


def _targets(document: dict[str, Any]) -> list[str]:
    labels, majority = document["labels"], document["majority"]
    shown = _clipped(majority["target"], 40)
    lines = []
    if labels is not None:
        told = ", ".join(f"{each['label']} {each['train']}" for each in labels[:SHOWN_LABELS])
        more = f" ... {labels[-1]['label']} {labels[-1]['train']}" if len(labels) > SHOWN_LABELS else ""
        lines.append(_wrapped(f"{len(labels)} labels, training rows of each: {told}{more}", "", "  "))
    else:
        lines.append(f"{document['distinct_targets']} distinct targets in the training rows")
    lines.append(f"always saying the most frequent target ({shown}) scores {majority['share']:.1%} on the final rows")
    return lines


def _figures(document: dict[str, Any]) -> list[str]:
    tokens, width = document["tokens"], document["interval_points"]
    by = (
        "estimated; --tokenizer MODEL counts them"
        if tokens["counted_by"] == "estimate"
        else f"by {tokens['counted_by']}"
    )
    spans = "; ".join(
        f"{part} median {tokens[part]['median']}, 95% up to {tokens[part]['p95']}, longest {tokens[part]['longest']}"
        for part in ("prompt", "answer")
    )
    told = (
        f"{width['items']} final items: the {width['confidence']:.0%} interval of a score is at most "
        f"+-{width['score']:.1f} points, of a gain about +-{width['gain']:.1f}"
    )
    return [_wrapped(f"tokens ({by}): {spans}", "", "  "), _wrapped(told, "", "  ")]


def _examples(found: list[dict[str, Any]]) -> list[str]:
    lines = []
    for number, each in enumerate(found, start=1):
        lines += [f"example {number}", *_indented(each["prompt"], "  | "), *_indented(each["answer"], "  > "), ""]
    return lines


def _indented(text: str, mark: str) -> list[str]:
    """A text's lines behind a mark, long ones folded."""
    folded = (textwrap.wrap(line, WIDTH - len(mark), break_on_hyphens=False) or [""] for line in text.split("\n"))
    return [f"{mark}{line}".rstrip() for lines in folded for line in lines]


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + " ..."


def _wrapped(text: str, indent: str = "", later: str = "  ") -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=indent, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )
