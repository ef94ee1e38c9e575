"""What a search over strategies could do next, each with the score that it may come to after the same further training.

Hopes say by how much the hazard of something untried may exceed the leader's (`_curves.py`): much for the first mixture
of what showed promise alone, little for a neighbour of the leader or for other numbers, less with each that was tried.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.agents import _inside
from pipeline.agents._curves import Curve, curve_of
from pipeline.agents._drawing import DATA, mixture_of
from pipeline.agents._going_on import open_trials
from pipeline.agents._probes import Probes, mixture
from pipeline.errors import InputError
from pipeline.recipe import apply_changes
from pipeline.strategy import of_trial, strategy_of
from pipeline.types import Brief, Strategy, Trial

UNION_HOPE, NEIGHBOUR_HOPE, NUMBERS_HOPE = 1.0, 0.3, 0.2
PROMISE = 0.6  # of the best probe's rate: what is mixed first
MODELLED = 0.5  # share of numbers that TPE proposes where it can: alone it would leave the leader's surroundings
LEAST_WEIGHT = 0.25  # of the best source's, in the first mixture


@dataclass(frozen=True)
class Move:
    """One thing to do: continue a trial, or start a recipe (`changes`) of a strategy."""

    strategy: Strategy
    score: float  # that it may come to
    changes: dict[str, Any]
    continues: Curve | None = None
    what: str = ""


def continuations(trials: Sequence[Trial], curves: Sequence[Curve], leader: Curve, step: float) -> list[Move]:
    """Every recipe that can go on: the leader with the score to be expected, the others with theirs at best."""
    open_ = {trial.id for trial in open_trials(trials)}
    moves = []
    for curve in curves:
        last = curve.trials[-1]
        found = of_trial(last)
        if last.id in open_ and curve.length < 1.0 and found:
            to = curve.length + step
            score = curve.expected(to) if curve is leader else curve.at_best(to, leader)
            moves.append(Move(found, score, dict(last.proposal.changes), curve, f"{last.id} goes on"))
    return moves


def strategies(
    brief: Brief, trials: Sequence[Trial], probes: Probes, leader: Curve, step: float, kinds: Mapping[str, str]
) -> list[Move]:
    """Strategies that nobody tried: the mixture of what showed promise, neighbours of the leader, groups that the
    quarter did not pay for, the recipe's own."""
    tried = {found.key for trial in trials if (found := of_trial(trial))}
    mixed = [trial for trial in trials if not trial.proposal.continues and _is_mixture(trial, probes)]
    hopes: list[tuple[float, dict[str, Any], str]] = []
    if union := _union(probes):
        hopes.append((UNION_HOPE / (1 + len(mixed)), {DATA: union}, "all that showed promise"))
    shares = mixture_of(leader.trials[-1])
    for worth, near, what in _neighbours(shares, probes):
        hopes.append((NEIGHBOUR_HOPE * worth / (1 + len(mixed)), {DATA: mixture(tuple(near), [*near.values()])}, what))
    hopes += [(0.0, {DATA: mixture(group)}, "not probed yet") for group in probes.groups if group not in probes.found]
    hopes.append((0.0, {}, "the recipe as it is"))
    moves = []
    kept = {path: value for path, value in leader.trials[-1].proposal.changes.items() if path != DATA}
    for hope, changes, what in hopes:
        found = strategy_of(apply_changes(brief.recipe, changes), kinds)
        names = {name for stage in found.stages for name in stage.sources}
        if found.key not in tried and not names & probes.refused:
            hazard = max(leader.hazard(step), _together(names, probes, leader, step))
            moves.append(Move(found, 1 - math.exp(-hazard * (1 + hope)), {**kept, **changes}, what=what))
    return moves


def numbers(brief: Brief, seed: int, trials: Sequence[Trial], leader: Curve, step: float) -> Move | None:
    """Other numbers for the leader's strategy: a prior's that was not tried with it or one changed at random, until
    there is enough for a search of its own inside it (`_inside.py`), which then has every second turn."""
    found, last = of_trial(leader.trials[-1]), leader.trials[-1]
    if found is None or last.recipe is None:
        return None
    same = [t for t in trials if not t.proposal.continues and (other := of_trial(t)) and other.key == found.key]
    rng = random.Random(f"portfolio/{seed}/{len(trials)}")
    data = {path: value for path, value in last.proposal.changes.items() if path == DATA}
    seen = [trial.proposal.changes for trial in same]
    untried = [changes for patch in brief.prior if (changes := {**data, **patch}) not in seen]
    if _inside.is_modelled(brief, same, found) and rng.random() < MODELLED:
        changes, what = _inside.ask(brief, seed, trials, found), "TPE's numbers inside it"
    elif untried and rng.random() < 0.5:
        changes, what = rng.choice(untried), "a prior's numbers"
    else:
        changes, what = _changed(brief, last, rng), "one number changed"
    try:
        apply_changes(brief.recipe, changes)
    except InputError:
        return None
    hope = NUMBERS_HOPE / max(1, len(same))
    return Move(found, 1 - math.exp(-leader.hazard(step) * (1 + hope)), changes, what=what)


# ---------------------------------------------------------------- inside


def _together(names: Collection[str], probes: Probes, leader: Curve, step: float) -> float:
    """The hazard of sources together: the mean of theirs alone, each at best, as far as they were probed."""
    curves = {name: curve_of([trial]) for group, trial in probes.pieces().items() for name in group}
    known = [curve for name in names if (curve := curves.get(name))]
    return sum(curve.hazard_at_best(step, leader) for curve in known) / len(known) if known else 0.0


def _is_mixture(trial: Trial, probes: Probes) -> bool:
    return len(mixture_of(trial)) > 1 and all(trial is not probe for probe in probes.made)


def _union(probes: Probes) -> list[dict[str, Any]]:
    """The probed groups that learn not much slower than the fastest, weighted by that; [] if it is one alone."""
    pieces = [group for group in probes.pieces() if probes.rate(group) > 0]
    if not pieces:
        return []
    best = max(map(probes.rate, pieces))
    good = sorted((group for group in pieces if probes.rate(group) >= PROMISE * best), key=probes.rate, reverse=True)
    if len(good) < 2 and len(pieces) > 1:
        good = sorted(pieces, key=probes.rate, reverse=True)[:2]
    weights: dict[str, float] = {}
    for group in good:
        for name in group:
            weights[name] = max(LEAST_WEIGHT, probes.rate(group) / best)
    return mixture(tuple(weights), [*weights.values()]) if len(weights) > 1 else []


def _neighbours(shares: Mapping[str, float], probes: Probes) -> list[tuple[float, dict[str, float], str]]:
    """The leader's mixture less one source, or with one more: (worth in [0, 1], shares, what)."""
    rates = {name: probes.rate(group) for group in probes.pieces() for name in group}
    best = max(rates.values(), default=0.0) or 1.0
    near = []
    for name in sorted(shares) if len(shares) > 1 else ():
        rest = {other: share for other, share in shares.items() if other != name}
        near.append((1 - rates.get(name, best / 2) / best, rest, f"the leader without {name}"))
    even = sum(shares.values()) / max(1, len(shares))
    for name in sorted(set(probes.names) - set(shares)) if shares else ():
        near.append((rates.get(name, best / 2) / best, {**shares, name: even}, f"the leader and {name}"))
    return near


def _changed(brief: Brief, trial: Trial, rng: random.Random) -> dict[str, Any]:
    """The trial's recipe with other weights for its sources or another value for one number."""
    changes, shares = dict(trial.proposal.changes), mixture_of(trial)
    ranges = {path: d for path, d in brief.space.items() if d.kind in ("float", "int") and d.log and (d.low or 0) > 0}
    if DATA in brief.space and len(shares) > 1 and (not ranges or rng.random() < 0.5):
        changes[DATA] = mixture(tuple(shares), [share * rng.uniform(0.4, 2.0) for share in shares.values()])
    elif ranges and trial.recipe:
        path = rng.choice(sorted(ranges))
        _, stage, _, key = path.split(".")
        now, low, high = trial.recipe.stages[int(stage)].params.get(key), ranges[path].low or 0, ranges[path].high or 0
        value = min(max((now or low) * math.exp(rng.uniform(-0.8, 0.8)), low), high)
        changes[path] = round(value) if ranges[path].kind == "int" else min(max(float(f"{value:.3g}"), low), high)
    return changes
