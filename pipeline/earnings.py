"""Who earned what in a search that several share: whose trials raised the best search score, and at what cost. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from pipeline.keeping import stops
from pipeline.types import Budget, Cost, Proposal, Record, Trial

OF_WHOM = ":"  # between a member's name and an author inside of it: `llm:asha` is asha inside of llm


class Earned(Record):
    """What one author's trials brought. `gain` is the rise of the best search score that is owed to them."""

    author: str
    trials: int = 0
    scored: int = 0
    gain: float = 0.0
    best: float | None = None  # search score
    seconds: float = 0.0
    tokens: int = 0


def owner(trial: Trial) -> str:
    """The author in whose name a trial was proposed; of a team's trial, the member."""
    return trial.proposal.author.partition(OF_WHOM)[0]


def rises(trials: Sequence[Trial]) -> dict[str, float]:
    """By how much each trial raised the best search score, by id, in the order of the trials' start.

    The base's score, where it is known, is where it starts; a model that does not end its turns raises nothing.
    """
    base = next((trial.score.value for trial in trials if trial.id == "base" and trial.score), 0.0)
    best, found = base, {}
    for trial in tried(trials):
        if trial.state == "scored" and trial.score and stops(trial):
            found[trial.id] = max(0.0, trial.score.value - best)
            best = max(best, trial.score.value)
    return found


def credits(trial: Trial, by_id: Mapping[str, Trial]) -> dict[str, float]:
    """To whom a trial's rise is owed, in shares of 1: half each to who began what it continues, and to who went on."""
    begun = trial
    while begun.proposal.continues in by_id:
        begun = by_id[str(begun.proposal.continues)]
    owners = dict.fromkeys((owner(begun), owner(trial)))
    return {name: 1 / len(owners) for name in owners}


def earned(trials: Sequence[Trial]) -> dict[str, Earned]:
    """What each author earned, in the order of their first trials; refused and abandoned trials count as tried only."""
    found: dict[str, Earned] = {}
    by_id, risen = {trial.id: trial for trial in trials}, rises(trials)
    for trial in tried(trials):
        name, cost = owner(trial), trial.outcome.cost if trial.outcome else Cost()
        known = found.get(name, Earned(author=name))
        value = trial.score.value if trial.score and trial.state == "scored" else None
        found[name] = known.model_copy(update={
            "trials": known.trials + 1,
            "scored": known.scored + (value is not None),
            "best": value if known.best is None else max(known.best, known.best if value is None else value),
            "seconds": known.seconds + cost.seconds,
            "tokens": known.tokens + cost.tokens,
        })  # fmt: skip
        for to, share in credits(trial, by_id).items():
            at = found.get(to, Earned(author=to))
            found[to] = at.model_copy(update={"gain": at.gain + share * risen.get(trial.id, 0.0)})
    return found


def tried(trials: Sequence[Trial]) -> list[Trial]:
    """The trials of recipes, anchors left out."""
    return [trial for trial in trials if trial.kind != "anchor"]


def expected(proposal: Proposal, trials: Sequence[Trial], remaining: Budget) -> Cost:
    """What a proposal would cost by what trials of this run took; nothing while nothing was measured.

    No more than what is left of the budget, which would have cut it.
    """
    measured = [(trial.outcome.cost, trial.outcome) for trial in tried(trials) if trial.outcome and trial.score]
    trained = {trial.id: trial.outcome.fidelity for trial in trials if trial.outcome}
    paces = [
        (cost, outcome.tokens / outcome.fidelity) for cost, outcome in measured if outcome.fidelity and cost.tokens
    ]
    if not paces:
        return Cost()
    full_tokens = median(tokens for _, tokens in paces)
    seconds_a_token = median(cost.train_seconds / cost.tokens for cost, _ in paces)
    beside = median(cost.seconds - cost.train_seconds for cost, _ in paces)
    tokens = max(0.0, proposal.fidelity - trained.get(proposal.continues or "", 0.0)) * full_tokens
    train = tokens * seconds_a_token
    left = remaining.seconds
    if left is not None and train + beside > left:
        train = max(0.0, left - beside)
        tokens = train / seconds_a_token if seconds_a_token else tokens
    return Cost(seconds=round(train + beside, 3), train_seconds=round(train, 3), tokens=round(tokens))
