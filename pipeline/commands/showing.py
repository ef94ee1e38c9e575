"""A document on stdout: as it is with --json, else as its page in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipeline import console

if TYPE_CHECKING:
    from pipeline.reporting.blocks import Page


def show(document: dict[str, Any], page: Callable[[dict[str, Any]], Page], as_json: bool) -> None:
    """Print a measurement's document."""
    from pipeline.reporting.plain import to_text

    if as_json:
        console.document(document)
    else:
        print(to_text(page(document)).rstrip("\n"))
