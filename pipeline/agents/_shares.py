"""The manager of a team: the budget in rounds, each divided by what the members have gained.

A bandit: part of a round is divided evenly, so that nobody is written off for a bad start (the mixing of Exp3, Auer et
al. 2002), the rest in proportion to gains per second, of which older ones fade. Shares are paid out, not drawn: the
turn is the member's to whom most is still owed. All of it is computed from history anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline import earnings
from pipeline.types import Brief, Budget, Record, Trial

ROUNDS = 8  # that the budget is divided into
ROUND_TRIALS = 3  # per member in a round, where the budget has no end
EVEN = 0.4  # of a round
EVEN_ROUNDS = 2  # before any division: who probes has nothing to show for it yet
FADE = 0.5  # what a round's gains still count for after the next: gains shrink as a search goes on


class Round(Record):
    """One round: each member's share of it, and what the members gained in it (search score)."""

    number: int
    shares: dict[str, float]
    gained: dict[str, float]


class Shares:
    """What history says of the members: the rounds so far, the last of them open, and what each is owed."""

    def __init__(self, brief: Brief, members: Sequence[str], trials: Sequence[Trial]) -> None:
        self.members, self.in_seconds = members, brief.budget.seconds is not None
        self.size = self._size(brief)
        even = {name: 1 / len(members) for name in members}
        self.rounds = [Round(number=1, shares=even, gained=dict.fromkeys(members, 0.0))]
        self.owed = {name: share * self.size for name, share in even.items()}
        self._gains, self._costs = dict.fromkeys(members, 0.0), dict.fromkeys(members, 0.0)
        self._spent = dict.fromkeys(members, 0.0)  # in this round
        self._replay(trials)

    def order(self) -> list[str]:
        """The members, the one to whom most is owed first."""
        return sorted(self.members, key=lambda name: -self.owed[name])

    def _size(self, brief: Brief) -> float:
        """What a round is worth: slot seconds, or trials where there is no limit of time."""
        if brief.budget.seconds is not None:
            return brief.budget.seconds * brief.slots / ROUNDS
        if brief.budget.trials is not None:
            return max(1.0, brief.budget.trials / ROUNDS)
        return float(ROUND_TRIALS * len(self.members))

    def _replay(self, trials: Sequence[Trial]) -> None:
        by_id, risen, total = {trial.id: trial for trial in trials}, earnings.rises(trials), 0.0
        for number, trial in enumerate(trials):
            cost, name = self._cost(trial, trials[:number]), earnings.owner(trial)
            total += cost
            if name in self.owed:
                self.owed[name] -= cost
                self._spent[name] += cost
            for to, share in earnings.credits(trial, by_id).items():
                if to in self.owed:
                    self.rounds[-1].gained[to] += share * risen.get(trial.id, 0.0)
            while total >= self.size * len(self.rounds):
                self._next_round()

    def _cost(self, trial: Trial, before: Sequence[Trial]) -> float:
        if trial.kind == "anchor" or trial.state in ("rejected", "abandoned"):
            return 0.0
        if not self.in_seconds:
            return 1.0
        if trial.outcome is not None:
            return trial.outcome.cost.seconds
        # one that runs: what it will take, so that the next slot is not its owner's, too
        return max(1e-3, earnings.expected(trial.proposal, before, Budget()).seconds)

    def _next_round(self) -> None:
        for name in self.members:
            self._gains[name] = FADE * self._gains[name] + self.rounds[-1].gained[name]
            self._costs[name] = FADE * self._costs[name] + self._spent[name]
        shares = self._divide()
        for name in self.members:
            self.owed[name] += shares[name] * self.size
        self._spent = dict.fromkeys(self.members, 0.0)
        nothing = dict.fromkeys(self.members, 0.0)
        self.rounds.append(Round(number=len(self.rounds) + 1, shares=shares, gained=nothing))

    def _divide(self) -> dict[str, float]:
        """Each member's share of the next round; one that had no turn is taken to be as good as the best."""
        if len(self.rounds) < EVEN_ROUNDS:
            return dict.fromkeys(self.members, 1 / len(self.members))
        known = {name: self._gains[name] / self._costs[name] for name in self.members if self._costs[name] > 0}
        most = max(known.values(), default=0.0)
        rates = {name: known.get(name, most) for name in self.members}
        total, even = sum(rates.values()), 1 / len(self.members)
        if total <= 0:
            return dict.fromkeys(self.members, even)
        return {name: EVEN * even + (1 - EVEN) * rates[name] / total for name in self.members}
