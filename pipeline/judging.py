"""The judge of a run: what its trials, anchors and final scoring may spend together, and estimates beforehand.

All processes of a run add up what they spend in one file. Of the budget so much is set aside for the final scoring as
that is estimated to cost: trials may not spend it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from pipeline import benchmarks
from pipeline.errors import InputError
from pipeline.judges.client import check
from pipeline.judges.purse import Purse, money
from pipeline.judges.tasks import JUDGED, estimate
from pipeline.providers.names import JUDGE, parse
from pipeline.types import Benchmark, ItemsKey, Judge, Record

PURSE = "judge-spent.json"  # in the run's folder
AGAIN = 1.25  # what is set aside over the estimate
FINALS, ANCHORS = 4, 3  # models scored on the final split (base, few-shot, instruct, best), and beforehand
Item = dict[str, Any]
Role = Literal["search", "final"]


class JudgePlan(Record):
    """Who judges a run, its budget in dollars, and estimates of what the final scoring and one trial's score cost."""

    name: str
    budget: float | None = None
    final: float = 0.0
    trial: float = 0.0


def judged(wanted: Sequence[Benchmark], judge: Judge | None) -> list[Benchmark]:
    """The benchmarks among `wanted` that are judged. Raises InputError: no judge, an unusable or a needless one."""
    found = [benchmark for benchmark in wanted if benchmark.scorer == JUDGED]
    if found:
        check(judge, f"benchmark '{found[0].name}'")
    elif judge is not None:
        names = ", ".join(benchmark.name for benchmark in wanted)
        raise InputError(f"--judge {judge.name}: nothing is judged in {names}: omit it")
    return found


def tell_estimate(
    judge: Judge, benchmarks_items: Sequence[tuple[Benchmark, Sequence[Item]]], answers: int, say: Callable[[str], None]
) -> None:
    """Say how many verdicts `answers` answers to each item need and about what they cost.

    Raises InputError if that is more than the budget.
    """
    address, costs = parse(judge.name, JUDGE), []
    for benchmark, items in benchmarks_items:
        n, cost = estimate(benchmark, items, address, answers)
        about = "price unknown" if cost is None else f"about {money(cost)}"
        say(f"judge {address}: {n} verdicts on {benchmark.name}, {about} (estimated before any answer is there)")
        costs.append(cost)
    refuse_dear(judge, None if None in costs else sum(filter(None, costs)), "judging")


def refuse_dear(judge: Judge, cost: float | None, what: str) -> None:
    """Raises InputError if the estimate does not fit the budget."""
    if judge.budget is not None and (cost is None or cost > judge.budget):
        raise InputError(
            f"--judge-budget: {what} costs about {money(cost)}, more than {money(judge.budget)}: raise it, or score"
            " fewer items"
        )


def plan(judge: Judge, benchmark: Benchmark, key: ItemsKey) -> JudgePlan:
    """The plan of a run. Raises InputError if its budget does not even pay for the anchors and the final scoring."""
    address = check(judge, f"benchmark '{benchmark.name}'")
    _, each_final = estimate(benchmark, benchmarks.items(benchmark, "final", key), address)
    _, trial = estimate(benchmark, benchmarks.items(benchmark, "search", key), address)
    final, trial = (each_final or 0.0) * FINALS, trial or 0.0
    if judge.budget is not None:
        refuse_dear(judge, final * AGAIN + trial * (ANCHORS + 1), "scoring the anchors, one trial and the final models")
    return JudgePlan(name=judge.name, budget=judge.budget, final=final, trial=trial)


def judge_for(plan: JudgePlan | None, folder: Path, role: Role) -> Judge | None:
    """The judge as a job gets it; trials and anchors leave what the final scoring needs."""
    if plan is None:
        return None
    cap = plan.budget
    if cap is not None and role == "search":
        cap -= plan.final * AGAIN
    return Judge(name=plan.name, budget=cap, purse=str((folder / PURSE).absolute()))


def dollars_left(plan: JudgePlan, folder: Path) -> float | None:
    """What trials may still spend; 0 if that does not pay for one more. None without a budget."""
    judge = judge_for(plan, folder, "search")
    if judge is None or judge.budget is None:
        return None
    left = judge.budget - Purse(None, Path(judge.purse)).spent()
    return left if left >= plan.trial else 0.0
