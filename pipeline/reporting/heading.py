"""The head of a run's page: its figure, and what it is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline import reference
from pipeline.reporting.blocks import number
from pipeline.reporting.story import Story, reference_of


def against(story: Story) -> str:
    """What the gain is measured against."""
    found = reference_of(story.run)
    told = reference.named(found) if found else story.run.get("instruct")
    return f"measured against {told}" if told else ""


def headline(report: dict[str, Any]) -> tuple[str, str]:
    """The figure that the page is about, and what it is: the fraction, or the gain in points where there is none."""
    points = report["gain_points"]
    if report["fraction"] is None and points:
        return f"{points['value']:+.1f}", f"points over the base [{points['low']:+.1f}, {points['high']:+.1f}]"
    return number(report["fraction"] and report["fraction"]["value"], 2), regained(report)


def regained(report: Mapping[str, Any]) -> str:
    """What a fraction is of."""
    return "of the gain to the reference regained" if report.get("reference") else "of the human gain regained"
