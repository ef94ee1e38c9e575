"""One turn of a proposing model: the question, its answers, the repairs that it is asked for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.agents import _drawing
from pipeline.agents._answer import Answer, Fault, read
from pipeline.agents._fit import fit
from pipeline.agents._llm_options import Options, context_of, reply_tokens
from pipeline.agents._pace import Pace, score_of
from pipeline.agents._schema import form
from pipeline.agents._state import CLOCK, describe, unresolved
from pipeline.agents._strategies import Strategy, others, strategy_of
from pipeline.paths import digest, plain
from pipeline.providers.record import Ended
from pipeline.providers.talk import NoReply, Speaker
from pipeline.types import Brief, Budget, Trial

REPAIRS = 2
UNRESOLVED = 5  # trials in a row after which the model is asked to choose another strategy by name
QUOTED = 1000  # characters of an unusable answer that the model is shown again
PROMPTS = Path(__file__).parent / "prompts"


class Topic(NamedTuple):
    """What a turn is about. `question` stands for all of it but the clock."""

    brief: Brief
    trials: tuple[Trial, ...]
    state: dict[str, Any]
    named: tuple[Strategy, ...]
    system: str
    question: str

    @property
    def number(self) -> int:
        """Of the trial that is asked for, from 0."""
        return len(self.trials)

    def ended(self, result: Result) -> Ended:
        """How the turn ended, for the record."""
        how: Any = "proposed" if result.answer else "handed over"
        return Ended(turn=self.number, question=self.question, result=how, why=result.why)


class Result(NamedTuple):
    """The answer, or why there is none; `faults` are those that the model was told of."""

    answer: Answer | None
    why: str
    faults: tuple[str, ...]


def topic(brief: Brief, history: Sequence[Trial], remaining: Budget) -> Topic:
    """What to ask now."""
    trials = tuple(trial for trial in history if trial.kind == "recipe")
    named, system = _named(brief, trials), prompt("propose")
    if named:
        system += "\n" + prompt("switch").format(unresolved=unresolved(trials), current=_current(trials))
    state = describe(brief, history, remaining, named)
    asked = plain({name: value for name, value in state.items() if name != CLOCK})
    return Topic(brief, trials, state, named, system, digest([system, asked]))


def hold(speaker: Speaker, about: Topic, options: Options, seconds: float) -> Result:
    """Ask, and ask for at most two repairs, within so many seconds."""
    until = time.monotonic() + seconds
    context, wanted = context_of(options), form(about.brief, about.named)
    state = fit(about.state, context - reply_tokens(options), about.system)
    if state is None:
        return Result(None, f"the brief does not fit into {context} tokens: raise --llm-context", ())
    turns = [state]
    faults: list[str] = []
    try:
        for _ in range(1 + REPAIRS):
            said = speaker.say(about.number, about.question, about.system, turns, wanted, until)
            try:
                examples = {each.name: each.example for each in about.named}
                return Result(read(said, about.brief, about.trials, examples), "", tuple(faults))
            except Fault as fault:
                faults.append(str(fault))
                turns = [state, said[:QUOTED], prompt("repair").replace("{fault}", str(fault))]
    except NoReply as reason:
        return Result(None, str(reason), tuple(faults))
    return Result(None, f"{len(faults)} answers in a row could not be used; the last: {faults[-1]}", tuple(faults))


def prompt(name: str) -> str:
    """A text of prompts/."""
    return (PROMPTS / f"{name}.md").read_text(encoding="utf-8")


def _named(brief: Brief, trials: Sequence[Trial]) -> tuple[Strategy, ...]:
    """The strategies to choose among, where the one in use has brought nothing for a while."""
    if unresolved(trials) < UNRESOLVED:
        return ()
    return tuple(others(brief, trials, _drawing.source_values(Pace(brief, trials).relative(trials))))


def _current(trials: Sequence[Trial]) -> str:
    """The strategy of the best trial."""
    best = max((trial for trial in trials if trial.recipe and trial.score), key=score_of, default=None)
    return strategy_of(best.recipe) if best and best.recipe else "the recipe's own"
