"""Pages as one self-contained HTML file: no script, no font, no request to anywhere."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from pipeline.reporting.blocks import Block, Curve, Page, Ruler
from pipeline.reporting.svg import curve_svg, ruler_svg


def to_html(page: Page) -> str:
    """The page as HTML; every text from outside is escaped."""
    return _template().render(page=page, blocks=[(type(block).__name__, block, _drawn(block)) for block in page.blocks])


@cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template("page.html.jinja")


def _drawn(block: Block) -> Markup | None:
    if isinstance(block, Curve):
        return Markup(curve_svg(block))  # noqa: S704 (built from numbers and escaped labels only)
    if isinstance(block, Ruler):
        return Markup(ruler_svg(block))  # noqa: S704
    return None
