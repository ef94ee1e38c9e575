"""What plugins promise: the protocols of agents, engines, executors and guards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pipeline.types import Budget, Completion, Finished, Job, Proposal, Recipe, Request, Space, Trial, Verdict


class Agent(Protocol):
    """Proposes what to try next: a pure function of brief, seed and history, so that a resumed search goes on alike.

    What decides its proposals beside these (a language model's answers, say) it keeps in the brief's folder. An agent
    may have an attribute `note` of type `Note`, which whoever runs it sets. Its module may have `Options`, a pydantic
    model of what its user may set: checked before a run begins, then found in the brief.
    """

    def propose(self, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
        """The next proposal; None means: wait for a pending trial, or stop if none is pending."""
        ...


class SelfDriven(Protocol):
    """An agent that steps by itself, instead of answering `propose`: another program, say.

    `author` is the name that its trials carry. `refused` are the doors that it must not use, each with the reason that
    it is given. It may have `note`, and its module `Options`, as any agent; `ready(argument, options)` in its module
    raises InputError, before anything is built, if it could not run here.
    """

    author: str
    refused: Mapping[str, str]

    def run(self, client: Any) -> str:
        """Search through the run's doors (`owner.gate.Lease`) and return why it ended. Called on its own thread."""
        ...

    def stop(self) -> None:
        """End at once, with all that it started; `run` returns soon after. Called on any thread, also after the end."""
        ...


class Note(Protocol):
    """Takes what an agent has to say beside its proposals."""

    def __call__(self, name: str, text: str = "", **fields: Any) -> None:
        """A note of that name for the ledger; its text, if there is one, is shown to the user as well."""
        ...


class Engine(Protocol):
    """Generates text with a model."""

    def generate(self, requests: Sequence[Request]) -> list[list[Completion]]:
        """One list of `n` completions per request, in the order of the requests."""
        ...


class Executor(Protocol):
    """Runs jobs, each in a killable process of its own."""

    slots: int

    @property
    def is_ready(self) -> bool:
        """Whether a job that is started begins at once, as far as is known."""
        ...

    def get_ready(self) -> None:
        """Wait until it does. Raises PosttrainError if none can begin."""
        ...

    def start(self, job: Job) -> None: ...

    def wait(self, timeout: float | None = None) -> Finished | None:
        """The next job that ended, or None when the timeout passed or nothing runs."""
        ...

    def cancel(self, job_id: str) -> None: ...

    def close(self) -> None: ...


class Guard(Protocol):
    """Looks for cheating or accidents at one or more doors; a module may leave any of these out."""

    def on_proposal(self, proposal: Proposal, recipe: Recipe, space: Space) -> Verdict: ...

    def on_source(
        self, name: str, rows: Sequence[dict[str, Any]], final_items: Sequence[dict[str, Any]]
    ) -> Verdict: ...

    def on_submission(self, model: Path, references: dict[str, Path]) -> Verdict: ...

    def on_finish(self, run_folder: Path) -> Verdict: ...
