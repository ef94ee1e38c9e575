"""A language model proposes structure (data, filters, stages), asha proposes the rest; what the model says is checked.

The model gets `llm_share` of all trials. Each of its turns is one question about the state of the search, at most two
repairs, and then either a proposal that the space allows or asha's. Every exchange is on the record in the run's
folder, from which a turn that was asked before is taken again: a resumed search goes on alike, and can be replayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import agent_options
from pipeline.agents import _dialogue
from pipeline.agents._answer import Answer
from pipeline.agents._conversation import Heard
from pipeline.agents._llm_options import Options, live, room_of
from pipeline.agents._pace import Pace
from pipeline.agents._state import trial_length
from pipeline.agents.asha import Asha
from pipeline.contracts import Agent
from pipeline.providers import record
from pipeline.providers.record import Ended, Log
from pipeline.providers.talk import Live, Recorded
from pipeline.types import Brief, Budget, Proposal, Trial

__all__ = ["Options", "create"]

LONGEST_PAUSE = 8  # of its turns that a model that fails is not asked
TURN_SECONDS = 120.0  # that a turn takes at most, all its requests and waits together
TURN_SHARE, LONGEST_TURN_SHARE = 1 / 8, 1 / 2  # of the time left: by default, and where the user said how long


def create(brief: Brief, seed: int) -> Agent:
    """An agent that asks the model of its options. Raises InputError: none is named, or it cannot be asked."""
    return Llm(brief, seed)


class Llm:
    """asha's trials, and a model's among them. What it knows beside the history is its record."""

    def __init__(self, brief: Brief, seed: int) -> None:
        self.brief, self.asha = brief, Asha(brief, seed)
        self.options = agent_options.read(Options, brief.options, "llm")
        self.log = Log(brief.folder)
        self.replay = record.read(Path(self.options.replay)) if self.options.replay else None
        self.live: Live | None = None
        self.note: Any = lambda name, text="", **fields: None

    def propose(self, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
        """The model's proposal if it is its turn and it has one; asha's otherwise."""
        trials = [trial for trial in history if trial.kind == "recipe"]
        proposal = self.asha.propose(history, remaining)
        if proposal is None or not self._is_due(trials, proposal, remaining):
            return self._as_part(proposal)
        answer, why, _ = self._turn(history, remaining)
        if answer is None:
            told = f"{proposal.rationale} (in the language model's place: {why})"
            return self._as_part(proposal.model_copy(update={"rationale": told}))
        return Proposal(
            changes=answer.changes, fidelity=trial_length(Pace(self.brief, trials)), parent=answer.parent,
            rationale=answer.rationale, predicted=answer.predicted, author="llm",
        )  # fmt: skip

    def _as_part(self, proposal: Proposal | None) -> Proposal | None:
        return proposal and proposal.model_copy(update={"author": f"llm:{proposal.author}"})

    # ------------------------------------------------------------ whose turn it is

    def _is_turn(self, number: int) -> bool:
        """Whether the trial of that number, from 0, is the model's: its share of all, evenly spread."""
        share = self.options.llm_share
        return int((number + 1) * share + 1e-9) > int(number * share + 1e-9)

    def _is_due(self, trials: Sequence[Trial], proposal: Proposal, remaining: Budget) -> bool:
        """Whether it is the model's turn, not the leader's last stretch, and it has not failed too often of late."""
        number = _dialogue.number_of(trials)
        if not self._is_turn(number) or (proposal.continues and Pace(self.brief, trials).is_late(remaining)):
            return False
        before = [end for end in self.log.turns.proposals() if end.turn < number]
        pause = self._pause(before)
        return not pause or sum(map(self._is_turn, range(before[-1].turn + 1, number))) >= pause

    def _pause(self, ended: Sequence[Ended]) -> int:
        """How many of its turns a model is left alone for: more with each that failed in a row, none with one."""
        failed = next((count for count, end in enumerate(reversed(ended)) if end.result == "proposed"), len(ended))
        return min(LONGEST_PAUSE, 2**failed // 2 - 1) if failed else 0

    # ------------------------------------------------------------ a turn

    def _turn(self, history: Sequence[Trial], remaining: Budget) -> Heard[Answer]:
        """One question to the model and what came of it, on the record and, unless it was there, in the ledger."""
        topic, room = _dialogue.topic(self.brief, history, remaining), room_of(self.options)
        kept = Recorded(self.log.turns, room, by_question=True)
        if kept.has(topic.subject):
            return _dialogue.hold(kept, topic, 0.0)
        replayed = Recorded(self.replay, room, self.log) if self.replay else None
        if replayed and not replayed.has(topic.subject):
            return Heard(None, "the record that is replayed has no such turn", ())
        heard = _dialogue.hold(replayed or self._model(), topic, self._seconds(remaining))
        self.log.ended(topic.ended(heard))
        pause = self._pause(self.log.turns.proposals())
        text = ""
        if heard.answer is None:
            text = f"asha takes the language model's turn: {heard.why}"
            text += f"; it is not asked in its next {pause} turn{'s' * (pause > 1)}" if pause else ""
        self.note(
            "llm_turn", text, turn=topic.subject.turn, proposed=heard.answer is not None, repairs=len(heard.faults),
            faults=heard.faults, why=heard.why, named=[each.name for each in topic.named],
            replayed=replayed is not None, **self.log.turns.told_of(topic.subject),
        )  # fmt: skip
        return heard

    def _model(self) -> Live:
        if self.live is None:
            self.live = live(self.options, self.log, lambda text: self.note("llm_wait", text))
        return self.live

    def _seconds(self, remaining: Budget) -> float:
        """How long a turn may take, all its requests and waits together."""
        asked, left = self.options.llm_timeout, remaining.seconds
        if left is None:
            return asked or TURN_SECONDS
        return min(asked, left * LONGEST_TURN_SHARE) if asked else min(TURN_SECONDS, left * TURN_SHARE)
