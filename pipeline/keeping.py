"""Which trials' weights stay on disk: those of the best few, and checkpoints that may be continued."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.training import CHECKPOINT, MODEL
from pipeline.types import Trial

DOES_NOT_STOP = "does not stop"


class Keep(NamedTuple):
    """Ids of the trials whose scored weights, and whose checkpoints, stay."""

    weights: frozenset[str]
    checkpoints: frozenset[str]


def keep(history: Sequence[Trial], best: int, open_: int) -> Keep:
    """What stays: weights of the `best` trials, checkpoints of the `open_` best that may go on, and all pending ones'.

    A trial may go on if it left a checkpoint, is not at full length, and has not gone on already. Ranks only get worse
    as others finish, so what is dropped would not have come back.
    """
    pending = [trial for trial in history if trial.state == "pending"]
    scored = ranked(history)
    continued = {trial.proposal.continues for trial in history if trial.state == "scored"}
    may_go_on = [trial.id for trial in scored if _resumable(trial) and trial.id not in continued]
    in_use = {name for trial in pending for name in (trial.id, trial.proposal.continues) if name}
    return Keep(
        weights=frozenset(trial.id for trial in scored[:best]) | in_use,
        checkpoints=frozenset(may_go_on[:open_]) | in_use,
    )


def ranked(history: Sequence[Trial]) -> list[Trial]:
    """The scored trials that are not anchors, best first: those that stop before those that do not, earlier first."""
    scored = [trial for trial in history if trial.state == "scored" and trial.kind != "anchor" and trial.score]
    return sorted(scored, key=lambda trial: (not stops(trial), -trial.score.value if trial.score else 0.0))


def stops(trial: Trial) -> bool:
    """Whether the trial's model ends its turns by itself."""
    return trial.outcome is None or DOES_NOT_STOP not in trial.outcome.labels


def _resumable(trial: Trial) -> bool:
    return trial.outcome is not None and trial.outcome.resumable and trial.outcome.fidelity < 1.0


def delete_spare(run: Path, history: Sequence[Trial], best: int, open_: int) -> list[str]:
    """Delete what need not stay (see `keep`); the ids of the trials whose checkpoints went."""
    kept, deleted = keep(history, best, open_), []
    for trial in history:
        folder = run / "trials" / trial.id
        if trial.id not in kept.weights and (folder / MODEL).exists():
            shutil.rmtree(folder / MODEL)
        if trial.id not in kept.checkpoints and (folder / CHECKPOINT).exists():
            shutil.rmtree(folder / CHECKPOINT)
            deleted.append(trial.id)
    return deleted


def without_checkpoints(history: Iterable[Trial], gone: Collection[str]) -> tuple[Trial, ...]:
    """The history as it is for those who would continue a trial: the `gone` ones cannot be."""
    return tuple(_not_resumable(trial) if trial.id in gone else trial for trial in history)


def _not_resumable(trial: Trial) -> Trial:
    if trial.outcome is None:
        return trial
    return trial.model_copy(update={"outcome": trial.outcome.model_copy(update={"resumable": False})})
