"""A proposal keeps to the declared space: known places, allowed values, sources of the catalogue, no address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pipeline import catalogue, filters
from pipeline.errors import InputError
from pipeline.recipe import apply_changes, check_space
from pipeline.types import Proposal, Recipe, Space, Verdict

# what names, filters and choices are made of; paths, URLs, shell lines and code need more
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.:-]*")
_TRIAL = re.compile(r"[A-Za-z0-9_-]+")


def on_proposal(proposal: Proposal, recipe: Recipe, space: Space) -> Verdict:
    """Whether the proposal may run; the reason is one line, all problems are in the evidence."""
    problems = [*_addresses(proposal), *check_space(proposal.changes, space)]
    if not problems:
        problems = _after(proposal, recipe)
    reason = problems[0] if problems else ""
    if len(problems) > 1:
        reason += f" (and {len(problems) - 1} more)"
    return Verdict(guard="bounds", ok=not problems, reason=reason, evidence=tuple(problems))


def _addresses(proposal: Proposal) -> list[str]:
    """Texts in the proposal that could be a path, a URL, a plugin's address or code."""
    problems = [
        f"{path}: {text!r} is not a plain name: a proposal holds no path, URL or code"
        for path, value in proposal.changes.items()
        for text in _texts(value)
        if not _PLAIN.fullmatch(text) or ".." in text
    ]
    for field in ("continues", "parent"):
        trial = getattr(proposal, field)
        if trial is not None and not _TRIAL.fullmatch(trial):
            problems.append(f"{field}: {trial!r} is not a trial's id")
    return problems


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _after(proposal: Proposal, recipe: Recipe) -> list[str]:
    """What is wrong with the recipe that the proposal would make: values, weights, sources, filters."""
    try:
        changed = apply_changes(recipe, proposal.changes)
    except InputError as error:
        return [str(error)]
    own = (reference.name for stage in recipe.stages for reference in stage.data)  # perhaps of its benchmark's folder
    known = list(dict.fromkeys([*catalogue.names(), *own]))
    problems = []
    for index, stage in enumerate(changed.stages):
        for reference in stage.data:
            where = f"stages.{index}.data: {reference.name}"
            if reference.name not in known:
                problems.append(f"{where}: not a source of the catalogue: known are {', '.join(known)}")
            problems += [f"{where}: {fault}" for fault in filters.check(reference.filters)]
    return problems
