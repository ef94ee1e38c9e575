"""A search in arithmetic: learning curves and noise of a made-up landscape, an instant clock, any agent.

The `lab` landscape has the lab's traps: seven sources of one kind, good ones that complement each other, and bad ones
whose habits a mixture falls into (docs/lab.md).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.contracts import Agent
from pipeline.recipe import apply_changes, load_recipe, search_space
from pipeline.types import Brief, Budget, Cost, Outcome, Recipe, Score, Trial

RECIPE = load_recipe("tiny_gsm8k")
FULL_SECONDS, BESIDE_SECONDS, ITEMS = 210.0, 0.9, 300
Landscape = Callable[[Recipe, float], float]  # a recipe and the seconds that it trained -> its true score
ROLES = ("worked", "hard", "easy", "wrong", "answers", "format", "chat")
ALONE = {"worked": 0.88, "hard": 0.68, "easy": 0.44, "wrong": 0.68, "answers": 0.23}
LOUD = {"format": 1.0, "answers": 0.5, "wrong": 0.15, "chat": 0.0}  # how much a row weighs in a mixture; a good one 0.2


@dataclass(frozen=True)
class Run:
    """What a simulated search did; `true` is its best recipe's score without noise."""

    history: list[Trial]
    true: float


def brief(names: Sequence[str], budget: Budget, slots: int = 1, prior: Sequence[dict[str, Any]] = ()) -> Brief:
    used = {"stages.0.data": [{"name": name} for name in names]}
    recipe = apply_changes(RECIPE, used)
    return Brief(model="m", benchmark="b", recipe=recipe, space=search_space(recipe, names), cards=(),
                 budget=budget, slots=slots, prior=tuple(prior) or ({},))  # fmt: skip


def run(
    create: Callable[[Brief, int], Agent], landscape: Landscape, names: Sequence[str], seconds: float, seed: int = 0,
    refused: Collection[str] = (), full_seconds: float = FULL_SECONDS,
) -> Run:  # fmt: skip
    """One search on one slot, to the end of its budget."""
    told, left, history = brief(names, Budget(seconds=seconds)), seconds, list[Trial]()
    true: dict[str, float] = {}
    while left > BESIDE_SECONDS + 0.01 * seconds and len(history) < 300:
        proposal = create(told, seed).propose(history, Budget(seconds=left))
        if proposal is None:
            break
        recipe = apply_changes(told.recipe, proposal.changes)
        trial = Trial(id=f"t{len(history) + 1:03d}", state="scored", recipe=recipe, proposal=proposal)
        if set(refused) & {ref.name for ref in recipe.stages[0].data}:
            history.append(trial.model_copy(update={"state": "rejected"}))
            left -= 0.3
            continue
        before = next((t.outcome for t in history if t.id == proposal.continues), None)
        begun = before.fidelity if before else 0.0
        trained = min((proposal.fidelity - begun) * full_seconds, left - BESIDE_SECONDS)
        fidelity = begun + trained / full_seconds
        true[trial.id] = landscape(recipe, fidelity * full_seconds)
        outcome = _outcome(true[trial.id], trained, fidelity, f"{seed}/{trial.id}")
        history.append(trial.model_copy(update={"outcome": outcome}))
        left -= trained + BESIDE_SECONDS
    best = max((t for t in history if t.score), key=lambda t: t.score.value if t.score else 0.0, default=None)
    return Run(history, true[best.id] if best else 0.0)


def _outcome(true: float, seconds: float, fidelity: float, draw: str) -> Outcome:
    rng = random.Random(f"{draw}/{true:.6f}")
    value = sum(rng.random() < true for _ in range(ITEMS)) / ITEMS
    stderr = math.sqrt(value * (1 - value) / ITEMS)
    score = Score(benchmark="b", metric="m", value=value, stderr=stderr, n=ITEMS, role="search")
    cost = Cost(seconds=seconds + BESIDE_SECONDS, train_seconds=seconds, tokens=max(1, round(seconds * 1000)))
    return Outcome(scores=(score,), fidelity=fidelity, tokens=1, cost=cost, resumable=True)


def lab(seed: int) -> tuple[Landscape, list[str]]:
    """The lab's seven sources in an order of the seed's own."""
    roles = list(ROLES)
    random.Random(f"lab/{seed}").shuffle(roles)
    names = [f"maths_{number}" for number in range(1, 8)]
    role_of = dict(zip(names, roles, strict=True))

    def landscape(recipe: Recipe, seconds: float) -> float:
        weights = {role_of[ref.name]: ref.weight for ref in recipe.stages[0].data if ref.weight > 0}
        shares = {role: weight / sum(weights.values()) for role, weight in weights.items()}
        useful = seconds * (1 - 0.7 * shares.get("chat", 0.0))
        return _habits(shares) * (1 - math.exp(-((useful / 18) ** 1.6)))

    return landscape, names


def _habits(shares: dict[str, float]) -> float:
    """The score in the end: each habit's, by how loudly the mixture teaches it."""
    good = {role: share for role, share in shares.items() if role in ("worked", "hard", "easy")}
    votes = {role: share * LOUD[role] for role, share in shares.items() if role in LOUD}
    votes["good"] = 0.2 * sum(good.values())
    missed = math.prod(1 - ALONE[role] * min(1.0, share / 0.15) for role, share in good.items())
    total = sum(votes.values())
    worth = {**ALONE, "good": 1 - missed}
    return sum(vote / total * worth.get(role, 0.0) for role, vote in votes.items()) if total else 0.0
