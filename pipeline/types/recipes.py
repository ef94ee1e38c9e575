"""What is trained and how, and what a proposal may change of it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from pipeline.types.base import Strict


class DataRef(Strict):
    """One data source in a mixture: its share of rows is its weight over the sum of weights."""

    name: str
    weight: float = Field(default=1.0, ge=0.0, le=1000.0)
    limit: int | None = Field(default=None, ge=1)  # rows at most
    filters: tuple[str, ...] = ()


class Stage(Strict):
    """One stage of training: a trainer, the rows it sees and its parameters (`pipeline.params`)."""

    trainer: str = "sft"
    data: tuple[DataRef, ...] = Field(min_length=1)
    format: Literal["chat"] = "chat"
    params: dict[str, Any] = {}


class Recipe(Strict):
    """What is trained and how: complete, no inheritance."""

    model: str
    stages: tuple[Stage, ...] = Field(min_length=1)
    seed: int = Field(default=0, ge=0)


class Dimension(Strict):
    """One searchable place of a recipe, addressed by a dotted path such as `stages.0.params.learning_rate`."""

    kind: Literal["float", "int", "choice", "mixture"]
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()  # for a mixture: the names of the sources that may be mixed
    also: tuple[Any, ...] = ()  # allowed beside the choices, drawn by no one


Space = dict[str, Dimension]


class Proposal(Strict):
    """A patch on the run's recipe. Data, never code, a path or a URL.

    `fidelity` is the share of the recipe's full length in training tokens; `continues` names a trial
    whose checkpoint is trained on (same recipe); `parent` names the trial that inspired this one.
    """

    changes: dict[str, Any] = {}
    fidelity: float = Field(default=1.0, gt=0.0, le=1.0)
    continues: str | None = None
    parent: str | None = None
    rationale: str = ""
    author: str = ""  # an agent; `llm:asha` is asha inside of llm
    predicted: float | None = None  # the search score that its author expects
