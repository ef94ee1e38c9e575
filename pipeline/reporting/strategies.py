"""The strategies of a run (`pipeline.strategy`): their timeline, how often the search switched, what each earned."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from pipeline.reporting.blocks import Block, Table, Text, listed, number, seconds
from pipeline.reporting.story import Story
from pipeline.strategy import of_trial
from pipeline.types import Strategy, Trial

MOST_STRETCHES = 30  # in a terminal's timeline; Markdown and HTML list every trial beside it
Told = tuple[Trial, Strategy]

# ---------------------------------------------------------------- numbers


def strategies_of(story: Story) -> dict[str, Any] | None:
    """What report.json says under `strategies`; None where no trial has a recipe (whatever was proposed was refused).

    `switches` counts neighbours in the order of start whose strategies differ, `approach_switches` those of them that
    differ in trainers, formats or kinds of data too, `reopened` those that return to a strategy tried before;
    `switch_rate` is switches over pairs of neighbours, None for a single trial.
    """
    told = [(trial, found) for trial in story.tried if (found := of_trial(trial))]
    if not told:
        return None
    pairs = list(pairwise(told))
    switches = [pair for pair in pairs if pair[0][1].key != pair[1][1].key]
    seen = [{found.key for _, found in told[:index]} for index in range(len(told))]
    reopened = [at for at in range(1, len(told)) if _switches(told, at) and told[at][1].key in seen[at]]
    return {
        "pairs": len(pairs),
        "switches": len(switches),
        "switch_rate": len(switches) / len(pairs) if pairs else None,
        "approach_switches": sum(before[1].approach != after[1].approach for before, after in switches),
        "reopened": len(reopened),
        "earned": _earned(told),
        "timeline": _timeline(story, told),
    }


def _switches(told: Sequence[Told], at: int) -> bool:
    return at > 0 and told[at][1].key != told[at - 1][1].key


def _timeline(story: Story, told: Sequence[Told]) -> list[dict[str, Any]]:
    """The trials in the order of their start; `seconds` is when one was scored, on the budget's clock."""
    at = {point.trial: round(point.seconds, 3) for point in story.curve}
    return [
        {
            "trial": trial.id,
            "strategy": found.name,
            "key": found.key,
            "switch": _switches(told, index),
            "seconds": at.get(trial.id),
            "score": trial.score.value if trial.score else None,
            "state": trial.state,
            "why": trial.proposal.rationale,
        }
        for index, (trial, found) in enumerate(told)
    ]


def _earned(told: Sequence[Told]) -> list[dict[str, Any]]:
    """Each strategy's trials, seconds and best search score, the best strategy first."""
    by_key: dict[str, list[Told]] = {}
    for each in told:
        by_key.setdefault(each[1].key, []).append(each)
    rows = []
    for key, found in by_key.items():
        scored = [trial for trial, _ in found if trial.state == "scored" and trial.score]
        best = max(scored, key=lambda trial: trial.score.value if trial.score else 0.0, default=None)
        spent = sum(trial.outcome.cost.seconds for trial, _ in found if trial.outcome)
        rows.append(
            {
                "strategy": found[0][1].name,
                "key": key,
                "trials": len(found),
                "scored": len(scored),
                "seconds": round(spent, 3),
                "best": best.score.value if best and best.score else None,
                "best_trial": best.id if best else None,
            }
        )
    return sorted(rows, key=lambda row: -1.0 if row["best"] is None else row["best"], reverse=True)


# ---------------------------------------------------------------- words


def strategy_blocks(report: dict[str, Any]) -> list[Block]:
    """The table of strategies, the timeline in one paragraph, and, too long for a terminal, trial by trial."""
    told = report.get("strategies")
    if not told:
        return []
    header = ("strategy", "trials", "scored", "seconds", "best search score", "trial")
    rows = tuple(
        (row["strategy"], str(row["trials"]), str(row["scored"]), seconds(row["seconds"]), number(row["best"]),
         row["best_trial"] or "-")
        for row in told["earned"]
    )  # fmt: skip
    note = "a strategy: trainers, formats and sources by stage; seconds: training, scoring and what lies between"
    steps = tuple(map(_step, told["timeline"]))
    trials = ("trial", "strategy", "scored at", "search score", "why")
    return [
        Table("Strategies", rows, header, note=note),
        Text("Timeline of strategies", f"{_switched(told)}: {_stretches(told['timeline'])}"),
        Table("Strategies, trial by trial", steps, trials, figures=False, long=True),
    ]


def _switched(told: dict[str, Any]) -> str:
    if told["switch_rate"] is None:
        return "one trial, nothing to switch from"
    more = listed([
        f"{told['approach_switches']} of them of trainer, format or kind of data" if told["approach_switches"] else "",
        f"{told['reopened']} back to one tried before" if told["reopened"] else "",
    ])  # fmt: skip
    rate = f"{told['switches']} switches in {told['pairs']} pairs of neighbouring trials ({told['switch_rate']:.0%})"
    return listed([rate, more])


def _stretches(timeline: Sequence[dict[str, Any]]) -> str:
    """Trials in a row with one strategy, as one: `sft maths 1+3 (t004 to t007, up to 0.340)`."""
    runs: list[list[dict[str, Any]]] = []
    for step in timeline:
        if runs and not step["switch"]:
            runs[-1].append(step)
        else:
            runs.append([step])
    hidden = len(runs) - MOST_STRETCHES
    head, tail = runs[: MOST_STRETCHES // 2], runs[-MOST_STRETCHES // 2 :]
    shown = [*map(_stretch, head), f"{hidden} more", *map(_stretch, tail)] if hidden > 0 else list(map(_stretch, runs))
    return "; ".join(shown)


def _stretch(run: Sequence[dict[str, Any]]) -> str:
    scores = [step["score"] for step in run if step["score"] is not None]
    trials = run[0]["trial"] if len(run) == 1 else f"{run[0]['trial']} to {run[-1]['trial']}"
    told = f"up to {max(scores):.3f}" if len(run) > 1 and scores else f"{scores[0]:.3f}" if scores else run[-1]["state"]
    return f"{run[0]['strategy']} ({trials}, {told})"


def _step(step: dict[str, Any]) -> tuple[str, ...]:
    name = f"{step['strategy']} (switch)" if step["switch"] else step["strategy"]
    told = number(step["score"]) if step["score"] is not None else step["state"]
    return (step["trial"], name, seconds(step["seconds"]), told, step["why"])
