"""Whether a run has shown anything, in plain words: a task that could not be learnt is unresolved, not a failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.noise import CONFIDENCE
from pipeline.reporting.story import Story


def resolution(story: Story, report: Mapping[str, Any], p: float | None) -> dict[str, Any]:
    """`resolved`, and `resolved_why` where it is false; null while nothing was chosen, and of a flagged run.

    Resolved is a run whose 95% interval of the gain over the base on the final items leaves 0 out, and whose exact test
    (`p`) says the same: of few items the interval alone is too sure.
    """
    unknown = {"resolved": None, "resolved_why": None}
    if story.choice is None or report["flagged"]:
        return unknown
    if story.base_is_the_result:
        return {"resolved": False, "resolved_why": _nothing(report)}
    points = report["gain_points"]
    if points is None:
        return unknown
    tested = p is None or p <= 1 - CONFIDENCE
    if points["low"] <= 0.0 <= points["high"] or not tested:
        told = f"{points['value']:+.1f} points [{points['low']:+.1f}, {points['high']:+.1f}]"
        told += "" if p is None else f", p = {p:.2g}"
        return {"resolved": False, "resolved_why": f"the gain on the final items, {told}, may be nothing"}
    return {"resolved": True, "resolved_why": None}


def _nothing(report: Mapping[str, Any]) -> str:
    if not report["trials"]["scored"]:
        return "no trial was scored, so the result is the base"
    return (
        "nothing that was tried beats the base beyond noise, so the result is the base; whether more budget, other "
        "data or a larger model would is not known"
    )


def warning(report: Mapping[str, Any]) -> str:
    """The same for the top of the page; "" where there is nothing to warn of."""
    if report.get("resolved") is False:
        return f"Unresolved: {report['resolved_why']}"
    points = report.get("gain_points")
    is_worse = report.get("resolved") and points and points["high"] < 0.0
    return "Worse than the base: the loss on the final items is beyond noise" if is_worse else ""
