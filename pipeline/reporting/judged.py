"""Who judged a run's answers, and what the verdicts say of that judge."""

from __future__ import annotations

from typing import Any

from pipeline.reporting.blocks import Table
from pipeline.reporting.story import Story


def judge_of(story: Story) -> dict[str, Any] | None:
    """Who judged, the budget in dollars, and by role what the final verdicts say; None where nobody judged."""
    plan = story.run.get("judge")
    if not plan:
        return None
    finals = {role: final.judging for role, final in story.finals.items() if final.judging}
    return {"name": plan["name"], "budget": plan.get("budget"), "final": finals}


def judge_block(told: dict[str, Any] | None, labels: dict[str, str]) -> Table | None:
    """How far the judge of the final answers can be believed."""
    if not told or not told["final"]:
        return None
    is_pairwise = any("position_bias" in facts for facts in told["final"].values())
    rows = [
        (labels.get(role, role.replace("_", " ")), str(facts["verdicts"]), str(facts["unread"]))
        + ((_share(facts.get("position_bias")), _share(facts.get("first_wins"))) if is_pairwise else ())
        for role, facts in told["final"].items()
    ]
    header = ("", "verdicts", "unreadable", *(("flip with the order", "prefer the first") if is_pairwise else ()))
    note = "flip: of pairs, those of which another answer wins when the two change places" if is_pairwise else ""
    return Table(f"Judge of the final answers ({told['name']})", tuple(rows), header, note=note)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
