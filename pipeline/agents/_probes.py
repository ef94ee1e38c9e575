"""Which strategies are probed, and what the probes say: a plan within a quarter of the budget.

Every source alone, where the quarter pays for that; where it does not, sources are probed in groups of about equal
size, those of one kind together, and what is left of the quarter splits the best group. A refused group is split, too.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.agents._drawing import DATA
from pipeline.agents._pace import Pace, can_continue, fidelity_of, probe_seconds
from pipeline.strategy import of_trial, stem
from pipeline.types import Brief, Trial

SHARE = 0.25  # of the budget, for all probes together
TENTH = 0.1  # of a full trial's length: how long a probe is at most
FULL_SHARE = 0.5  # of the budget: what a full trial is where the recipe's own length does not fit
SHORTEST = 0.6  # of the lowest rung of `asha`: shorter probes tell nothing
BESIDE = 1.3  # times its training is what a probe costs, before that was measured
MUCH = 1.5  # times as long
FIRST_FIDELITY = 0.012  # of the first probe, before throughput is known
Group = tuple[str, ...]


@dataclass(frozen=True)
class Probe:
    """The next probe: sources that are mixed in equal parts (none: the recipe as it is), how long, and what it
    continues: the first probe, which was made before throughput was known, where it was much too short."""

    group: Group
    fidelity: float
    continues: Trial | None = None


class Probes:
    """The plan for a run, and how far it has come: a pure function of brief, seed and trials."""

    def __init__(self, brief: Brief, seed: int, trials: Sequence[Trial]) -> None:
        self.brief, self.pace = brief, Pace(brief, trials)
        dimension = brief.space.get(DATA)
        self.names = tuple(dimension.choices) if dimension else ()
        kinds = {card.name: card.kind for card in brief.cards}
        self.groups = _grouped(self.names, kinds, self._affordable(), random.Random(f"portfolio/{seed}/groups"))
        planned, self.found = _with_halves(self.groups), dict[Group, Trial]()
        for trial in trials:
            group = () if trial.proposal.continues else group_of(trial)
            if group in planned or not self.names:
                self.found.setdefault(group, trial)
        self.made = list(self.found.values())
        self.refused = _refused(trials)
        self.too_short = self._too_short()
        longer = [t for t in trials if self.too_short and t.proposal.continues == self.too_short.id]
        if longer and longer[0].state in ("pending", "scored"):
            self.found[group_of(longer[0])] = longer[0]
            self.made.append(longer[0])
        self.has_gone_on = any(trial.state != "abandoned" for trial in longer)

    def next(self) -> Probe | None:
        """The probe that comes next; None when probing is over."""
        todo = self._todo()
        if not self.names:
            return None if self.found else Probe((), self._fidelity(1))
        if not self._has_room():
            return None
        if self.too_short and not self.has_gone_on and can_continue(self.too_short):
            return Probe(group_of(self.too_short), self._fidelity(len(todo) + 1), self.too_short)
        return Probe(todo[0], self._fidelity(len(todo))) if todo else None

    def pieces(self) -> dict[Group, Trial]:
        """The finest groups that were scored: a group that was split counts as its halves."""
        scored = {group: trial for group, trial in self.found.items() if trial.score and trial.state == "scored"}
        return {g: t for g, t in scored.items() if not any(set(other) < set(g) for other in scored)}

    # ------------------------------------------------------------ inside

    def _affordable(self) -> int:
        """How many probes the budget pays for, before anything is measured: the plan must not change on the way."""
        budget = self.brief.budget
        if budget.seconds is not None:
            cost = BESIDE * probe_seconds(budget.seconds) / self.brief.slots
            return max(2, round(SHARE * budget.seconds / cost))
        return len(self.names) if budget.trials is None else max(1, int(SHARE * budget.trials))

    def _too_short(self) -> Trial | None:
        """The first probe, if those to come are much longer, so that it would not compare with them."""
        first = self.made[0] if self.made and self.names else None
        if first is None or not first.score or self.brief.budget.seconds is None:
            return None
        even = SHARE * self.brief.budget.seconds * self.brief.slots / max(1, len(self.groups)) - _beside([first])
        return first if self._within(even) > MUCH * fidelity_of(first) else None

    def _todo(self) -> list[Group]:
        """Planned groups that were not probed, halves of refused ones first; then the better of the best one's."""
        halves = [half for group, trial in self.found.items() if trial.state == "rejected" for half in _halves(group)]
        todo = [g for g in (*halves, *self.groups) if g not in self.found and not self.refused & set(g)]
        if todo or any(trial.state == "pending" for trial in self.found.values()):
            return todo
        pieces = [group for group in self.pieces() if len(group) > 1 and self.rate(group) > 0]
        best = max(pieces, key=self.rate, default=())
        return [half for half in _halves(best) if half not in self.found]

    def rate(self, group: Group) -> float:
        """How fast a probed group learns: -ln(1 - score) per length."""
        trial = self.found[group]
        score = trial.score.value if trial.score else 0.0
        return -math.log(1 - min(score, 0.999)) / max(fidelity_of(trial), 1e-6)

    def _has_room(self) -> bool:
        """Whether one more probe keeps within the quarter; one is always made."""
        budget, begun = self.brief.budget, len(self.made)
        if budget.seconds is None:
            return budget.trials is None or begun < max(1, int(SHARE * budget.trials))
        return begun == 0 or self._left() >= SHORTEST * probe_seconds(budget.seconds) + _beside(self.made)

    def _left(self) -> float:
        """Seconds of the quarter that are not spent; a pending probe is taken to cost as much as the dearest."""
        costs = [trial.outcome.cost.seconds if trial.outcome else 0.0 for trial in self.made]
        pending = sum(trial.state == "pending" for trial in self.made)
        seconds = self.brief.budget.seconds or 0.0
        dearest = max([*costs, BESIDE * probe_seconds(seconds)]) if pending else 0.0
        return SHARE * seconds * self.brief.slots - sum(costs) - pending * dearest

    def _fidelity(self, todo: int) -> float:
        """A tenth of a full trial, less where the quarter asks for it."""
        if self.brief.budget.seconds is None:
            return TENTH
        return self._within(self._left() / todo - _beside(self.made)) if self.pace.full_seconds else FIRST_FIDELITY

    def _within(self, seconds: float) -> float:
        """The fidelity of so many seconds of training, between the shortest probe and a tenth of a full trial."""
        full, budget = self.pace.full_seconds or 1.0, self.brief.budget.seconds or 0.0
        longest = TENTH * min(full, FULL_SHARE * budget)
        shortest = min(SHORTEST * probe_seconds(budget), longest)
        return min(1.0, max(shortest, min(longest, seconds)) / full)


def _beside(probes: Sequence[Trial]) -> float:
    """Seconds that a probe takes beside its training: the least so far, as later ones start warm."""
    costs = [trial.outcome.cost for trial in probes if trial.outcome and trial.score]
    return min((cost.seconds - cost.train_seconds for cost in costs), default=0.0)


def group_of(trial: Trial) -> Group:
    """The sources that a trial's first stage mixes, sorted as groups are."""
    found = of_trial(trial)
    return tuple(sorted(found.stages[0].sources)) if found else ()


def mixture(group: Sequence[str], weights: Sequence[float] | None = None) -> list[dict[str, Any]]:
    """A patch's value for these sources, in equal parts unless told otherwise."""
    given = weights or [1.0] * len(group)
    total = sum(given)
    return [
        {"name": name, "weight": max(0.01, round(weight / total, 3))} for name, weight in zip(group, given, strict=True)
    ]


def _grouped(names: Sequence[str], kinds: dict[str, str], most: int, rng: random.Random) -> list[Group]:
    """At most `most` groups, in an order of the seed's own; sources of one kind lie side by side before the cut."""
    mixed = rng.sample(list(names), len(names))
    order = sorted(mixed, key=lambda name: kinds.get(name) or stem(name))
    count = min(len(order), max(1, most))
    bounds = [round(at * len(order) / count) for at in range(count + 1)] if count else []
    groups = [tuple(sorted(order[low:high])) for low, high in zip(bounds, bounds[1:], strict=False)]
    return rng.sample(groups, len(groups))


def _refused(trials: Sequence[Trial]) -> set[str]:
    """Sources that a guard refused: alone, or with others that were trained on elsewhere."""
    used = {name for trial in trials if trial.state == "scored" for name in group_of(trial)}
    left = [set(group_of(trial)) - used for trial in trials if trial.state == "rejected"]
    return {name for names in left if len(names) == 1 for name in names}


def _with_halves(groups: Sequence[Group]) -> set[Group]:
    return {each for group in groups for each in (group, *_with_halves(_halves(group)))}


def _halves(group: Group) -> list[Group]:
    return [group[: len(group) // 2], group[len(group) // 2 :]] if len(group) > 1 else []
