"""Pages as plain text for a terminal of 100 columns, and as Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from pipeline.reporting.blocks import Block, Code, Page, Table, Text

WIDTH = 100
GAP = "  "
LEAST = 8  # characters that a squeezed column keeps


# ---------------------------------------------------------------- text


def to_text(page: Page) -> str:
    """The page as plain text, no line longer than WIDTH except where a single word is."""
    parts = [_wrapped(page.title, ""), _wrapped(page.subtitle, "")]
    if page.warning:
        parts.append("\n" + _wrapped("!! " + page.warning, "", "   "))
    parts += ["\n" + told for block in page.blocks if (told := _text_block(block))]
    return "\n".join(part for part in parts if part) + "\n"


def _text_block(block: Block) -> str:
    if isinstance(block, Table) and not block.long:
        lines = [block.title, *("  " + line for line in _text_table(block))]
        return "\n".join(lines + ([_wrapped(f"({block.note})", "  ")] if block.note else []))
    if isinstance(block, Text):
        return f"{block.title}\n{_wrapped(block.text, '  ')}"
    return ""


def _text_table(table: Table) -> list[str]:
    rows = [row for row in (table.header, *table.rows) if row]
    widths = _widths(rows, WIDTH - 2)
    lines: list[str] = []
    for row in rows:
        cells = [_folded(cell, width) for cell, width in zip(row, widths, strict=True)]
        for number in range(max(map(len, cells))):
            line = [cell[number].rstrip() if number < len(cell) else "" for cell in cells]
            lines.append(GAP.join(_justified(line, widths, table.figures)).rstrip())
    return lines


def _folded(cell: str, width: int) -> list[str]:
    """A cell's lines. One that fits stays as it is, its leading spaces too; so does one in a column of no width."""
    return [cell] if len(cell) <= width else textwrap.wrap(cell, width)


def _justified(cells: Sequence[str], widths: Sequence[int], figures: bool) -> list[str]:
    right = [figures and number > 0 for number in range(len(cells))]
    return [cell.rjust(width) if r else cell.ljust(width) for cell, width, r in zip(cells, widths, right, strict=True)]


def _widths(rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """The columns' widths; the widest is narrowed until the row fits."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - room
    while excess > 0 and max(widths) > LEAST:
        widest = widths.index(max(widths))
        others = sorted(widths)[-2] if len(widths) > 1 else 0
        cut = min(excess, max(1, widths[widest] - max(others, LEAST)))
        widths[widest] -= cut
        excess -= cut
    return widths


def _wrapped(text: str, indent: str, later: str | None = None) -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent if later is None else later,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


# ---------------------------------------------------------------- Markdown


def to_markdown(page: Page) -> str:
    """The page as Markdown (GitHub's tables)."""
    parts = [f"# {_escaped(page.title)}", _escaped(page.subtitle), f"**{page.headline}** {page.caption}"]
    if page.warning:
        parts.append(f"> **{_escaped(page.warning)}**")
    parts += [told for block in page.blocks if (told := _markdown_block(block))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _markdown_block(block: Block) -> str:
    if isinstance(block, Table):
        told = f"## {_escaped(block.title)}\n\n{_markdown_table(block)}"
        return told + (f"\n\n{_escaped(block.note[:1].upper() + block.note[1:])}." if block.note else "")
    if isinstance(block, Text):
        return f"## {_escaped(block.title)}\n\n{_escaped(block.text)}"
    if isinstance(block, Code):
        fence = "`" * max(3, 1 + max((len(run) for run in block.text.split() if set(run) == {"`"}), default=0))
        return f"## {_escaped(block.title)}\n\n{fence}yaml\n{block.text.rstrip()}\n{fence}"
    return ""


def _markdown_table(table: Table) -> str:
    columns = len(table.rows[0]) if table.rows else len(table.header)
    header = table.header or ("",) * columns
    rule = ["---"] + ["--:" if table.figures else "---"] * (columns - 1)
    rows = [[_escaped(cell.strip()) for cell in row] for row in (header, *table.rows)]
    lines = [rows[0], rule, *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is: names from outside must not become markup."""
    for mark in ("\\", "|", "*", "_", "`", "<", "[", "#"):
        text = text.replace(mark, "\\" + mark)
    return " ".join(text.split())
