"""Arms: the same search by several agents on the same seeds, each an ordinary run in `arms/AGENT-SEED/`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import agent_options, reproduce
from pipeline.asking import Asked
from pipeline.errors import InputError

ARMS = "arms"


@dataclass(frozen=True)
class Arm:
    """One agent with one seed: a run."""

    asked: Asked
    folder: Path

    @property
    def name(self) -> str:
        """Cell, agent and seed."""
        return f"{reproduce.cell_name(self.asked)} {self.asked.agent} seed {self.asked.seed}"


def arm(asked: Asked, agent: str, seed: int, place: Path) -> Arm:
    """The run of an agent with a seed, below `place`."""
    slug = re.sub(r"[^\w.-]+", "-", agent)  # it may be a dotted address, or carry an argument
    own = asked.agent_options
    if own and agent != asked.agent:
        own = agent_options.taken_by(agent, own)
    named = {"agent": agent, "seed": seed, "agent_options": own}
    return Arm(asked.model_copy(update=named), place / ARMS / f"{slug}-{seed}")


def refuse_shared(arms: Sequence[Arm]) -> None:
    """Raise InputError if two arms would lie in one folder."""
    if len({each.folder for each in arms}) < len(arms):
        raise InputError("two of the runs would share a folder: name every agent, family and benchmark once")
