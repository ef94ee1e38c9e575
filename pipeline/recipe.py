"""Recipes: read, written, patched by a proposal, told apart by a fingerprint.

A recipe is complete: whatever is read or patched here comes back with every parameter filled in and checked.
What may be searched in it, and whether a patch keeps to that, is in `pipeline.space`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline import plugins
from pipeline.errors import InputError, unknown
from pipeline.params import LENGTHS, PARAMS
from pipeline.paths import digest, share
from pipeline.space import check_space, search_space
from pipeline.types import DataRef, Recipe, Stage
from pipeline.validation import Fault, first_fault, unknown_key
from pipeline.yaml_file import Dumper, read_yaml

__all__ = [
    "apply_changes",
    "check_space",
    "dump_recipe",
    "fingerprint",
    "load_recipe",
    "recipe_names",
    "search_space",
]

MAX_SEED = 2**32 - 1  # NumPy's, which transformers.set_seed hands it on to
LINE_MARKS = "\x85\u2028\u2029"  # PyYAML writes these as they are and reads them back as line ends: escape all instead
SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")

# ---------------------------------------------------------------- reading and writing


def recipe_names() -> list[str]:
    """The names of the shipped recipes."""
    return sorted(path.stem for path in share("recipes").glob("*.yaml"))


def load_recipe(path_or_name: str | Path) -> Recipe:
    """Read a recipe, by path or by the name of a shipped one.

    Raises InputError naming file, line and key if it is not there, not YAML, or not a complete recipe within bounds.
    """
    document = read_yaml(_find(str(path_or_name)))
    result = _validated(document.value)
    if isinstance(result, Fault):
        raise document.fault(result)
    return result


def _find(name: str) -> Path:
    if name.endswith((".yaml", ".yml")) or "/" in name or "\\" in name:
        return Path(name)
    if name not in recipe_names():
        raise unknown("recipe", name, recipe_names())
    return share("recipes") / f"{name}.yaml"


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML that `load_recipe` reads back alike."""
    value = _plain(_complete(recipe))
    for stage in value["stages"]:
        stage["data"] = [_Flow(reference) for reference in stage["data"]]
    readable = not any(mark in recipe.model_dump_json() for mark in LINE_MARKS)
    return yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=readable, width=120)


class _Flow(dict[str, Any]):
    """A mapping that is written on one line."""


Dumper.add_representer(
    _Flow, lambda dumper, value: dumper.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style=True)
)


def _plain(recipe: Recipe) -> dict[str, Any]:
    value = recipe.model_dump(mode="json")
    for stage in value["stages"]:
        stage["data"] = [DataRef(**item).model_dump(mode="json", exclude_defaults=True) for item in stage["data"]]
        for reference in stage["data"]:
            reference.setdefault("weight", 1.0)
    return value


# ---------------------------------------------------------------- checking


def _validated(value: Any) -> Recipe | Fault:
    """The recipe with all parameters filled in, or the first thing that is wrong with it."""
    try:
        # by way of JSON, where strict validation takes lists for tuples but no text for numbers
        recipe = Recipe.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        return first_fault(error, Recipe)
    except (TypeError, ValueError) as error:
        return Fault((), f"not plain data ({error}): use text, numbers, lists and mappings")
    if not 0 <= recipe.seed <= MAX_SEED:
        return Fault(("seed",), f"must be at most {MAX_SEED}, not {recipe.seed}")
    stages: list[Stage] = []
    for index, stage in enumerate(recipe.stages):
        checked = _validated_stage(stage)
        if isinstance(checked, Fault):
            return Fault(("stages", index, *checked.place), checked.message)
        stages.append(checked)
    return recipe.model_copy(update={"stages": tuple(stages)})


def _validated_stage(stage: Stage) -> Stage | Fault:
    names = [reference.name for reference in stage.data]
    for index, name in enumerate(names):
        if name in names[:index]:
            return Fault(("data", index, "name"), f"'{name}' is named twice: add up its weights")
    if not any(reference.weight > 0 for reference in stage.data):
        return Fault(("data",), "all weights are 0: give at least one source a weight above 0")
    model = PARAMS.get(stage.trainer)
    if model is None:
        if ":" not in stage.trainer and "." not in stage.trainer and stage.trainer not in plugins.names("trainers"):
            return Fault(("trainer",), str(unknown("trainer", stage.trainer, _trainers())))
        return stage
    try:
        params = model.model_validate(stage.params)
    except ValidationError as error:
        return first_fault(error, model, ("params",))
    return stage.model_copy(update={"params": params.model_dump(mode="json", exclude_none=True)})


def _trainers() -> list[str]:
    return sorted({*PARAMS, *plugins.names("trainers")})


def _complete(recipe: Recipe) -> Recipe:
    result = _validated(recipe.model_dump(mode="json"))
    if isinstance(result, Fault):
        raise InputError(f"recipe: {'.'.join(map(str, result.place))}: {result.message}")
    return result


def _complete_stage(stage: Stage) -> Stage:
    result = _validated_stage(stage)
    if isinstance(result, Fault):
        raise InputError(f"recipe: {'.'.join(map(str, result.place))}: {result.message}")
    return result


# ---------------------------------------------------------------- patching


def apply_changes(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe with a proposal's changes: `seed`, `stages` as a whole, or `stages.N.trainer|format|data|params.KEY`.

    A mixture (`data`) is replaced as a whole; a length given as tokens, steps or epochs replaces the others.
    Raises InputError for an unknown path (listing what exists), for `model`, and for a value that is not allowed.
    """
    before = _complete(recipe)
    value = before.model_dump(mode="json")
    inside = sorted(path for path in changes if path.startswith("stages."))
    if "stages" in changes and inside:
        raise InputError(f"changes: 'stages' replaces what '{inside[0]}' changes: put both into 'stages'")
    for path, new in changes.items():
        _set(value, path, new, changes)
    after = _validated(value)
    if isinstance(after, Fault):
        raise InputError(f"changes: {'.'.join(map(str, after.place))}: {after.message}")
    _refuse_addresses(before, after)
    return after


def _set(value: dict[str, Any], path: str, new: Any, changes: Mapping[str, Any]) -> None:
    first, *rest = path.split(".")
    if first == "model":
        raise InputError("changes: 'model' cannot be changed: the run measures what training makes of this one model")
    if path in ("seed", "stages"):
        value[path] = new
        return
    if first != "stages" or not rest:
        raise InputError(f"changes: '{path}': {unknown_key(path, ['seed', 'stages', 'stages.N....'])}")
    stage = _stage(value["stages"], path, rest[0])
    match rest[1:]:
        case ["trainer" | "format" | "data" as key]:
            stage[key] = new
        case ["params", key]:
            _set_param(stage, path, key, new, changes)
        case ["data", *_]:
            raise InputError(f"changes: '{path}': a mixture is replaced as a whole: change 'stages.{rest[0]}.data'")
        case _:
            raise InputError(f"changes: '{path}': {unknown_key('.'.join(rest[1:]), _stage_paths(stage))}")


def _stage(stages: list[Any], path: str, index: str) -> dict[str, Any]:
    if not (index.isascii() and index.isdigit() and int(index) < len(stages)):
        existing = ", ".join(f"stages.{number}" for number in range(len(stages)))
        raise InputError(f"changes: '{path}': no such stage: there are {existing}; replace 'stages' to add one")
    stage: dict[str, Any] = stages[int(index)]
    return stage


def _stage_paths(stage: dict[str, Any]) -> list[str]:
    return ["trainer", "format", "data", *(f"params.{name}" for name in _param_names(stage))]


def _param_names(stage: dict[str, Any]) -> list[str]:
    model = PARAMS.get(str(stage["trainer"]))
    return list(model.model_fields if model else stage["params"])


def _set_param(stage: dict[str, Any], path: str, key: str, new: Any, changes: Mapping[str, Any]) -> None:
    if key not in _param_names(stage):
        raise InputError(f"changes: '{path}': {unknown_key(key, _param_names(stage))}")
    stage["params"][key] = new
    if key in LENGTHS and new is not None:
        for other in LENGTHS:
            if other != key and f"{path.removesuffix(key)}{other}" not in changes:
                stage["params"].pop(other, None)


def _refuse_addresses(before: Recipe, after: Recipe) -> None:
    # a proposal is data, never an address: dotted trainers, paths and URLs are the user's own to write
    trainers = {stage.trainer for stage in before.stages}
    sources = {reference.name for stage in before.stages for reference in stage.data}
    for index, stage in enumerate(after.stages):
        if stage.trainer not in trainers and stage.trainer not in _trainers():
            raise InputError(f"changes: stages.{index}.trainer: {unknown('trainer', stage.trainer, _trainers())}")
        for reference in stage.data:
            if reference.name not in sources and not SOURCE_NAME.fullmatch(reference.name):
                raise InputError(f"changes: stages.{index}.data: '{reference.name}' is not the name of a data source")


# ---------------------------------------------------------------- telling apart


def fingerprint(recipe: Recipe) -> str:
    """16 hex digits that stand for what is trained and how, the same in every process.

    Computed from the fields named here, defaults filled in. Raises TypeError for a parameter without a stable form,
    InputError for one that is not allowed.
    """
    stages = [
        {
            "trainer": stage.trainer,
            "format": stage.format,
            "data": [[ref.name, ref.weight, ref.limit, ref.filters] for ref in stage.data],
            "params": _complete_stage(stage).params,
        }
        for stage in recipe.stages
    ]
    return digest({"recipe": 1, "model": recipe.model, "stages": stages, "seed": recipe.seed})
