"""What a report is made of, before any format: a page of blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.reporting.story import Point


@dataclass(frozen=True)
class Table:
    """Rows under an optional header. The first column is text; the others are figures, right-aligned if `figures`."""

    title: str
    rows: tuple[tuple[str, ...], ...]
    header: tuple[str, ...] = ()
    figures: bool = True
    note: str = ""
    long: bool = False  # too much for a terminal: Markdown and HTML only


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    title: str
    text: str


@dataclass(frozen=True)
class Code:
    """Preformatted text, such as a recipe; Markdown and HTML only."""

    title: str
    text: str


@dataclass(frozen=True)
class Ruler:
    """Scores on a line from 0 to 1, HTML only: (label, value, low, high), bounds None where they are unknown."""

    marks: tuple[tuple[str, float, float | None, float | None], ...]


@dataclass(frozen=True)
class Curve:
    """Search scores over seconds, HTML only. `levels` are horizontal lines with their names."""

    title: str
    points: tuple[Point, ...]
    levels: tuple[tuple[str, float], ...]
    seconds: float  # right end of the axis
    note: str = ""


Block = Table | Text | Code | Ruler | Curve


@dataclass(frozen=True)
class Page:
    """A report in words. `headline` is the figure that it is about, `warning` what must not be overlooked."""

    title: str
    subtitle: str
    headline: str
    caption: str
    warning: str
    blocks: tuple[Block, ...]


def number(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def interval(found: Mapping[str, float | None] | None, digits: int = 3, sign: str = "") -> str:
    """`0.874 [0.843, 0.901]`, `0.874 (no interval)` where it has no bounds, or a dash."""
    if not found or found["value"] is None:
        return "-"
    if found["low"] is None or found["high"] is None:
        return f"{found['value']:{sign}.{digits}f} (no interval)"
    value, low, high = (f"{each:{sign}.{digits}f}" for each in (found["value"], found["low"], found["high"]))
    return f"{value} [{low}, {high}]"


def seconds(value: float | None) -> str:
    """A time in the unit in which it is read: 8.4 s, 12.0 min, 3.4 h."""
    if value is None:
        return "-"
    if value < 600:
        return f"{value:.1f} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"


def size(count: int) -> str:
    """Bytes in the unit in which they are read."""
    scaled, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while scaled >= 1000 and len(units) > 1:
        scaled, units = scaled / 1000, units[1:]
    return f"{scaled:.0f} {units[0]}" if units[0] == "B" else f"{scaled:.1f} {units[0]}"


def listed(parts: Iterable[str]) -> str:
    """Non-empty parts, separated by commas."""
    return ", ".join(part for part in parts if part)
