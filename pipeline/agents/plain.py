"""The benchmark's recipe, once, at full length: what a search has to beat."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.contracts import Agent
from pipeline.types import Brief, Budget, Proposal, Trial


def create(brief: Brief, seed: int) -> Agent:
    """An agent that proposes the recipe as it is; a budget that is too short for it cuts it. The seed is not used."""
    return Plain()


class Plain:
    """Proposes once."""

    def propose(self, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
        """The recipe as it is, unless it was tried, whatever others tried; one that was interrupted is tried again."""
        own = [trial for trial in history if trial.kind == "recipe" and not trial.proposal.changes]
        tried = [trial for trial in own if trial.state != "abandoned"]
        return None if tried else Proposal(author="plain", rationale="the benchmark's recipe as it is")
