"""What a proposing model is told: the state of a search as plain data. Never a raw log.

Trials appear as numbers and names; failures by their type. Sample rows, which strangers wrote, stand inside JSON
strings under `data_sources` and nowhere else (`_fit.dumps`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline import filters
from pipeline.agents import _drawing
from pipeline.agents._answer import refused_sources
from pipeline.agents._fit import State, dumps
from pipeline.agents._pace import ETA, Pace, fidelity_of, score_of
from pipeline.agents._strategies import Strategy, strategy_of
from pipeline.errors import InputError
from pipeline.noise import noise_floor
from pipeline.recipe import apply_changes
from pipeline.types import Brief, Budget, Card, Dimension, Proposal, Recipe, Trial

SAMPLE_CHARACTERS = 240  # of a string in a sample row
RECENT, DEAD_ENDS, STRATEGIES = 24, 12, 8  # that are listed while there is room
DIGITS = 4
CLOCK = "budget_left"  # differs from clock to clock: not part of what a question is known by
KINDS = {
    "out of memory": r"memory|OOM",
    "the loss became NaN": r"\bnan\b|not finite|diverge",
    "unusable data": r"\bdata\b|\brows?\b|source",
    "out of time": r"cut at the end|timed? ?out|time limit",
}


def floor(trials: Sequence[Trial]) -> float | None:
    """The smallest difference of two search scores worth believing, near the best one."""
    scores = [trial.score for trial in trials if trial.score]
    top = max(scores, key=lambda score: score.value, default=None)
    return noise_floor(top.n, top.value) if top and top.n else None


def unresolved(trials: Sequence[Trial]) -> int:
    """How many scored trials in a row, up to the last, brought nothing beyond the noise floor over what was there."""
    best, count = None, 0
    for trial in trials:
        if trial.score is None or trial.state != "scored":
            continue
        gain = trial.score.value - best if best is not None else 1.0
        count = 0 if gain > noise_floor(max(1, trial.score.n or 1), trial.score.value) else count + 1
        best = max(trial.score.value, best or 0.0)
    return count


def describe(brief: Brief, history: Sequence[Trial], remaining: Budget, named: Sequence[Strategy]) -> State:
    """The whole state; `named` are strategies that the model is asked to choose among, if any."""
    trials = [trial for trial in history if trial.kind == "recipe"]
    pace = Pace(brief, trials)
    state: State = {
        "task": brief.facts.get("task") or {"benchmark": brief.benchmark},
        "base_model": {"name": brief.model, **(brief.facts.get("base_model") or {})},
        "anchors": {trial.id: _rounded(score_of(trial)) for trial in history if trial.kind == "anchor" and trial.score},
        "published_anchors": brief.facts.get("published_anchors"),
        "recipe": _recipe(brief),
        "search_space": {place: _dimension(dimension) for place, dimension in brief.space.items()},
        "filters": {f"{name}:N" if each.takes_number else name: each.summary for name, each in filters.FILTERS.items()},
        "data_sources": [_card(card) for card in brief.cards],
        CLOCK: {"seconds": remaining.seconds and round(remaining.seconds), "trials": remaining.trials,
                "share": _share(brief, remaining)},
        "noise_floor": _rounded(floor(trials)),
        "trial_length": _rounded(trial_length(pace)),
        "best_of_each_strategy": _best_of_each(trials),
        "recent_trials": [_trial(trial) for trial in trials[-RECENT:]],
        "dead_ends": _dead_ends(trials),
        "optimiser": _optimiser(pace, trials),
        "your_predictions": _predictions(trials),
    }  # fmt: skip
    if named:
        state["named_strategies"] = [
            {"strategy": each.name, "what": each.what, "example": each.example} for each in named
        ]
    return {name: value for name, value in state.items() if value not in (None, {}, [])}


def proposed(proposal: Proposal, brief: Brief, history: Sequence[Trial]) -> State:
    """A proposal as data: what it changes and how long it is, not who made it or what they thought."""
    begun = next((trial for trial in history if trial.id == proposal.continues), None)
    recipe = begun.recipe if begun else _recipe_of(proposal, brief)
    row = {
        "changes": _changes(proposal.changes), "length": _rounded(proposal.fidelity), "continues": proposal.continues,
        "strategy": strategy_of(recipe) if recipe else None,
    }  # fmt: skip
    return {name: value for name, value in row.items() if value is not None}


def trial_length(pace: Pace) -> float:
    """The share of the full length at which new recipes are tried: where the optimiser's mixtures start, too."""
    return round(min(1.0, pace.probe * ETA), 6)


# ---------------------------------------------------------------- parts


def _recipe_of(proposal: Proposal, brief: Brief) -> Recipe | None:
    try:
        return apply_changes(brief.recipe, proposal.changes)
    except InputError:
        return None


def _recipe(brief: Brief) -> list[State]:
    return [
        {
            "trainer": stage.trainer,
            "data": _mixture(stage.model_dump(mode="json")["data"]),
            "params": _figures(stage.params),
        }
        for stage in apply_changes(brief.recipe, {}).stages
    ]


def _dimension(dimension: Dimension) -> str:
    if dimension.kind == "mixture":
        return "a mixture of data_sources"
    if dimension.kind == "choice":
        return "one of " + ", ".join(json.dumps(choice) for choice in (*dimension.choices, *dimension.also))
    return f"{dimension.kind} from {dimension.low:g} to {dimension.high:g}" + (", log scale" if dimension.log else "")


def _card(card: Card) -> State:
    return {
        "name": card.name, "kind": card.kind, "rows": card.rows, "mean_characters": card.mean_characters,
        "summary": _clean(card.summary), "samples": [_clean(sample) for sample in card.samples],
    }  # fmt: skip


def _clean(value: Any) -> Any:
    """Strangers' data: printable, of bounded length and depth."""
    if isinstance(value, str):
        text = "".join(letter if letter.isprintable() else " " for letter in value[: 4 * SAMPLE_CHARACTERS])
        return text if len(text) <= SAMPLE_CHARACTERS else f"{text[:SAMPLE_CHARACTERS]} ..."
    if isinstance(value, Mapping):
        return {_clean(str(key))[:60]: _clean(item) for key, item in list(value.items())[:12]}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value[:8]]
    return value if value is None or isinstance(value, bool | int) else _rounded(value)


def _trial(trial: Trial) -> State:
    row = {
        "trial": trial.id, "by": _clean(trial.proposal.author)[:40],
        "state": None if trial.state == "scored" else trial.state,
        "score": _rounded(trial.score.value) if trial.score else None,
        "trained": _rounded(fidelity_of(trial)) or None,
        "continues": trial.proposal.continues, "changes": _changes(trial.proposal.changes),
        "labels": list(trial.outcome.labels) if trial.outcome else None,
    }  # fmt: skip
    return {name: value for name, value in row.items() if value not in (None, [])}


def _changes(changes: Mapping[str, Any]) -> State:
    def stage(value: Mapping[str, Any]) -> State:
        return {"data": _mixture(value.get("data")), "params": _figures(value.get("params", {}))}

    shown: State = {}
    for place, value in changes.items():
        if place == "stages" and isinstance(value, list):
            shown[place] = [stage(each) for each in value if isinstance(each, Mapping)]
        else:
            shown[place] = _mixture(value) if place.endswith(".data") else _figures(value)
    return shown


def _mixture(data: Any) -> Any:
    """Weights by name; a source with filters or a limit in full."""
    if not isinstance(data, list | tuple) or not all(isinstance(each, Mapping) for each in data):
        return data
    if any(each.get("filters") or each.get("limit") for each in data):
        return [{name: value for name, value in each.items() if value not in (None, [], ())} for each in data]
    return {str(each.get("name")): _rounded(each.get("weight", 1.0)) for each in data}


def _figures(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _figures(item) for name, item in value.items()}
    return _rounded(value) if isinstance(value, float) else value


def _best_of_each(trials: Sequence[Trial]) -> list[State]:
    best: dict[str, Trial] = {}
    for trial in trials:
        if trial.recipe is not None and trial.score is not None:
            name = strategy_of(trial.recipe)
            if name not in best or score_of(trial) > score_of(best[name]):
                best[name] = trial
    ranked = sorted(best.items(), key=lambda pair: -score_of(pair[1]))[:STRATEGIES]
    return [{"strategy": name, "trial": trial.id, "score": _rounded(score_of(trial)),
             "trained": _rounded(fidelity_of(trial))} for name, trial in ranked]  # fmt: skip


def _dead_ends(trials: Sequence[Trial]) -> list[State]:
    """What failed or was refused, once each, by the type of its failure: never a log's text."""
    found: dict[str, State] = {}
    for name in sorted(refused_sources(trials)):
        found[name] = {"source": name, "why": "refused by a guard"}
    for trial in trials:
        if trial.state in ("failed", "rejected"):
            row = {"changes": _changes(trial.proposal.changes), "why": _failure(trial)}
            found[dumps(row)] = {"trial": trial.id, **row}
    return list(found.values())[-DEAD_ENDS:]


def _failure(trial: Trial) -> str:
    if trial.state == "rejected":
        verdicts = [*trial.verdicts, *(trial.outcome.verdicts if trial.outcome else ())]
        return "refused by " + (", ".join(sorted({each.guard for each in verdicts if not each.ok})) or "a guard")
    error = (trial.outcome.error if trial.outcome else None) or ""
    return next((kind for kind, marks in KINDS.items() if re.search(marks, error, re.IGNORECASE)), "failed")


def _optimiser(pace: Pace, trials: Sequence[Trial]) -> State:
    leader = max((trial for trial in trials if trial.score), key=score_of, default=None)
    values, rungs = _drawing.source_values(pace.relative(trials)), sorted(pace.rungs(trials).items())
    return {
        "best": leader.id if leader else None,
        "trials_by_length": {f"{pace.probe * ETA**rung:.2g}": len(each) for rung, each in rungs},
        "value_of_sources": {name: _rounded(value) for name, value in sorted(values.items(), key=lambda it: -it[1])},
    }


def _predictions(trials: Sequence[Trial]) -> State:
    pairs = [
        (trial.proposal.predicted, trial.score.value)
        for trial in trials
        if trial.score and trial.proposal.predicted is not None
    ]
    if not pairs:
        return {}
    return {
        "so_far": len(pairs),
        "mean_error": _rounded(sum(predicted - came for predicted, came in pairs) / len(pairs)),
        "mean_absolute_error": _rounded(sum(abs(predicted - came) for predicted, came in pairs) / len(pairs)),
    }


def _share(brief: Brief, remaining: Budget) -> float | None:
    whole, left = brief.budget.seconds, remaining.seconds
    return None if not whole or left is None else round(left / whole, 2)


def _rounded(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
