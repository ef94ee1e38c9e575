"""Asynchronous successive halving over training tokens; promoted trials go on from their checkpoint (1810.05934).

The lowest rung probes every source alone. Mixtures start a rung higher, first of all sources that showed promise, then
near the leader (`_drawing.py`); a source alone is a probe and is promoted only where nothing is to be mixed. The best
third of a rung is promoted to three times its length. The last part of the budget belongs to the leader.
Where scoring a model takes so long that the budget pays for a few looks only, there is nothing to halve: the recipe as
it is gets the whole budget.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from pipeline.agents import _drawing
from pipeline.agents._going_on import go_on, last_stretch, open_trials
from pipeline.agents._pace import ETA, EXPLORE_SHARE, Pace, can_continue, score_of
from pipeline.contracts import Agent
from pipeline.types import Brief, Budget, Proposal, Trial

LEAST_LOOKS = 12  # scorings that the exploring part of the budget must pay for, training left out
OF_ONE_SOURCE = 60  # the same where there is one source: only numbers are to be found then, and the recipe's are good


def create(brief: Brief, seed: int) -> Agent:
    """The default agent."""
    return Asha(brief, seed)


class Asha:
    """A pure function of brief, seed and history: each call derives the rungs anew."""

    def __init__(self, brief: Brief, seed: int) -> None:
        self.brief, self.seed = brief, seed

    def propose(self, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
        """The last stretch of the leader; else a promotion that is due; else a new recipe at the lowest rung."""
        trials = [trial for trial in history if trial.kind == "recipe"]
        pace = Pace(self.brief, trials)
        least = LEAST_LOOKS if len(_drawing.singles(self.brief)) > 1 else OF_ONE_SOURCE
        if not trials and _looks(self.brief, history) < least:
            return self._propose({}, 1.0, "the recipe as it is, all the way: looking at more of them costs too much")
        if pace.is_late(remaining):
            last = self._last_stretch(trials, pace, remaining)
            if last is not None or any(trial.state == "pending" for trial in trials):
                return last
        return self._promotion(trials, pace) or self._fresh(trials, pace)

    def _fresh(self, trials: Sequence[Trial], pace: Pace) -> Proposal:
        seen = [trial.proposal.changes.get(_drawing.DATA) for trial in trials]
        unseen = [single for single in _drawing.singles(self.brief) if single not in seen]
        if unseen:  # in an order of the seed's own
            single = random.Random(f"asha/{self.seed}/{len(unseen)}").choice(unseen)
            return self._propose({_drawing.DATA: single}, pace.probe, f"probes {single[0]['name']} alone")
        rng = random.Random(f"asha/{self.seed}/{len(trials)}")
        refused = {name for trial in trials if trial.state == "rejected" for name in _drawing.mixture_of(trial)}
        leader, values = pace.leader(trials), _drawing.source_values(pace.relative(trials))
        for _ in range(20):
            changes = _drawing.draw(self.brief, rng, leader, values, refused)
            if all(trial.proposal.changes != changes for trial in trials):
                break
        near = f"near {leader.id} ({score_of(leader):.3f})" if leader else "of what showed promise alone"
        return self._propose(changes, min(1.0, pace.probe * ETA), f"a mixture {near}", leader)

    def _promotion(self, trials: Sequence[Trial], pace: Pace) -> Proposal | None:
        """The best unpromoted trial of the best third of the highest rung that has one."""
        probed = {name for trial in trials for name in _drawing.mixture_of(trial)}
        if any(single[0]["name"] not in probed for single in _drawing.singles(self.brief)):
            return None
        continued = {trial.proposal.continues for trial in trials}
        rungs = pace.rungs([trial for trial in trials if pace.may_lead(trial)])
        for rung in sorted(rungs, reverse=True):
            ranked = sorted(rungs[rung], key=score_of, reverse=True)
            for trial in ranked[: len(ranked) // ETA]:
                if trial.id not in continued and can_continue(trial) and score_of(trial) > 0:
                    return go_on(trial, pace.probe * ETA ** (rung + 1), f"best third of rung {rung}", "asha")
        return None

    def _last_stretch(self, trials: Sequence[Trial], pace: Pace, remaining: Budget) -> Proposal | None:
        open_ = open_trials(trials)
        return last_stretch([t for t in open_ if pace.may_lead(t)] or open_, pace, remaining, "asha")

    def _propose(self, changes: dict, fidelity: float, why: str, parent: Trial | None = None) -> Proposal:
        return Proposal(
            changes=changes, fidelity=round(fidelity, 6), parent=parent.id if parent else None, rationale=why,
            author="asha",
        )  # fmt: skip


def _looks(brief: Brief, history: Sequence[Trial]) -> float:
    """How many models the exploring part of the budget could score, by what scoring the quickest anchor took."""
    took = [trial.outcome.cost.seconds for trial in history if trial.kind == "anchor" and trial.outcome]
    if brief.budget.seconds is None or not took:
        return math.inf
    return EXPLORE_SHARE * brief.budget.seconds * brief.slots / max(min(took), 1e-3)
