"""A question to a language model, its answers, and the repairs that it is asked for, within the room of its context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from pipeline.agents._answer import Fault
from pipeline.agents._fit import fitted
from pipeline.providers.client import Form
from pipeline.providers.record import Subject
from pipeline.providers.talk import NoReply, Overlong, Speaker

QUOTED = 1000  # characters of an unusable answer that the model is shown again; fewer in a small context
CUTS = 3  # times that a question is made shorter because the model refuses its length
PROMPTS = Path(__file__).parent / "prompts"
T = TypeVar("T")


class Question(NamedTuple):
    """What is asked: the state of a search, beside one of the prompts, the first of which is preferred.

    Each prompt has a form of its own that its answer takes; the last form is that of all prompts after it, too.
    """

    subject: Subject
    prompts: tuple[str, ...]
    state: dict[str, Any]
    forms: tuple[Form, ...]


class Heard(NamedTuple, Generic[T]):
    """The answer, or why there is none; `faults` are those that the model was told of."""

    answer: T | None
    why: str
    faults: tuple[str, ...]


def converse(
    speaker: Speaker, question: Question, read: Callable[[str], T], repairs: int, until: float
) -> Heard[T]:  # fmt: skip
    """Ask, and ask for at most so many repairs, until then (of time.monotonic). `read` raises Fault."""
    faults: list[str] = []
    beside: tuple[str, ...] = ()
    try:
        for _ in range(1 + repairs):
            said = _say(speaker, question, beside, until)
            try:
                return Heard(read(said), "", tuple(faults))
            except Fault as fault:
                faults.append(str(fault))
                quoted = said[: min(QUOTED, speaker.room.context // 8)]
                beside = (quoted, prompt("repair").replace("{fault}", str(fault)))
    except NoReply as reason:
        return Heard(None, str(reason), tuple(faults))
    times = "an answer" if len(faults) == 1 else f"{len(faults)} answers in a row"
    return Heard(None, f"{times} could not be used; the last: {faults[-1]}", tuple(faults))


def prompt(name: str) -> str:
    """A text of prompts/."""
    return (PROMPTS / f"{name}.md").read_text(encoding="utf-8")


def _say(speaker: Speaker, question: Question, beside: Sequence[str], until: float) -> str:
    """The model's answer to the question and the turns after it. Raises NoReply."""
    for _ in range(1 + CUTS):
        context, reply = speaker.room
        found = fitted(question.state, question.prompts, context - reply, beside)
        if found is None:
            raise NoReply(f"the brief does not fit into {context} tokens: raise --llm-context")
        try:
            form = question.forms[min(found.number, len(question.forms) - 1)]
            return speaker.say(question.subject, found.system, [found.state, *beside], form, until)
        except Overlong as reason:
            refusal = reason
    raise refusal
