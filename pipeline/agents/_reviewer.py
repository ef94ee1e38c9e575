"""A critic that is a language model with fresh context: it sees the state of the search and the proposal, nothing else.

It reviews what the rules have passed. Whatever it answers or fails to answer, a search goes on: it vetoes one recipe in
a turn and `critic_vetoes` of all trials at most; beyond that, and while it fails, the rules decide alone. Every review
is on the run's record of exchanges, from which one that was held before is taken again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.agents._answer import Fault, answer_in, line_of, short
from pipeline.agents._conversation import Heard, Question, converse, prompt
from pipeline.agents._critic import Veto
from pipeline.agents._critic_options import CriticOptions
from pipeline.agents._llm_options import live, room_of
from pipeline.agents._pace import Pace
from pipeline.agents._schema import SENTENCES
from pipeline.agents._state import CLOCK, describe, proposed
from pipeline.contracts import Note
from pipeline.paths import digest, plain
from pipeline.providers import record
from pipeline.providers.client import Form
from pipeline.providers.record import Ended, Log, Subject
from pipeline.providers.talk import Live, Recorded
from pipeline.types import Brief, Budget, Proposal, Trial

RULE = "language model"  # in whose name it vetoes
REPAIRS = 1
REPEATS = 2  # times that the recipe it vetoed is vetoed again in a turn, unasked; another recipe is tried
FREE = 1  # vetoes beside its share, so that it may speak at the beginning
LONGEST_PAUSE = 8  # trials for which a model that fails is not asked
REVIEW_SECONDS, REVIEW_SHARE, LONGEST_SHARE = 60.0, 1 / 16, 1 / 4  # of one review; of the time left, as `llm` has it
LEAST_SECONDS = 1.0  # a shorter review is not worth asking for
NOT_SHOWN = (CLOCK, "your_predictions")
FORM = Form("review", {
    "type": "object",
    "properties": {"veto": {"type": "boolean"}, "reason": {"type": "string", "maxLength": SENTENCES}},
    "required": ["veto", "reason"],
    "additionalProperties": False,
})  # fmt: skip


class Review(NamedTuple):
    """What the model thinks of a proposal."""

    veto: bool
    reason: str


class Reviewer:
    """Asks the model of its options. `begin` is called at the beginning of each turn of the team."""

    def __init__(self, brief: Brief, options: CriticOptions) -> None:
        self.brief, self.options = brief, options
        self.log = Log(brief.folder)
        self.replay = record.read(Path(options.replay)) if options.replay else None
        self.live: Live | None = None
        self.note: Note = lambda name, text="", **fields: None
        self.begin(Budget())

    def begin(self, remaining: Budget) -> None:
        """A new turn of the team, with so much of the budget left."""
        self.remaining, self._asked, self._repeated = remaining, 0, 0
        self._vetoed: tuple[Proposal, Veto] | None = None

    def review(self, proposal: Proposal, history: Sequence[Trial]) -> Veto | None:
        """Its veto, if it has one that it may give."""
        trials = [trial for trial in history if trial.kind == "recipe"]
        if self._vetoed:
            return self._again(proposal)
        if proposal.continues and Pace(self.brief, trials).is_late(self.remaining):
            return None
        question = self._question(proposal, history, len(trials))
        kept = Recorded(self.log.turns, room_of(self.options), by_question=True)
        if kept.has(question.subject):
            heard = converse(kept, question, read, REPAIRS, 0.0)
        elif self._is_due(len(trials)):
            heard = self._ask(question)
        else:
            return None
        self._asked += 1
        if heard.answer is None or not heard.answer.veto:
            return None
        veto = Veto(RULE, heard.answer.reason)
        self._vetoed = proposal, veto
        return veto

    # ------------------------------------------------------------ inside

    def _again(self, proposal: Proposal) -> Veto | None:
        """The veto that was given in this turn, for the same recipe; it does not last for ever."""
        assert self._vetoed is not None
        refused, veto = self._vetoed
        is_same = (proposal.changes, proposal.continues) == (refused.changes, refused.continues)
        self._repeated += is_same
        return veto if is_same and self._repeated <= REPEATS else None

    def _question(self, proposal: Proposal, history: Sequence[Trial], number: int) -> Question:
        state = {name: value for name, value in describe(self.brief, history, Budget(), ()).items()
                 if name not in NOT_SHOWN}  # fmt: skip
        state = {"proposal": proposed(proposal, self.brief, history), **state}
        prompts = prompt("review"), prompt("review_short")
        subject = Subject(number, digest([prompts[0], plain(state)]), f"review {self._asked + 1}")
        return Question(subject, prompts, state, (FORM,))

    def _is_due(self, number: int) -> bool:
        """Whether it may be asked: there is time, it has not vetoed its share, and has not failed too often of late."""
        left = self.remaining.seconds
        if left is not None and left * REVIEW_SHARE < LEAST_SECONDS:
            return False
        before = [end for end in self.log.turns.reviews() if end.turn < number]
        vetoes = sum(end.result == "vetoed" for end in before)
        if vetoes + 1 > FREE + self.options.critic_vetoes * number:
            self.note("review", turn=number, result="not asked", why="it has vetoed its share of trials")
            return False
        pause = _pause(before)
        return not pause or number - before[-1].turn > pause

    def _ask(self, question: Question) -> Heard[Review]:
        subject, room = question.subject, room_of(self.options)
        replayed = Recorded(self.replay, room, self.log) if self.replay else None
        if replayed and not replayed.has(subject):
            return Heard(None, "the record that is replayed has no such review", ())
        begun = time.monotonic()
        heard = converse(replayed or self._model(), question, read, REPAIRS, begun + self._seconds())
        result: record.Result = "handed over" if heard.answer is None else "vetoed" if heard.answer.veto else "passed"
        why = heard.why if heard.answer is None else heard.answer.reason
        self.log.ended(Ended(**subject._asdict(), result=result, why=why))
        self.note(
            "review", f"the rules alone review a proposal: {why}" if heard.answer is None else "", turn=subject.turn,
            result=result, why=why, repairs=len(heard.faults), seconds=round(time.monotonic() - begun, 3),
            replayed=replayed is not None, **self.log.turns.told_of(subject),
        )  # fmt: skip
        return heard

    def _model(self) -> Live:
        if self.live is None:
            self.live = live(self.options, self.log, lambda text: self.note("llm_wait", text))
        return self.live

    def _seconds(self) -> float:
        """How long a review may take, repairs and waits included."""
        asked, left = self.options.llm_timeout, self.remaining.seconds
        if left is None:
            return asked or REVIEW_SECONDS
        return min(asked, left * LONGEST_SHARE) if asked else min(REVIEW_SECONDS, left * REVIEW_SHARE)


def read(text: str) -> Review:
    """The review in a model's words. Raises Fault."""
    found: dict[str, Any] = answer_in(text, ("veto", "reason"))
    veto, reason = found.get("veto"), line_of(found.get("reason"))
    if not isinstance(veto, bool):
        raise Fault(f"`veto` must be true or false, not {short(veto)}")
    if veto and not reason:
        raise Fault("a veto needs a reason: give it in one sentence")
    return Review(veto, reason)


def _pause(ended: Sequence[Ended]) -> int:
    """Trials without a review after the last one: more with each that failed in a row, none with one that did not."""
    failed = next((count for count, end in enumerate(reversed(ended)) if end.result != "handed over"), len(ended))
    return min(LONGEST_PAUSE, 2**failed // 2) if failed else 0
