"""What generated functions are made of: the words of `function_words.yaml`, read and checked."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pipeline.types import Strict
from pipeline.yaml_file import read_model

WORDS = Path(__file__).with_name("function_words.yaml")


class Parameter(Strict):
    """A possible argument: names that it may have, its kind, its description, and phrases that give its value `{v}`."""

    names: tuple[str, ...]
    kind: Literal["integer", "float", "string", "boolean", "numbers", "amounts", "strings", "choice", "choices"]
    about: str
    says: tuple[str, ...]  # of a boolean: for true, and for false
    before: bool = False  # whether its value may stand before what is asked for: a *vegan* dinner recipe
    means: dict[str, int | float | str] = {}  # phrases that mean a value without writing it
    values: str | tuple[str, ...] = ""
    range: tuple[int, int] = (1, 100)
    times: float = 1  # a request's number times this is the value: 3% are 0.03, 2 hours are 120 minutes


class Pair(Strict):
    """Two arguments that one phrase gives in their order, as in `from {a} to {b}`; `{f}` is the first one's name."""

    names: tuple[tuple[str, str], ...]
    kind: Literal["integer", "float", "string"]
    about: tuple[str, str]
    says: tuple[str, ...]
    values: str = ""
    range: tuple[int, int] = (1, 100)
    unit: str = ""  # the words of the second, a text, if it is the unit of the first
    rising: bool = False  # whether the first is the smaller one, or the earlier

    def halves(self) -> tuple[Parameter, Parameter]:
        """The two arguments, each as one of its own."""
        told: dict[str, Any] = {"kind": self.kind, "says": (), "values": self.values, "range": self.range}
        other = told | {"kind": "string", "values": self.unit} if self.unit else told
        first, second = (tuple(both[place] for both in self.names) for place in (0, 1))
        return Parameter(names=first, about=self.about[0], **told), Parameter(
            names=second, about=self.about[1], **other
        )


class Act(Strict):
    """What functions may do: verbs, the noun in their name, what a request calls it, and questions that come to it."""

    verbs: tuple[str, ...]
    noun: str
    asks: str
    questions: tuple[str, ...] = ()  # other ways to ask for it, which take the arguments' phrases as `{rest}`


class Domain(Strict):
    """Acts that go together, and the arguments that they may take."""

    acts: tuple[Act, ...]
    parameters: tuple[Parameter, ...]
    shares: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()


class Words(Strict):
    """All that functions are made of; `short` has units that may stand at their number, as in `5kg` and `$5`."""

    words: dict[str, tuple[str, ...]]
    short: dict[str, str]
    on: tuple[str, ...]  # phrases that turn a flag {f} on, and off
    off: tuple[str, ...]
    included: tuple[str, ...]  # sentences of their own that turn on a flag whose name says that {f} is included
    named: tuple[str, ...]  # phrases that give any argument {f} its value {v} by name
    added: tuple[str, ...]  # sentences of their own that do
    common: dict[str, Parameter]
    pairs: dict[str, Pair]
    domains: dict[str, Domain]

    def parameters(self, name: str) -> list[Parameter]:
        """A domain's own and shared parameters."""
        domain = self.domains[name]
        return [*domain.parameters, *(self.common[each] for each in domain.shares)]


@lru_cache(maxsize=1)
def words() -> Words:
    """The words, read once."""
    return read_model(WORDS, Words)
