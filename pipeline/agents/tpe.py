"""Optuna's multivariate TPE with its Hyperband pruner: the strong control arm among optimisers (1807.01774).

The first trial is the recipe as it is; each later one is asked of TPE, over numbers, choices and one axis per data
source. Its Hyperband bracket says how long it is at first, the pruner whether it goes on, from its checkpoint, to
three times that. As with `asha`, the last part of the budget belongs to the leader. Trials that failed are told as
failed, never as bad scores: a point without memory for it is not a bad recipe.
"""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState

from pipeline.agents._distributions import changes_at, distributions, point_of
from pipeline.agents._going_on import chains, go_on, last_stretch, open_trials
from pipeline.agents._pace import ETA, Pace, can_continue, fidelity_of, score_of
from pipeline.errors import InputError
from pipeline.recipe import apply_changes
from pipeline.types import Brief, Budget, Proposal, Trial

AUTHOR = "tpe"
STARTUP = 4  # random trials of a bracket before TPE models it: Optuna's ten would be a whole laptop search
TRIAL_SHARE = 0.2  # of the budget's seconds: the most that a trial trains before the last stretch


def create(brief: Brief, seed: int) -> Tpe:
    """An agent that is a pure function of brief, seed and history: every call builds Optuna's study anew."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return Tpe(brief, seed)


class Tpe:
    """Asks Optuna, with all that was tried told to it in the order of its start."""

    def __init__(self, brief: Brief, seed: int) -> None:
        self.brief, self.seed = brief, seed
        self.axes = distributions(brief.space)

    def propose(self, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
        """The last stretch of the leader; else a trial that its bracket lets go on; else a new recipe."""
        trials = [trial for trial in history if trial.kind == "recipe"]
        pace = Pace(self.brief, trials)
        if pace.is_late(remaining):
            last = last_stretch(open_trials(trials), pace, remaining, AUTHOR)
            if last is not None or any(trial.state == "pending" for trial in trials):
                return last
        study = self._study(trials, pace)
        for chain in chains(trials):
            if self._tell(study, chain, pace):
                rung = pace.rung_of(fidelity_of(chain[-1]))
                return go_on(chain[-1], pace.probe * ETA ** (rung + 1), "its bracket lets it go on", AUTHOR)
        return self._fresh(study, trials, pace)

    def draw(self, trials: Sequence[Trial]) -> dict[str, Any]:
        """What it would try next, without a length: for agents that decide themselves how far a recipe goes."""
        pace = Pace(self.brief, trials)
        study = self._study(trials, pace)
        for chain in chains(trials):
            if self._tell(study, chain, pace):  # as running it would count as bad
                study.tell(len(study.trials) - 1, state=TrialState.PRUNED)
        return self._allowed(changes_at(study.ask(self.axes).params, self.brief.space))

    def _study(self, trials: Sequence[Trial], pace: Pace) -> optuna.Study:
        seed = random.Random(f"{AUTHOR}/{self.seed}/{len(trials)}").getrandbits(32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # multivariate is called experimental since 2.2
            sampler = optuna.samplers.TPESampler(
                multivariate=True, constant_liar=True, n_startup_trials=STARTUP, seed=seed
            )
        pruner = optuna.pruners.HyperbandPruner(
            min_resource=1, max_resource=ETA ** _top(pace), reduction_factor=ETA, bootstrap_count=0
        )
        # brackets are drawn by the study's name and a trial's number
        name = f"{AUTHOR}-{self.seed}"
        return optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner, study_name=name)

    def _tell(self, study: optuna.Study, chain: Sequence[Trial], pace: Pace) -> bool:
        """Tell a recipe's trials, one continuing the other; whether the last may go on."""
        scored = [trial for trial in chain if trial.state == "scored" and fidelity_of(trial) > 0]
        point = self._point(chain[0])
        if point is None or not (scored or chain[-1].state == "pending"):
            study.tell(study.ask(), state=TrialState.FAIL)
            return False
        study.enqueue_trial(point)
        told, stops, last = study.ask(self.axes), False, -1
        for trial in scored:
            rung = pace.rung_of(fidelity_of(trial))
            if rung > last:
                told.report(score_of(trial), step=ETA**rung)
                stops, last = told.should_prune(), rung
        if chain[-1].state == "pending":
            return False
        best = scored[-1]
        if fidelity_of(best) >= 1.0 or last >= _top(pace):
            study.tell(told, score_of(best))
        elif stops or chain[-1] is not best or not can_continue(best) or score_of(best) <= 0:
            study.tell(told, state=TrialState.PRUNED)
        else:
            return True
        return False

    def _point(self, trial: Trial) -> dict[str, Any] | None:
        mine, theirs = self.brief.recipe.stages, trial.recipe.stages if trial.recipe else ()
        same = [stage.trainer for stage in mine] == [stage.trainer for stage in theirs]
        return point_of(trial.recipe, self.brief.space) if trial.recipe and same else None

    def _fresh(self, study: optuna.Study, trials: Sequence[Trial], pace: Pace) -> Proposal:
        if not trials:
            why = "the recipe as it is, which later ones start from"
            return Proposal(fidelity=round(pace.probe, 6), rationale=why, author=AUTHOR)
        asked = study.ask(self.axes)
        changes, rung = self._allowed(changes_at(asked.params, self.brief.space)), _first_rung(asked, _top(pace))
        fidelity = round(min(1.0, pace.probe * ETA**rung), 6)
        return Proposal(changes=changes, fidelity=fidelity, rationale=f"TPE's, in bracket {rung}", author=AUTHOR)

    def _allowed(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Without the value that does not go with the others (DoRA without LoRA, say); at worst the mixtures alone."""
        for left_out in (None, *reversed(changes)):
            kept = {path: value for path, value in changes.items() if path != left_out}
            try:
                apply_changes(self.brief.recipe, kept)
                return kept
            except InputError:
                continue
        return {path: value for path, value in changes.items() if self.brief.space[path].kind == "mixture"}


def _top(pace: Pace) -> int:
    """The highest rung: as long as a trial may be before the last stretch. Two brackets at least."""
    longest = 1.0
    if pace.seconds is not None:
        longest = min(1.0, TRIAL_SHARE * pace.seconds / pace.full_seconds) if pace.full_seconds else 0.0
    return max(1, math.floor(math.log(max(longest, pace.probe) / pace.probe, ETA) + 1e-9))


def _first_rung(asked: optuna.Trial, top: int) -> int:
    """Where the trial's bracket begins: the first rung at which the pruner would stop a trial without a score."""
    for rung in range(top):
        asked.report(math.nan, step=ETA**rung)
        if asked.should_prune():
            return rung
    return top
