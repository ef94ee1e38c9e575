"""From what a model said to a patch that may be tried, or to the fault that it is told of. Nothing else gets through.

An answer is JSON, bare, in a fence or among prose. It is held against the run's own space and recipe; what the model
may say in short (a mixture as a mapping, a stage's share of the length) is written out here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pipeline import filters
from pipeline.agents._critic import is_veto
from pipeline.errors import InputError
from pipeline.params import LENGTHS
from pipeline.recipe import apply_changes, fingerprint
from pipeline.space import check_space
from pipeline.types import Brief, Recipe, Trial

LONGEST = 40_000  # characters of an answer that are read
RATIONALE = 600  # characters of a rationale that are kept
MOST_STAGES = 4
KEYS = ("changes", "parent", "rationale", "predicted_score", "strategy")


class Fault(Exception):
    """Why an answer cannot be used, in words for the model that gave it."""


class Answer(NamedTuple):
    """A patch on the run's recipe that was found to be allowed and new."""

    changes: dict[str, Any]
    parent: str | None
    rationale: str
    predicted: float | None


def read(text: str, brief: Brief, trials: Sequence[Trial], strategies: Mapping[str, dict[str, Any]]) -> Answer:
    """The answer in a model's words. `strategies` are the named ones that it may choose. Raises Fault."""
    found = answer_in(text, KEYS, bare="changes")
    strategy = found.get("strategy")
    if strategies and not isinstance(strategy, str):
        raise Fault(f'no strategy was chosen: give one of {", ".join(strategies)} as "strategy"')
    if strategies and strategy not in strategies:
        raise Fault(f"unknown strategy {short(strategy)}: choose one of {', '.join(strategies)}")
    given = found.get("changes")
    if given is None and strategies:
        given = strategies[str(strategy)]
    if not isinstance(given, dict):
        raise Fault('`changes` must be an object of places and values, such as {"stages.0.data": [...]}')
    parent = _parent(found.get("parent"), trials)
    changes = merged(parent, {_place(str(key), brief): value for key, value in given.items()}, brief)
    predicted = _predicted(found.get("predicted_score"))
    _refuse(changes, brief, trials)
    return Answer(changes, parent.id if parent else None, line_of(found.get("rationale")), predicted)


# ---------------------------------------------------------------- reading


def answer_in(text: str, keys: Sequence[str], bare: str = "") -> dict[str, Any]:
    """The last JSON object of a text that is an answer by its keys, else its last object, which may be the bare value
    of a key. Raises Fault."""
    if len(text) > LONGEST:
        raise Fault(f"it has {len(text):,} characters: give one JSON object and nothing else")
    decoder, breaks_off = json.JSONDecoder(strict=False), False
    found: list[dict[str, Any]] = []
    at = text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            breaks_off, end = breaks_off or not found, at + 1
        else:
            found += [value] if isinstance(value, dict) else []
        at = text.find("{", end)
    if not found:
        what = "it is empty" if not text.strip() else "it holds no complete JSON object"
        raise Fault(f"{what}: give one JSON object, with {', '.join(f'`{key}`' for key in keys)}")
    answers = [each for each in found if any(key in each for key in keys)]
    if not answers and breaks_off and any(f'"{key}"' in text for key in keys):  # what was found are parts of it
        raise Fault("its JSON object is not complete: it breaks off: give a shorter one")
    last: dict[str, Any] = answers[-1] if answers else {bare: found[-1]} if bare else found[-1]
    return last


def _parent(name: Any, trials: Sequence[Trial]) -> Trial | None:
    if name is None or name in ("", "recipe"):
        return None
    known = {trial.id: trial for trial in trials if trial.recipe is not None}
    if not isinstance(name, str) or name not in known:
        raise Fault(f'parent {short(name)}: there is no such trial: name one of {", ".join(known)}, or "recipe"')
    return known[name]


def _predicted(value: Any) -> float | None:
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0.0 <= value <= 1.0:
        raise Fault(f"predicted_score must be a number from 0 to 1, not {short(value)}")
    return float(value)


def line_of(value: Any) -> str:
    """A text as one printable line of bounded length."""
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return "".join(letter for letter in text if letter.isprintable())[:RATIONALE]


def short(value: Any) -> str:
    text = line_of(repr(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


# ---------------------------------------------------------------- writing out


def _place(key: str, brief: Brief) -> str:
    """A key as a place of the space: a lone `data` or `learning_rate` means the first stage's."""
    if key in brief.space or key.startswith("stages"):
        return key
    for prefix in ("stages.0.", "stages.0.params."):
        if prefix + key in brief.space:
            return prefix + key
    return key


def merged(parent: Trial | None, given: dict[str, Any], brief: Brief) -> dict[str, Any]:
    """The parent's changes with the new ones on top, mixtures and stages written out. Raises Fault."""
    before = dict(parent.proposal.changes) if parent else {}
    before.pop("seed", None)
    given = {place: _mixture(value) if place.endswith(".data") else value for place, value in given.items()}
    if "stages" in given:
        recipe = parent.recipe if parent and parent.recipe else apply_changes(brief.recipe, {})
        stages = _staged_answer(recipe, given["stages"], brief)
        return {**{place: value for place, value in given.items() if place != "stages"}, "stages": stages}
    if "stages" not in before:
        return before | given
    stages = [dict(stage) for stage in before["stages"]]
    return {"stages": stages} | {place: value for place, value in given.items() if not _put(stages, place, value)}


def _put(stages: list[dict[str, Any]], place: str, value: Any) -> bool:
    """Write a place of a stage into the stage itself; False if there is no such stage."""
    found = re.fullmatch(r"stages\.(\d{1,3})\.(data|params\.(\w+))", place)
    if not found or int(found[1]) >= len(stages):
        return False
    stage = stages[int(found[1])]
    if found[3]:
        stage["params"] = {**stage.get("params", {}), found[3]: value}
    else:
        stage["data"] = value
    return True


def _staged_answer(recipe: Recipe, given: Any, brief: Brief) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not given or not all(isinstance(stage, dict) for stage in given):
        raise Fault("`stages` must be a list of stages, each with `share`, `data` and perhaps `params`")
    if len(given) > MOST_STAGES:
        raise Fault(f"`stages`: {len(given)} are too many: give at most {MOST_STAGES}")
    for number, stage in enumerate(given):
        share, params = stage.get("share", 1.0), stage.get("params", {})
        is_number = isinstance(share, int | float) and not isinstance(share, bool)
        if not is_number or not 0.0 < share < math.inf:
            raise Fault(f"stages.{number}.share must be a number above 0, not {short(share)}")
        if not isinstance(params, dict):
            raise Fault(f"stages.{number}.params must be an object, not {short(params)}")
        if set(stage) - {"share", "data", "params", "trainer", "format"}:
            unknown = sorted(set(stage) - {"share", "data", "params", "trainer", "format"})
            raise Fault(f"stages.{number}: unknown key {short(unknown[0])}: known are share, data, params")
    return _staged(recipe, given, brief)


def _staged(recipe: Recipe, given: Sequence[Mapping[str, Any]], brief: Brief) -> list[dict[str, Any]]:
    """Stages like the first one of `recipe`, each with its own data and parameters, and its share of the run's length.

    The whole length is the run's, as everywhere: an agent asks for a part of it by its proposal's fidelity.
    """
    whole_recipe = apply_changes(brief.recipe, {})
    stage, params = recipe.stages[0].model_dump(mode="json"), [each.params for each in whole_recipe.stages]
    unit = next((name for name in LENGTHS if params[0].get(name) is not None), LENGTHS[0])
    whole = sum(each.get(unit) or 0 for each in params) or 1
    total = sum(float(each.get("share", 1.0)) for each in given)
    stage["params"] = {name: value for name, value in stage["params"].items() if name not in LENGTHS}
    stages = []
    for each in given:
        length = whole * float(each.get("share", 1.0)) / total
        own = {name: value for name, value in each.get("params", {}).items() if name not in LENGTHS}
        own = {**stage["params"], **own, unit: length if unit == "epochs" else max(1, round(length))}
        changed = {name: each[name] for name in ("trainer", "format") if name in each}
        stages.append({**stage, **changed, "data": _mixture(each.get("data", stage["data"])), "params": own})
    return stages


def _mixture(value: Any) -> Any:
    """A mixture as a list of sources, where it was given as names or as weights by name."""
    if isinstance(value, str):
        return [{"name": value, "weight": 1.0}]
    if isinstance(value, dict) and "name" not in value:
        return [{"name": name, "weight": weight} for name, weight in value.items()]
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list):
        return _merged([{"name": item, "weight": 1.0} if isinstance(item, str) else item for item in value])
    return value


def _merged(sources: list[Any]) -> list[Any]:
    """A source that is named twice has both weights, where that is all that is said of it."""
    found: list[Any] = []
    for each in sources:
        before = next((other for other in found if _is_twin(each, other)), None)
        if before is None:
            found.append(each)
        else:
            before |= {"weight": before["weight"] + each["weight"]}
    return found


def _is_twin(one: Any, other: Any) -> bool:
    both = (one, other)
    if not all(isinstance(each, dict) and set(each) == {"name", "weight"} for each in both):
        return False
    numbers = all(isinstance(each["weight"], int | float) and not isinstance(each["weight"], bool) for each in both)
    return bool(numbers and one["name"] == other["name"])


# ---------------------------------------------------------------- whether it may be tried


def _refuse(changes: dict[str, Any], brief: Brief, trials: Sequence[Trial]) -> None:
    """Raises Fault if a patch does not keep to the space, makes no recipe, or was tried before."""
    if "seed" in changes:
        raise Fault("'seed' is no move: another seed shows noise, not progress")
    problems = check_space(changes, brief.space)
    if problems:
        more = f" (and {len(problems) - 1} more faults)" if len(problems) > 1 else ""
        raise Fault(problems[0][:500] + more)
    try:
        recipe = apply_changes(brief.recipe, changes)
        mark = fingerprint(recipe)
    except (InputError, TypeError) as error:
        raise Fault(str(error)[:500]) from None
    for reference in (reference for stage in recipe.stages for reference in stage.data):
        for problem in filters.check(reference.filters):
            raise Fault(f"{reference.name}: {problem}"[:500])
        if reference.name in refused_sources(trials):
            raise Fault(f"{reference.name} was refused by a guard before: leave it out")
    for trial in trials:
        if trial.recipe is not None and trial.state != "abandoned" and fingerprint(trial.recipe) == mark:
            came = f"scored {trial.score.value:.3f}" if trial.score else f"is {trial.state}"
            raise Fault(f"this recipe was tried already: {trial.id} {came}: change something")


def refused_sources(trials: Sequence[Trial]) -> set[str]:
    """The sources that a guard refused: those it names, and those that were refused alone."""
    found = set()
    for trial in trials:
        if trial.state == "rejected" and trial.recipe is not None and not is_veto(trial):
            names = {reference.name for stage in trial.recipe.stages for reference in stage.data}
            verdicts = [*trial.verdicts, *(trial.outcome.verdicts if trial.outcome else ())]
            said = {verdict.reason.partition(":")[0] for verdict in verdicts if not verdict.ok}
            found |= (said & names) or (names if len(names) == 1 else set())
    return found
