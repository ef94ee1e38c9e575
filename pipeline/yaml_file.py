"""YAML as people mean it: YAML 1.2's plain values, no duplicate keys, and errors that name file, line and key.

PyYAML follows YAML 1.1, where `1e-3` is text, `no` is false, `010` is eight and `1:30` is ninety. Here only what looks
like a JSON number, `true`, `false` and `null` (or nothing, or `~`) is not text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from pipeline.errors import InputError
from pipeline.validation import Fault, first_fault

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[str | int, ...]  # such as ("stages", 0, "params", "rank")

FLOAT = re.compile(r"^(?![-+]?[0-9]+$)[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$")
PLAIN = (
    ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    ("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9_]*)$"), "-+0123456789"),
    ("tag:yaml.org,2002:float", FLOAT, "-+.0123456789"),
    ("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}


class Dumper(yaml.SafeDumper):
    """Quotes whatever either YAML 1.1 or this module would not read back as text."""


for _tag, _pattern, _first in PLAIN:
    _Loader.add_implicit_resolver(_tag, _pattern, list(_first))
    Dumper.add_implicit_resolver(_tag, _pattern, list(_first))


@dataclass(frozen=True)
class Document:
    """The value of a YAML file, and the line on which each part of it begins."""

    path: Path
    value: Any
    lines: dict[Place, int] = field(default_factory=dict)

    def error(self, place: Place, message: str) -> InputError:
        """An InputError naming the file, the line of `place` (or of the nearest part around it) and the key."""
        near = place
        while near and near not in self.lines:
            near = near[:-1]
        key = ".".join(map(str, place))
        return InputError(f"{self.path}, line {self.lines.get(near, 1)}: {key + ': ' if key else ''}{message}")

    def fault(self, fault: Fault) -> InputError:
        """The InputError of what validation found."""
        return self.error(fault.place, fault.message)


def read_yaml(path: str | Path) -> Document:
    """Read one YAML document. Raises InputError: no such file, broken YAML, a duplicate key, an empty file."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"{path}: no such file: correct the path") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text: save it as UTF-8") from None
    document = Document(path, None)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise InputError(f"{path}: the file is empty: write the keys that are needed")
        value = _value(loader, node, (), document, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise InputError(f"{path}, line {mark.line + 1 if mark else 1}: broken YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: broken YAML: {' '.join(str(error).split())}") from None
    return Document(path, value, document.lines)


def read_model(path: str | Path, model: type[Model], **extra: Any) -> Model:
    """Read a YAML file as a strict model, `extra` keys added. Raises InputError naming file, line and key."""
    document = read_yaml(path)
    value = {**document.value, **extra} if isinstance(document.value, dict) else document.value
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise document.fault(first_fault(error, model)) from None


def read_variant(path: str | Path, key: str, models: Mapping[str, type[Model]], **extra: Any) -> Model:
    """Read a YAML file as that one of the models which its `key` names. Raises InputError naming file, line and key."""
    document = read_yaml(path)
    chosen = document.value.get(key) if isinstance(document.value, dict) else None
    model = models.get(str(chosen))
    if model is None:
        raise document.error((key,), f"must be one of {', '.join(models)}, not {chosen!r}")
    return read_model(path, model, **extra)


def _value(loader: _Loader, node: yaml.Node, place: Place, document: Document, around: tuple[yaml.Node, ...]) -> Any:
    document.lines.setdefault(place, node.start_mark.line + 1)
    if any(node is outer for outer in around):
        raise document.error(place, "an alias refers to the value that it is part of: write the value out")
    inside = (*around, node)
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, item, (*place, i), document, inside) for i, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node)
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
        if key is None or not isinstance(loader.construct_object(key_node), str):
            raise InputError(f"{document.path}, line {line}: a key must be text: put it in quotes")
        if key in result:
            first = document.lines[(*place, key)]
            raise InputError(f"{document.path}, line {line}: duplicate key '{key}', first on line {first}: keep one")
        document.lines[(*place, key)] = line
        result[key] = _value(loader, value_node, (*place, key), document, inside)
    return result
