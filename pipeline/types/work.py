"""What is asked of agents, engines and executors, and what they answer."""

from __future__ import annotations

from typing import Any

from pipeline.types.base import Record
from pipeline.types.benchmarks import Card
from pipeline.types.recipes import Recipe, Space
from pipeline.types.results import Budget


class Brief(Record):
    """What an agent is told before it proposes."""

    model: str
    benchmark: str
    recipe: Recipe
    space: Space
    cards: tuple[Card, ...]
    prior: tuple[dict[str, Any], ...] = ()  # patches worth trying first, from recipes/
    slots: int = 1
    budget: Budget = Budget()
    facts: dict[str, Any] = {}  # of the benchmark and the base model, for whoever can read: see `opening.facts`
    options: dict[str, Any] = {}  # the agent's own, from its user's command line
    folder: str = ""  # the agent's own in the run's folder, for what it has to remember; "": none


class Request(Record):
    """One thing to generate: chat messages, or raw text that goes to the model as it is."""

    messages: tuple[dict[str, Any], ...] | None = None
    text: str | None = None
    tools: tuple[dict[str, Any], ...] = ()
    until: tuple[str, ...] = ()
    max_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    n: int = 1
    benchmark: str = ""  # what it belongs to and which item it asks, for engines that look answers up
    item: str = ""
    index: int = -1  # of the item among its split's
    copy_number: int | None = None  # which of an item's answers this is, where each one is asked for by itself


class Completion(Record):
    """What was generated; `stopped` means the model ended its turn by itself (None: not known)."""

    text: str
    stopped: bool | None
    tokens: int
    ending: str | None = None  # the special token that ended it, or, if none did, the first one that it wrote


class Job(Record):
    """One call in a process of its own: `call` is a dotted function that takes the job's folder."""

    id: str
    call: str  # such as "pipeline.trial.main"
    folder: str  # holds job.json (the input), receives outcome.json and log.txt
    threads: int = 1


class Finished(Record):
    """How a job's process ended. Exit code 0 means that its outcome.json is complete."""

    job: str
    exit_code: int
    reason: str = ""
