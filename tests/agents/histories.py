"""Trials as an agent sees them, made up."""

from __future__ import annotations

from typing import Any

from pipeline.recipe import apply_changes, load_recipe, search_space
from pipeline.types import Brief, Budget, Cost, Outcome, Proposal, Score, Trial, Verdict

RATE = "stages.0.params.learning_rate"
NAMES = [f"maths_{number}" for number in range(1, 6)]
RECIPE = load_recipe("tiny_gsm8k")
BRIEF = Brief(
    model="m", benchmark="b", recipe=RECIPE, space=search_space(RECIPE, NAMES), cards=(), budget=Budget(seconds=80.0)
)


def data(**shares: float) -> dict[str, Any]:
    """Changes that mix sources."""
    return {"stages.0.data": [{"name": name, "weight": weight} for name, weight in shares.items()]}


def made(
    number: int,
    author: str = "asha",
    score: float | None = None,
    changes: dict[str, Any] | None = None,
    fidelity: float = 0.5,
    seconds: float = 10.0,
    **more: Any,
) -> Trial:
    """Trial number N: scored if it has a score, failed with an `error`, refused with a `refused` reason, else pending.

    A fifth of its seconds is scoring; full length is 100 s and 1000 tokens.
    """
    changes = changes or {}
    proposal = Proposal(changes=changes, fidelity=fidelity, author=author, continues=more.get("continues"))
    state, outcome = more.get("state", "pending"), None
    cost = Cost(seconds=seconds, train_seconds=0.8 * seconds, eval_seconds=0.2 * seconds, tokens=round(8 * seconds))
    if score is not None:
        found = Score(benchmark="b", metric="m", value=score, stderr=0.02, n=300, role="search")
        tokens = round(1000 * more.get("reached", fidelity))
        state, outcome = "scored", Outcome(
            scores=(found,), cost=cost, fidelity=more.get("reached", fidelity), tokens=tokens, resumable=True,
            labels=more.get("labels", ()),
        )  # fmt: skip
    elif "error" in more:
        state, outcome = "failed", Outcome(error=more["error"], cost=cost)
    elif "refused" in more:
        verdict = Verdict(guard="contamination", ok=False, reason=more["refused"])
        state, outcome = "rejected", Outcome(verdicts=(verdict,), error=more["refused"])
    return Trial(
        id=f"t{number:03d}", state=state, proposal=proposal, recipe=apply_changes(RECIPE, changes), outcome=outcome
    )


def base(score: float) -> Trial:
    """The base's trial."""
    found = Score(benchmark="b", metric="m", value=score, stderr=0.01, n=300, role="search")
    return Trial(id="base", kind="anchor", state="scored", outcome=Outcome(scores=(found,), cost=Cost(seconds=2.0)))
