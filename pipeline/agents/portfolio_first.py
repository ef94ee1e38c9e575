"""The portfolio without a choice: the first strategy, the recipe's own, is kept for good (a control arm).

What agents do by themselves: 2.1% of their neighbouring trials switch strategy (2608.19072).
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.agents._curves import Curve
from pipeline.agents._moves import Move
from pipeline.agents._probes import FIRST_FIDELITY
from pipeline.agents.portfolio import Portfolio
from pipeline.contracts import Agent
from pipeline.strategy import of_trial, strategy_of
from pipeline.types import Brief, Proposal, Trial


def create(brief: Brief, seed: int) -> Agent:
    """The agent that searches numbers and lengths only."""
    return PortfolioFirst(brief, seed)


class PortfolioFirst(Portfolio):
    """The recipe's own strategy, whatever comes of it."""

    author = "portfolio_first"

    def probe(self, trials: Sequence[Trial]) -> Proposal | None:
        """The recipe as it is, once, at a probe's length."""
        if any(trial.state != "abandoned" for trial in trials):
            return None
        why = "begins with the recipe's own strategy"
        return Proposal(fidelity=FIRST_FIDELITY, rationale=why, author=self.author)

    def is_open(self, curve: Curve, trials: Sequence[Trial]) -> bool:
        """Whether it is of the recipe's own strategy: others may be a team member's."""
        found = of_trial(curve.trials[-1])
        return found is not None and found.key == strategy_of(self.brief.recipe).key

    def moves(self, trials: Sequence[Trial], curves: Sequence[Curve], leader: Curve, step: float) -> list[Move]:
        """What keeps the strategy."""
        return self.within(trials, curves, leader, step)
