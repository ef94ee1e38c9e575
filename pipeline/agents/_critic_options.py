"""What a user may set about a team's critic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from pipeline.agents._llm_options import ModelOptions
from pipeline.types import Strict


class RulesOptions(Strict):
    """Who reviews proposals: the rules alone, or a language model after them."""

    critic: Literal["rules", "llm"] = "rules"


class CriticOptions(ModelOptions):
    """Those of a critic that is a language model; an `llm` among the members shares its model, cap and record."""

    who: ClassVar[str] = "the critic of a team"

    critic: Literal["llm"]
    critic_vetoes: float = Field(default=0.25, ge=0.0, le=0.5)  # of trials: more than so many are not to be vetoed


def options_of(given: Mapping[str, Any]) -> type[RulesOptions | CriticOptions]:
    """The options that a team takes for itself, by those that were given."""
    return CriticOptions if given.get("critic") == "llm" else RulesOptions
