"""Rungs and time: how long trials are, which of them compare, and when exploring ends."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline.agents._drawing import mixture_of, singles
from pipeline.types import Brief, Budget, Trial

ETA = 3  # a rung is so many times as long as the one below, and promotes one in so many
FIRST_FIDELITY = 0.02  # of the very first trial, before throughput is known
PROBE_SECONDS = 0.39  # training time of the lowest rung: times the root of the budget's seconds (4 s of 120, 10 of 600)
LEAST_PROBE_SHARE = 1 / 200  # of the budget, for long ones
EXPLORE_SHARE = 0.6  # of the budget: after that, only the leader is continued
UNLIMITED_PROBE = 1 / 27  # lowest rung where only trials are limited


class Pace:
    """How fast trials go here, and so how long the rungs are."""

    def __init__(self, brief: Brief, trials: Sequence[Trial]) -> None:
        self.seconds, self.slots = brief.budget.seconds, brief.slots
        scored = [trial for trial in trials if trial.outcome and trial.score and trial.outcome.cost.tokens]
        self.can_mix = len(singles(brief)) > 1
        self.full_seconds: float | None = None  # of training, for fidelity 1
        self.probe = UNLIMITED_PROBE if self.seconds is None else FIRST_FIDELITY
        if scored:
            first = scored[0].outcome
            assert first is not None
            self.full_seconds = first.cost.train_seconds / max(first.fidelity, 1e-6)
            if self.seconds is not None:
                self.probe = min(1.0, probe_seconds(self.seconds) / self.full_seconds)

    def rungs(self, trials: Sequence[Trial]) -> dict[int, list[Trial]]:
        """Scored trials by rung: the power of ETA that is nearest to their fidelity over the lowest rung's."""
        found: dict[int, list[Trial]] = {}
        for trial in trials:
            if trial.score is not None and trial.state == "scored" and fidelity_of(trial) > 0:
                found.setdefault(self.rung_of(fidelity_of(trial)), []).append(trial)
        return found

    def rung_of(self, fidelity: float) -> int:
        """The rung whose length is nearest to a fidelity, by ratio."""
        return max(0, round(math.log(fidelity / self.probe, ETA)))

    def relative(self, trials: Sequence[Trial]) -> list[tuple[Trial, float]]:
        """Scored trials with their score relative to the best of their rung."""
        pairs = []
        for rung in self.rungs(trials).values():
            best = max(map(score_of, rung))
            pairs += [(trial, score_of(trial) / best) for trial in rung if best > 0]
        return pairs

    def may_lead(self, trial: Trial) -> bool:
        """Whether a trial may be promoted: a source alone only where there is nothing to mix it with."""
        return not self.can_mix or len(mixture_of(trial)) > 1

    def leader(self, trials: Sequence[Trial]) -> Trial | None:
        """The best mixture of the rung that new mixtures start on: what they are compared with."""
        mixed = [trial for trial in self.rungs(trials).get(1, []) if len(mixture_of(trial)) > 1]
        return max(mixed, key=score_of) if mixed else None

    def is_late(self, remaining: Budget) -> bool:
        """Whether exploring is over."""
        if remaining.trials is not None and remaining.trials <= 1:
            return True
        return self.seconds is not None and (remaining.seconds or 0.0) <= (1 - EXPLORE_SHARE) * self.seconds

    def reach(self, trial: Trial, remaining: Budget) -> float:
        """The fidelity that a trial gets to with all that is left; its time limit ends it where that was too much."""
        if self.full_seconds is None or remaining.seconds is None:
            return 1.0
        return fidelity_of(trial) + 1.5 * remaining.seconds / self.full_seconds


def probe_seconds(budget_seconds: float) -> float:
    """Training time of the lowest rung under a budget."""
    return max(PROBE_SECONDS * math.sqrt(budget_seconds), LEAST_PROBE_SHARE * budget_seconds)


def score_of(trial: Trial) -> float:
    """Search score; 0 without one."""
    return trial.score.value if trial.score else 0.0


def fidelity_of(trial: Trial) -> float:
    """Share of the full length that was trained; 0 without an outcome."""
    return trial.outcome.fidelity if trial.outcome else 0.0


def can_continue(trial: Trial) -> bool:
    """Whether a checkpoint is there to go on from."""
    return trial.state == "scored" and trial.outcome is not None and trial.outcome.resumable
