"""Several agents share one budget: a manager divides it by what each gains, a critic vetoes waste: `team:asha,random`.

Every round of the budget is divided anew (`_shares.py`). Members see each other's trials, and may go on with them; the
author of a trial is the member that proposed it. A vetoed proposal costs nothing: its member proposes again, then the
next one. Late in the budget a proposal that goes on with what is there is preferred to a new beginning.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from pipeline import agent_options, earnings, plugins
from pipeline.agents._critic import GUARD, Critic, Rules, Veto
from pipeline.agents._critic_options import CriticOptions, options_of
from pipeline.agents._pace import Pace
from pipeline.agents._reviewer import Reviewer
from pipeline.agents._shares import Shares
from pipeline.contracts import Agent, Note
from pipeline.errors import InputError
from pipeline.types import Brief, Budget, Proposal, Trial, Verdict

EXAMPLE = "asha,random"
MOST_VETOES = 4  # of a member in one turn


def check_argument(argument: str) -> None:
    """Raises InputError unless `argument` names two agents or more that can share a budget, each once."""
    names = members_of(argument)
    if len(names) < 2:
        raise InputError(f"agent 'team:{argument}': a team has two members or more: write team:{EXAMPLE}, say")
    if len(set(names)) < len(names):
        raise InputError(f"agent 'team:{argument}': a member is named twice: name every one once")
    for name in names:
        if plugins.parts("agents", name)[0] == "team":
            raise InputError(f"agent 'team:{argument}': a team is no member of a team: name its members instead")
        plugins.entry("agents", name)
        if hasattr(plugins.load("agents", name), "ready"):  # see `contracts.SelfDriven`
            raise InputError(f"agent 'team:{argument}': {name} steps by itself and cannot share a budget: leave it out")


def members_of(argument: str) -> list[str]:
    """The names in an argument such as `asha,random`."""
    return [name for part in argument.split(",") if (name := part.strip())]


def create(brief: Brief, seed: int, argument: str) -> Agent:
    """A team of the agents that the argument names, reviewed by the rules and, if asked for, by a language model."""
    model = options_of(brief.options)
    own = {name: value for name, value in brief.options.items() if name in model.model_fields}
    options = agent_options.read(model, own, "team")
    critics: list[Critic] = [Rules(brief), *([Reviewer(brief, options)] if isinstance(options, CriticOptions) else [])]
    return Team(brief, seed, members_of(argument), critics)


def _to_nobody(name: str, text: str = "", **fields: Any) -> None:
    pass


class Team:
    """As deterministic as its members and critics are: each call computes anew from history whose turn it is."""

    def __init__(self, brief: Brief, seed: int, members: Sequence[str], critics: Sequence[Critic]) -> None:
        self.brief, self.seed, self.critics = brief, seed, critics
        self._names = {label_of(name): name for name in members}
        self._agents = {label_of(name): self._make(name, seed) for name in members}
        self.note: Note = _to_nobody
        self._told = 0  # rounds
        for critic in critics:
            if hasattr(critic, "note"):
                critic.note = self._pass_on

    def propose(self, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
        """What the member proposes to whom most is owed, and no critic vetoes; None if nobody has anything."""
        trials = [trial for trial in history if trial.kind == "recipe"]
        shares = Shares(self.brief, list(self._agents), history)
        self._tell(shares)
        for critic in self.critics:
            if hasattr(critic, "begin"):
                critic.begin(remaining)
        is_late, beginning = Pace(self.brief, trials).is_late(remaining), None
        for name in shares.order():
            proposal = self._turn(name, history, remaining)
            if proposal is None:
                continue
            if not is_late or proposal.continues is not None:
                return proposal
            beginning = beginning or proposal
        return beginning

    # ------------------------------------------------------------ inside

    def _make(self, name: str, seed: int) -> Agent:
        own = agent_options.taken_by(name, self.brief.options)
        agent: Agent = plugins.entry("agents", name)(self.brief.model_copy(update={"options": own}), seed)
        if not hasattr(agent, "propose"):
            raise InputError(f"agent 'team': {name} steps by itself and cannot share a budget: name another member")
        if hasattr(agent, "note"):
            agent.note = self._pass_on
        return agent

    def _pass_on(self, name: str, text: str = "", **fields: Any) -> None:
        self.note(name, text, **fields)

    def _turn(self, name: str, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
        """A member's proposal that no critic vetoes; of what was vetoed it learns as of refused trials."""
        seen, agent = list(history), self._agents[name]
        for attempt in range(1, MOST_VETOES + 1):
            proposal = agent.propose(seen, remaining)
            veto = self._review(proposal, history) if proposal else None
            if proposal is None or veto is None:
                return _in_the_name_of(name, proposal) if proposal else None
            self._note_veto(name, proposal, veto, earnings.expected(proposal, history, remaining))
            verdict = Verdict(guard=GUARD, ok=False, reason=veto.reason)
            seen.append(Trial(id=f"veto{attempt}", state="rejected", proposal=proposal, verdicts=(verdict,)))
            # with another seed: one that draws by the number of trials would draw the same at its next turn
            key = f"team/{self.seed}/{len(history)}/{attempt}"
            agent = self._make(self._names[name], random.Random(key).randrange(2**32))
        return None

    def _review(self, proposal: Proposal, history: Sequence[Trial]) -> Veto | None:
        return next((veto for critic in self.critics if (veto := critic.review(proposal, history))), None)

    def _tell(self, shares: Shares) -> None:
        """Note the rounds that have begun since the last call; an agent made anew tells the present one again."""
        for begun in shares.rounds[self._told :] if self._told else shares.rounds[-1:]:
            before = shares.rounds[begun.number - 2].gained if begun.number > 1 else {}
            self.note("round", round=begun.number, shares=begun.shares, gained_before=before)
        self._told = len(shares.rounds)

    def _note_veto(self, name: str, proposal: Proposal, veto: Veto, saved: Any) -> None:
        text = f"vetoed a proposal of {name}: {veto.reason} ({veto.rule})"
        told = {"author": name, "rule": veto.rule, "reason": veto.reason, "proposal": proposal}
        self.note("veto", text, **told, seconds=saved.seconds, tokens=saved.tokens)


def _in_the_name_of(label: str, proposal: Proposal) -> Proposal:
    """The proposal with its member for an author; who is the author inside of a member stays known."""
    own = proposal.author
    if own == label or own.startswith(label + earnings.OF_WHOM):
        return proposal
    return proposal.model_copy(update={"author": f"{label}{earnings.OF_WHOM}{own}" if own else label})


def label_of(name: str) -> str:
    """A member's name as its trials bear it: a dotted address may have a colon, which an author may not."""
    return name.replace(earnings.OF_WHOM, ".")
