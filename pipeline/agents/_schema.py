"""The form of an answer as a JSON schema, made from the run's space. Whoever ignores it is told of faults in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.agents._strategies import Strategy
from pipeline.providers.client import Form
from pipeline.types import Brief, Dimension

Schema = dict[str, Any]
SENTENCES = 300  # characters: a small model under a grammar would fill its whole reply


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
        "parent": {"type": "string"},
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


def _dimension(dimension: Dimension) -> Schema:
    if dimension.kind == "mixture":
        source = _object({
            "name": {"type": "string", "enum": list(dimension.choices)},
            "weight": {"type": "number", "minimum": 0, "maximum": 1000},
            "filters": {"type": "array", "items": {"type": "string"}},
        })  # fmt: skip
        return {"type": "array", "minItems": 1, "items": source | {"required": ["name", "weight"]}}
    if dimension.kind == "choice":
        return {"enum": [*dimension.choices, *dimension.also]}
    kind = "integer" if dimension.kind == "int" else "number"
    bounds = {"minimum": dimension.low, "maximum": dimension.high}
    return {"type": kind, **{name: value for name, value in bounds.items() if value is not None}}
