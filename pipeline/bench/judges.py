"""`bench judges`: two sets of verdicts on the same answers, and how far they agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.bench.results import Document
from pipeline.errors import InputError
from pipeline.jobs import ITEMS
from pipeline.judges import paired
from pipeline.reporting.blocks import Block, Page, Table, number
from pipeline.rowfiles import read_rows

NAMED = ("benchmark", "of")
ORDERS = {"baseline_first": "baseline's answer first", "candidate_first": "candidate's answer first"}


def run(first: Path, second: Path) -> Document:
    """Compare per-item results in two files, or in the folders that hold them.

    What only one of them names, a benchmark or whose answers they are, does not keep answers apart.
    """
    files = [_file(path) for path in (first, second)]
    rows = [read_rows(path) for path in files]
    named = [name for name in NAMED if all(any(name in row for row in some) for some in rows)]
    found = [paired.read(some, str(path), named) for some, path in zip(rows, files, strict=True)]
    document = {"kind": "judges", "files": [str(path) for path in files], **paired.compare(*found)}
    return document | {"not_judged": [each.skipped for each in found]}


def _file(path: Path) -> Path:
    path = path.expanduser()
    if not path.exists():
        raise InputError(f"{path}: no such file or folder: name per-item results, or the folder of them")
    if path.is_dir() and not (path / ITEMS).is_file():
        raise InputError(f"{path}: no {ITEMS} there: name a folder of `posttrain evaluate`, or a file of verdicts")
    return path / ITEMS if path.is_dir() else path


# ---------------------------------------------------------------- page


def page(document: Document) -> Page:
    """The document in words."""
    rows = document["benchmarks"]
    left = [
        f"{document['other_answers']} answers differ between the two" if document["other_answers"] else "",
        f"{document['only_first']} are in the first alone" if document["only_first"] else "",
        f"{document['only_second']} in the second alone" if document["only_second"] else "",
    ]
    return Page(
        title="Two sets of verdicts",
        subtitle=f"first {document['first']} ({document['files'][0]}), second {document['second']} "
        f"({document['files'][1]})",
        headline=_share(rows[0]["agreement"]),
        caption=f"of {rows[0]['verdicts']} verdicts are the same{_on(rows[0])}.",
        warning=", ".join(part for part in left if part),
        blocks=tuple(block for row in rows for block in _blocks(row)),
    )


def _blocks(row: dict[str, Any]) -> list[Block]:
    lines = [("all verdicts", *_line(row))]
    if "orders" in row:
        lines += [(label, *_line(row["orders"][name])) for name, label in ORDERS.items()]
        lines.append(("who wins", *_line(row["winner"])))
    low, high = row.get("interval") or (None, None)
    reach = f"95% of agreement over answers: {number(low, 3)} to {number(high, 3)}; " if low is not None else ""
    blocks: list[Block] = [
        Table(
            f"Agreement{_on(row)}",
            tuple(lines),
            ("", "verdicts", "agreement", "kappa"),
            note=f"{reach}kappa: agreement beyond chance (Cohen 1960); unreadable verdicts, {row['unread'][0]} and "
            f"{row['unread'][1]}, are left out",
        )
    ]
    apart = [("score", *(number(each, 3) for each in row["scores"] or (None, None)))]
    if "consistency" in row:
        apart.append(("pairs whose winner does not flip with the order", *map(_share, row["consistency"])))
        apart.append(("decided for the answer that stands first", *map(_share, row["first_wins"])))
    blocks.append(Table(f"Each by itself{_on(row)}", tuple(apart), ("", "first", "second")))
    return blocks


def _line(found: dict[str, Any]) -> tuple[str, str, str]:
    return str(found["verdicts"]), number(found["agreement"], 3), number(found["kappa"], 3)


def _on(row: dict[str, Any]) -> str:
    return f" on {row['benchmark']}" if row["benchmark"] else ""


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
