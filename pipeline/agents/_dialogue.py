"""One turn of a proposing model: what it is about, and what comes of it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from pipeline.agents import _drawing
from pipeline.agents._answer import Answer, read
from pipeline.agents._conversation import Heard, Question, converse, prompt
from pipeline.agents._critic import is_veto
from pipeline.agents._pace import Pace, score_of
from pipeline.agents._schema import form, short_form
from pipeline.agents._state import CLOCK, describe, unresolved
from pipeline.agents._strategies import Strategy, others, strategy_of
from pipeline.paths import digest, plain
from pipeline.providers.record import PROPOSAL, Ended, Subject
from pipeline.providers.talk import Speaker
from pipeline.types import Brief, Budget, Trial

REPAIRS = 2
UNRESOLVED = 5  # trials in a row after which the model is asked to choose another strategy by name


class Topic(NamedTuple):
    """What a turn is about. The question's digest stands for all of it but the clock, however much of it is sent."""

    brief: Brief
    trials: tuple[Trial, ...]
    named: tuple[Strategy, ...]
    question: Question

    @property
    def subject(self) -> Subject:
        """The question as a record knows it."""
        return self.question.subject

    def ended(self, heard: Heard[Answer]) -> Ended:
        """How the turn ended, for the record."""
        how: Any = "proposed" if heard.answer else "handed over"
        return Ended(**self.subject._asdict(), result=how, why=heard.why)


def number_of(trials: Sequence[Trial]) -> int:
    """The number of the trial that comes next, from 0: what a critic vetoed was none."""
    return sum(not is_veto(trial) for trial in trials)


def topic(brief: Brief, history: Sequence[Trial], remaining: Budget) -> Topic:
    """What to ask now."""
    trials = tuple(trial for trial in history if trial.kind == "recipe")
    named, switch = _named(brief, trials), ""
    if named:
        switch = "\n" + prompt("switch").format(unresolved=unresolved(trials), current=_current(trials))
    state = describe(brief, history, remaining, named)
    asked = plain({name: value for name, value in state.items() if name != CLOCK})
    prompts = prompt("propose") + switch, prompt("propose_short").replace("{example}", _example(brief)) + switch
    number, vetoes = number_of(trials), sum(map(is_veto, trials))
    part = f"{PROPOSAL} {vetoes + 1}" if vetoes else PROPOSAL
    subject = Subject(number, digest([prompts[0], asked]), part)
    forms = form(brief, named, trials), short_form(brief, named, trials)
    return Topic(brief, trials, named, Question(subject, prompts, state, forms))


def hold(speaker: Speaker, about: Topic, seconds: float) -> Heard[Answer]:
    """Ask, and ask for at most two repairs, within so many seconds."""
    examples = {each.name: each.example for each in about.named}
    until = time.monotonic() + seconds
    return converse(
        speaker, about.question, lambda said: read(said, about.brief, about.trials, examples), REPAIRS, until
    )


def _example(brief: Brief) -> str:
    """A mixture in this search's own words and in the form that is asked for: small models copy what they are shown."""
    names = [single[0]["name"] for single in _drawing.singles(brief)]
    weights = (0.7, 0.3)
    return ", ".join(json.dumps({"name": n, "weight": w}) for n, w in zip(names, weights, strict=False))


def _named(brief: Brief, trials: Sequence[Trial]) -> tuple[Strategy, ...]:
    """The strategies to choose among, where the one in use has brought nothing for a while."""
    if unresolved(trials) < UNRESOLVED:
        return ()
    return tuple(others(brief, trials, _drawing.source_values(Pace(brief, trials).relative(trials))))


def _current(trials: Sequence[Trial]) -> str:
    """The strategy of the best trial."""
    best = max((trial for trial in trials if trial.recipe and trial.score), key=score_of, default=None)
    return strategy_of(best.recipe) if best and best.recipe else "the recipe's own"
