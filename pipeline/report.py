"""The report: what a run came to, as JSON, text, Markdown or HTML. Reads run folders; only `write_report` writes.

One run folder gives report.json (schema 1). A matrix folder (matrix.json) gives its cells and their weighted average,
an agent with control arms (comparison.json) its lift over them, any other group of runs a comparison. The steps are in
`pipeline.reporting`: story, summary, pages, then a format.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.paths import plain, write_atomic, write_json
from pipeline.reporting.blocks import Page
from pipeline.reporting.controlled import controlled_document, controlled_page
from pipeline.reporting.controls import COMPARISON_FILE
from pipeline.reporting.overview import (
    comparison_document,
    is_matrix,
    matrix_document,
    read_runs,
    run_folders,
)
from pipeline.reporting.overview_pages import comparison_page, matrix_page
from pipeline.reporting.pages import run_page
from pipeline.reporting.plain import to_markdown as page_to_markdown
from pipeline.reporting.plain import to_text as page_to_text
from pipeline.reporting.story import read_run
from pipeline.reporting.summary import summarise
from pipeline.reporting.webpage import to_html as page_to_html

FORMATS = ("text", "json", "md", "html")
Folders = str | Path | Sequence[str | Path]


def build_report(folder: str | Path) -> dict[str, Any]:
    """report.json of one run folder, finished or not. Raises InputError if it is none, LedgerError if it is broken."""
    return summarise(read_run(folder))


def document(folders: Folders) -> dict[str, Any]:
    """The numbers of one run, of a matrix, or of several runs side by side (`kind` tells the last two)."""
    return _told(folders)[0]


def render(folders: Folders, form: str = "text") -> str:
    """The report of one folder or several in one of FORMATS. Raises InputError for another format, and as above."""
    if form not in FORMATS:
        raise InputError(f"format '{form}' is unknown: choose one of {', '.join(FORMATS)}")
    numbers, page = _told(folders)
    if form == "json":
        return json.dumps(plain(numbers), indent=2, allow_nan=False) + "\n"
    return {"text": page_to_text, "md": page_to_markdown, "html": page_to_html}[form](page)


def to_text(folders: Folders) -> str:
    """The report for a terminal, at most 100 columns wide."""
    return render(folders, "text")


def to_markdown(folders: Folders) -> str:
    """The report as Markdown."""
    return render(folders, "md")


def to_html(folders: Folders) -> str:
    """The report as one self-contained page."""
    return render(folders, "html")


def write_report(folder: str | Path) -> dict[str, Any]:
    """Write report.json, .md and .html into a run or matrix folder; returns what report.json says."""
    folder = Path(folder)
    numbers, page = _told(folder)
    write_json(folder / "report.json", numbers)
    write_atomic(folder / "report.md", page_to_markdown(page))
    write_atomic(folder / "report.html", page_to_html(page))
    return numbers


def _told(folders: Folders) -> tuple[dict[str, Any], Page]:
    """The numbers and the page of whatever the folders are."""
    given = [Path(folder) for folder in ([folders] if isinstance(folders, str | Path) else folders)]
    runs = read_runs([run for folder in given for run in run_folders(folder)])
    if is_matrix(given):
        numbers = matrix_document(given[0], runs)
        return numbers, matrix_page(given[0], numbers)
    if len(given) == 1 and (given[0] / COMPARISON_FILE).is_file():
        numbers = controlled_document(given[0], runs)
        return numbers, controlled_page(given[0], numbers)
    if len(runs) == 1:
        return runs[0].report, run_page(runs[0].story, runs[0].report)
    numbers = comparison_document(runs)
    return numbers, comparison_page(numbers)
