"""Strategies before execution: probes several, gives budget where the next gain looks largest, reopens the others.

Probes are about a tenth of a full trial long and take a quarter of the budget together (`_probes.py`). From then on the
leader, the recipe with the best score, is compared with all else that the same further training could go into
(`_moves.py`): another recipe's continuation, a strategy that was not tried, other numbers for the leader's own. The
leader counts with the score to be expected of it, the others with theirs at best (`_curves.py`), and what comes out
highest is done for one rung. So a plateau reopens other strategies, and the rationale says on which evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from pipeline.agents import _moves
from pipeline.agents._curves import Curve, best_of, curve_of
from pipeline.agents._drawing import DATA
from pipeline.agents._going_on import chains, go_on, last_stretch, open_trials
from pipeline.agents._moves import Move
from pipeline.agents._pace import ETA, Pace
from pipeline.agents._probes import FIRST_FIDELITY, Probes, mixture
from pipeline.contracts import Agent
from pipeline.strategy import of_trial
from pipeline.types import Brief, Budget, Proposal, Trial

LEAST = 1e-3  # fidelity of a new recipe at the very end: the time limit ends it anyway
TAKE_ALL = 1.5  # rungs: where less than so many are left of the budget, a continuation takes it whole


def create(brief: Brief, seed: int) -> Agent:
    """The agent that reopens strategies."""
    return Portfolio(brief, seed)


class Portfolio:
    """A pure function of brief, seed and history. Siblings override what is probed and which strategies stay open."""

    author = "portfolio"

    def __init__(self, brief: Brief, seed: int) -> None:
        self.brief, self.seed = brief, seed
        self.kinds = {card.name: card.kind for card in brief.cards}

    def propose(self, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
        """The next probe; then the best move; of a budget in trials the last one goes to the leader."""
        trials = [trial for trial in history if trial.kind == "recipe"]
        pace, is_busy = Pace(self.brief, trials), any(trial.state == "pending" for trial in trials)
        if remaining.trials is not None and remaining.trials <= 1 and open_trials(trials):
            return last_stretch(open_trials(trials), pace, remaining, self.author)
        if probe := self.probe(trials):
            return probe
        curves = [curve for chain in chains(trials) if (curve := curve_of(chain)) and self.is_open(curve, trials)]
        if not curves:
            return None if is_busy else self._as_it_is(trials)
        leader, left = best_of(curves), self._left(trials, pace, remaining)
        step = min((ETA - 1) * leader.length, left, 1.0)
        moves = self.moves(trials, curves, leader, step)
        onward = next((move for move in moves if move.continues is leader), None)
        if pace.is_late(remaining) and onward is None and is_busy:
            return None  # the leader has the rest of the budget, and the machine to itself
        others = [move for move in moves if move is not onward]
        best = max(others, key=lambda move: move.score, default=None)
        if onward and (best is None or best.score <= onward.score + leader.error):
            return self._continue(onward, left, f"the leader, expected to reach {onward.score:.3f}")
        return self._other(best, onward, leader, trials, left) if best else None

    # ------------------------------------------------------------ what siblings override

    def probe(self, trials: Sequence[Trial]) -> Proposal | None:
        """The next probe of a strategy; None when probing is over."""
        found = Probes(self.brief, self.seed, trials).next()
        if found is None:
            return None
        if found.continues:
            return go_on(found.continues, found.fidelity, "the probe, as long as the others", self.author)
        changes = {DATA: mixture(found.group)} if found.group else {}
        why = f"probes {', '.join(found.group) or 'the recipe as it is'}"
        return Proposal(changes=changes, fidelity=round(found.fidelity, 6), rationale=why, author=self.author)

    def is_open(self, curve: Curve, trials: Sequence[Trial]) -> bool:
        """Whether a curve's strategy may still be worked on."""
        return True

    def moves(self, trials: Sequence[Trial], curves: Sequence[Curve], leader: Curve, step: float) -> list[Move]:
        """All that could be done next."""
        probes = Probes(self.brief, self.seed, trials)
        new = _moves.strategies(self.brief, trials, probes, leader, step, self.kinds)
        return [*self.within(trials, curves, leader, step), *new]

    # ------------------------------------------------------------ inside

    def within(self, trials: Sequence[Trial], curves: Sequence[Curve], leader: Curve, step: float) -> list[Move]:
        """What could be done without a new strategy."""
        numbers = _moves.numbers(self.brief, self.seed, trials, leader, step)
        return [*_moves.continuations(trials, curves, leader, step), *([numbers] if numbers else [])]

    def _as_it_is(self, trials: Sequence[Trial]) -> Proposal | None:
        """The recipe, or a prior's, where nothing has a score; None when all were tried."""
        seen = [trial.proposal.changes for trial in trials if trial.state != "abandoned"]
        untried = [patch for patch in self.brief.prior or ({},) if patch not in seen]
        if not untried:
            return None
        why = "nothing has scored: the recipe as it is, or a prior's numbers"
        return Proposal(changes=untried[0], fidelity=FIRST_FIDELITY, rationale=why, author=self.author)

    def _left(self, trials: Sequence[Trial], pace: Pace, remaining: Budget) -> float:
        """What is left of the budget to train with, as a fidelity."""
        if remaining.seconds is None or not pace.full_seconds:
            return 1.0
        costs = [trial.outcome.cost for trial in trials if trial.outcome and trial.score]
        beside = median(cost.seconds - cost.train_seconds for cost in costs)
        return max(0.0, remaining.seconds - beside) / pace.full_seconds

    def _continue(self, move: Move, left: float, why: str) -> Proposal:
        assert move.continues is not None
        length = move.continues.length
        far = length + left if left < TAKE_ALL * (ETA - 1) * length else ETA * length
        return go_on(move.continues.trials[-1], min(1.0, far), why, self.author)

    def _other(self, move: Move, onward: Move | None, leader: Curve, trials: Sequence[Trial], left: float) -> Proposal:
        """A move away from the leader, with the evidence for it."""
        keys = [found.key for trial in trials if (found := of_trial(trial))]
        mine = of_trial(leader.trials[-1])
        if mine and move.strategy.key == mine.key:
            verb = "stays with"
        else:
            verb = "reopens" if move.strategy.key in keys else "opens"
        last, before = leader.points[-1], leader.points[-2]
        against = f"is expected to reach {onward.score:.3f}" if onward else "does not go on"
        why = (
            f"{verb} {move.strategy.name} ({move.what}): at best {move.score:.3f}, where {leader.trials[-1].id} "
            f"({last[1]:.3f}, {last[1] - before[1]:+.3f} in its last {last[0] - before[0]:.2g}) {against}"
        )
        if move.continues:
            return self._continue(move, left, why)
        fidelity = round(min(1.0, ETA * leader.points[1][0], max(left, LEAST)), 6)
        return Proposal(
            changes=move.changes, fidelity=fidelity, parent=leader.trials[-1].id, rationale=why, author=self.author
        )
