"""The form of an answer as a JSON schema, made from the run's space. Whoever ignores it is told of faults in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline import filters
from pipeline.agents._strategies import Strategy
from pipeline.providers.client import Form
from pipeline.types import Brief, Dimension

Schema = dict[str, Any]
# a small model under a grammar goes on and on wherever it may: whatever could be long has an end
SENTENCES, NAME, MOST_FILTERS = 300, 20, 4  # characters of a rationale and of a trial's name; filters of a source


def form(brief: Brief, named: Sequence[Strategy]) -> Form:
    """What an answer looks like; `named` are strategies of which it has to choose one."""
    places = {place: _dimension(dimension) for place, dimension in brief.space.items()}
    first = {place: schema for place, schema in places.items() if place.startswith("stages.0.")}
    params = {place.removeprefix("stages.0.params."): schema for place, schema in first.items() if ".params." in place}
    data = first.get("stages.0.data", {})
    stage = _object({"share": {"type": "number", "exclusiveMinimum": 0}, "data": data, "params": _object(params)})
    stages = {"type": "array", "minItems": 1, "maxItems": 4, "items": stage | {"required": ["data"]}}
    answer = {
        "rationale": {"type": "string", "maxLength": SENTENCES},
        "parent": {"type": "string", "maxLength": NAME},
        "changes": _object({**places, "stages": stages}),
        "predicted_score": {"type": "number", "minimum": 0, "maximum": 1},
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
