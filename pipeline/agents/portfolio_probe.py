"""The portfolio with one choice: probes, then the strategy that looks best is kept for good (a control arm)."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.agents._curves import Curve
from pipeline.agents._moves import Move
from pipeline.agents._probes import Probes
from pipeline.agents.portfolio import Portfolio
from pipeline.contracts import Agent
from pipeline.strategy import of_trial
from pipeline.types import Brief, Trial


def create(brief: Brief, seed: int) -> Agent:
    """The agent that never reopens a strategy."""
    return PortfolioProbe(brief, seed)


class PortfolioProbe(Portfolio):
    """The first trial after the probes settles the strategy."""

    author = "portfolio_probe"

    def is_open(self, curve: Curve, trials: Sequence[Trial]) -> bool:
        """Whether it is a curve of the settled strategy, or none is settled."""
        kept, found = self._kept(trials), of_trial(curve.trials[-1])
        return kept is None or (found is not None and found.key == kept)

    def moves(self, trials: Sequence[Trial], curves: Sequence[Curve], leader: Curve, step: float) -> list[Move]:
        """Everything, once; afterwards only what keeps the strategy."""
        if self._kept(trials) is None:
            return super().moves(trials, curves, leader, step)
        return self.within(trials, curves, leader, step)

    def _kept(self, trials: Sequence[Trial]) -> str | None:
        """The settled strategy's key: that of the first trial, neither refused nor failed, that was no probe."""
        probes = {trial.id for trial in Probes(self.brief, self.seed, trials).made}
        usable = [trial for trial in trials if trial.state in ("scored", "pending") and trial.id not in probes]
        return next((found.key for trial in usable if (found := of_trial(trial))), None)
