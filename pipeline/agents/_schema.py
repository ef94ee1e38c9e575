"""The form of an answer as a JSON schema, made from the run's space. Whoever ignores it is told of faults in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline import filters
from pipeline.agents._strategies import Strategy
from pipeline.providers.client import Form
from pipeline.types import Brief, Dimension, Trial

Schema = dict[str, Any]
# a small model under a grammar goes on and on wherever it may: whatever could be long has an end
SENTENCES, MOST_FILTERS = 300, 4  # characters of a rationale; filters of a source
MOST_PARENTS = 20  # trials that may be named as the parent: the latest
WORDS, MOST_MIXED, TENTHS = 100, 4, 10  # in a short answer: characters of a rationale, sources, steps of a weight


def short_form(brief: Brief, named: Sequence[Strategy], trials: Sequence[Trial] = ()) -> Form:
    """The same for a model with little room: a mixture in tenths and nothing else, where a mixture is searched."""
    mixtures = [place for place, dimension in brief.space.items() if dimension.kind == "mixture"]
    if not mixtures:
        return form(brief, named, trials)
    tenths = [number / TENTHS for number in range(TENTHS + 1)]
    names = brief.space[mixtures[0]].choices
    source = _object({"name": {"type": "string", "enum": list(names)}, "weight": {"enum": tenths[1:]}})
    most = max(1, min(MOST_MIXED, len(names)))
    data = {"type": "array", "minItems": 1, "maxItems": most, "items": source | {"required": ["name", "weight"]}}
    changes = _object({mixtures[0]: data}) | {"required": [mixtures[0]]}
    return _form(changes, named, trials, WORDS, {"enum": tenths})


def form(brief: Brief, named: Sequence[Strategy], trials: Sequence[Trial] = ()) -> Form:
    """What an answer looks like; `named` are strategies of which it has to choose one."""
    places = {place: _dimension(dimension) for place, dimension in brief.space.items()}
    first = {place: schema for place, schema in places.items() if place.startswith("stages.0.")}
    params = {place.removeprefix("stages.0.params."): schema for place, schema in first.items() if ".params." in place}
    data = first.get("stages.0.data", {})
    stage = _object({"share": {"type": "number", "exclusiveMinimum": 0}, "data": data, "params": _object(params)})
    stages = {"type": "array", "minItems": 1, "maxItems": 4, "items": stage | {"required": ["data"]}}
    score = {"type": "number", "minimum": 0, "maximum": 1}
    return _form(_object({**places, "stages": stages}), named, trials, SENTENCES, score)


def _form(
    changes: Schema, named: Sequence[Strategy], trials: Sequence[Trial], characters: int, score: Schema
) -> Form:  # fmt: skip
    known = [trial.id for trial in trials if trial.recipe is not None][-MOST_PARENTS:]
    answer = {
        "rationale": {"type": "string", "maxLength": characters},
        "parent": {"type": "string", "enum": ["recipe", *known]},
        "changes": changes,
        "predicted_score": score,
    }
    required = ["rationale", "changes", "predicted_score"]
    if named:
        answer = {"strategy": {"type": "string", "enum": [each.name for each in named]}, **answer}
        required = ["strategy", *required]
    return Form("proposal", _object(answer) | {"required": required})


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _filter() -> str:
    """The pattern of a filter's name, with its number where it takes one."""
    names = [f"{name}:[0-9]{{1,6}}" if each.takes_number else name for name, each in filters.FILTERS.items()]
    return f"^({'|'.join(names)})$"


def _dimension(dimension: Dimension) -> Schema:
    if dimension.kind == "mixture":
        source = _object({
            "name": {"type": "string", "enum": list(dimension.choices)},
            "weight": {"type": "number", "minimum": 0, "maximum": 1000},
            "filters": {"type": "array", "items": {"type": "string", "pattern": _filter()}, "maxItems": MOST_FILTERS},
        })  # fmt: skip
        required = source | {"required": ["name", "weight"]}
        return {"type": "array", "minItems": 1, "maxItems": max(1, len(dimension.choices)), "items": required}
    if dimension.kind == "choice":
        return {"enum": [*dimension.choices, *dimension.also]}
    kind = "integer" if dimension.kind == "int" else "number"
    bounds = {"minimum": dimension.low, "maximum": dimension.high}
    return {"type": kind, **{name: value for name, value in bounds.items() if value is not None}}
