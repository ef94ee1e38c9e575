"""What validation found, in one line that says what is wrong, where, and what would be right."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

WORDS = (
    (r"^Input should be ", ""),
    (r"a valid integer.*", "an integer"),
    (r"a valid boolean", "true or false"),
    (r"a valid (tuple|list|array)", "a list"),
    (r"a valid dictionary.*", "a mapping of keys to values"),
    (r"an object", "a mapping of keys to values"),
    (r"a valid ", "a "),
    (r"(Tuple|List|Value) should have at least 1 item after validation, not 0", "a list of at least one"),
)


class Fault(NamedTuple):
    """One thing that is wrong: where (keys and indices) and what."""

    place: tuple[str | int, ...]
    message: str


def first_fault(error: ValidationError, model: type[BaseModel], prefix: Sequence[str | int] = ()) -> Fault:
    """The first fault of a pydantic error about `model`, whose own place is `prefix`."""
    found = error.errors(include_url=False)
    place = _real_place(found[0]["loc"], model)
    # the alternatives of a union each complain: together they are one fault
    about = [item for item in found if _real_place(item["loc"], model) == place]
    return Fault((*prefix, *place), _message(about, model, place))


def drop_unknown(value: Any, model: type[BaseModel] | None) -> Any:
    """`value` without the keys that `model`, and the models inside it, do not know (a later version's, say)."""
    if isinstance(value, list):
        return [drop_unknown(item, model) for item in value]
    if model is None or not isinstance(value, dict):
        return value
    fields = model.model_fields
    return {key: drop_unknown(item, _inner(model, key)) for key, item in value.items() if key in fields}


def _message(about: list[Any], model: type[BaseModel], place: tuple[str | int, ...]) -> str:
    kind, value = about[0]["type"], about[0].get("input")
    if kind == "extra_forbidden":
        return unknown_key(str(place[-1]), list(_fields(model, place[:-1])))
    if kind == "missing":
        return "is missing: give it"
    if kind == "value_error":
        return str(about[0]["ctx"]["error"])
    wanted = dict.fromkeys(_plainly(item["msg"]) for item in about)
    return f"must be {' or '.join(wanted)}, not {_short(value)}"


def _plainly(message: str) -> str:
    # pydantic speaks of Python's types; the reader wrote YAML or JSON
    for theirs, ours in WORDS:
        message = re.sub(theirs, ours, message)
    return message


def unknown_key(key: str, known: Sequence[str]) -> str:
    """Says that a key does not exist, and which do."""
    near = difflib.get_close_matches(key, known, n=2, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"unknown key: {hint}known are {', '.join(known) or 'none'}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _real_place(loc: Sequence[str | int], model: type[BaseModel]) -> tuple[str | int, ...]:
    """`loc` without the names of union alternatives and validators that pydantic adds to it."""
    place: list[str | int] = []
    for part in loc:
        known = _fields(model, place)
        if isinstance(part, str) and place and not known:
            break
        place.append(part)
    return tuple(place)


def _fields(model: type[BaseModel], place: Sequence[str | int]) -> tuple[str, ...]:
    """The keys that exist at `place` within `model`; none if no model lies there."""
    here: Any = model
    is_key = False  # of a mapping: like an item of a sequence, its models were found with the mapping
    for part in place:
        if isinstance(part, int) or is_key:
            is_key = False
            continue
        is_key = bool(here) and _is_mapping(here, part)
        here = _inner(here, part) if here else None
    return tuple(here.model_fields) if here else ()


def _is_mapping(model: type[BaseModel], key: str) -> bool:
    """Whether a field holds a mapping, from keys of the user's own to models."""
    annotation = model.model_fields[key].annotation if key in model.model_fields else None
    return any(typing.get_origin(each) is dict for each in (annotation, *typing.get_args(annotation)))


def _inner(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    """The model that lies at, or in the items of, a field; None if there is none or no such field."""
    field = model.model_fields.get(key)
    return next(_models(field.annotation), None) if field else None


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models(argument)
