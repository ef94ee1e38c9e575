"""Options that belong to an agent: its module's `Options` says which there are, what they may be and what they mean.

Those of a team are its members', the module's `members_of` says of an argument who they are, beside its own. Where
options depend on each other, `options_of(given)` says which model is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pipeline import plugins
from pipeline.errors import InputError
from pipeline.validation import first_fault

Options = TypeVar("Options", bound=BaseModel)


def check(agent: str, given: Mapping[str, Any]) -> None:
    """Raises InputError if there is no such agent, or its options are not what it takes. Nothing is asked or run."""
    plugins.entry("agents", agent)
    is_ready = getattr(plugins.load("agents", agent), "ready", None)
    if is_ready is not None:
        is_ready(plugins.parts("agents", agent)[1] or "", given)
    members, model = _members(agent), _model(agent, given)
    for member in members:
        check(member, taken_by(member, given))
    if members:
        taken = taken_by(agent, given)
        left = next((name for name in given if name not in taken), None)
        if left:
            raise InputError(f"{flag(left)}: no member of '{agent}' takes such an option: omit it")
        given = _own(model, given)
    if model is not None:
        read(model, given, agent)
    elif given:
        raise InputError(f"{flag(next(iter(given)))}: the agent '{agent}' takes no such option: omit it")


def taken_by(agent: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the options that are an agent's own, or a member's of a team."""
    own = _own(_model(agent, given), given)
    return own | {name: value for member in _members(agent) for name, value in taken_by(member, given).items()}


def _model(agent: str, given: Mapping[str, Any]) -> type[BaseModel] | None:
    """The model of an agent's own options, as they were given; None if it has none."""
    module = plugins.load("agents", agent)
    choose = getattr(module, "options_of", None)
    return choose(given) if choose else getattr(module, "Options", None)


def _own(model: type[BaseModel] | None, given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if model is not None and name in model.model_fields}


def _members(agent: str) -> list[str]:
    """The members of a team; none of any other agent."""
    argument = plugins.parts("agents", agent)[1]
    members_of = getattr(plugins.load("agents", agent), "members_of", None)
    return list(members_of(argument)) if members_of and argument is not None else []


def read(model: type[Options], given: Mapping[str, Any], agent: str) -> Options:
    """An agent's options, checked. Raises InputError naming the option."""
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        fault = first_fault(error, model)
    name = str(fault.place[0]) if fault.place else ""
    if name and name not in model.model_fields:
        known = ", ".join(map(flag, model.model_fields)) or "none"
        raise InputError(f"{flag(name)}: the agent '{agent}' takes no such option: it takes {known}")
    raise InputError(f"{flag(name) if name else agent}: {fault.message}")


def flag(name: str) -> str:
    """An option as its user writes it."""
    return f"--{name.replace('_', '-')}"
