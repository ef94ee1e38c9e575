"""The nouns of the project and the protocols of its plugins.

Every noun is frozen and crosses disk as JSON. What a user writes is validated strictly (`Strict`);
what is read back from a ledger tolerates fields it does not know (`Record`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """A noun that a user writes: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Record(BaseModel):
    """A noun that a ledger holds: unknown keys of later versions are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


# ---------------------------------------------------------------- recipes


class DataRef(Strict):
    """One data source in a mixture: its share of rows is its weight over the sum of weights."""

    name: str
    weight: float = Field(default=1.0, ge=0.0, le=1000.0)
    limit: int | None = Field(default=None, ge=1)  # rows at most
    filters: tuple[str, ...] = ()


class Stage(Strict):
    """One stage of training: a trainer, the rows it sees and its parameters (`pipeline.params`)."""

    trainer: str = "sft"
    data: tuple[DataRef, ...] = Field(min_length=1)
    format: Literal["chat"] = "chat"
    params: dict[str, Any] = {}


class Recipe(Strict):
    """What is trained and how: complete, no inheritance."""

    model: str
    stages: tuple[Stage, ...] = Field(min_length=1)
    seed: int = Field(default=0, ge=0)


class Dimension(Strict):
    """One searchable place of a recipe, addressed by a dotted path such as `stages.0.params.learning_rate`."""

    kind: Literal["float", "int", "choice", "mixture"]
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()  # for a mixture: the names of the sources that may be mixed
    also: tuple[Any, ...] = ()  # allowed beside the choices, drawn by no one


Space = dict[str, Dimension]


class Proposal(Strict):
    """A patch on the run's recipe. Data, never code, a path or a URL.

    `fidelity` is the share of the recipe's full length in training tokens; `continues` names a trial
    whose checkpoint is trained on (same recipe); `parent` names the trial that inspired this one.
    """

    changes: dict[str, Any] = {}
    fidelity: float = Field(default=1.0, gt=0.0, le=1.0)
    continues: str | None = None
    parent: str | None = None
    rationale: str = ""
    author: str = ""


# ---------------------------------------------------------------- results


class Budget(Record):
    """What a search may spend, or what is left of it. None means unlimited."""

    seconds: float | None = None
    trials: int | None = None
    dollars: float | None = None


class Cost(Record):
    """What something cost. `tokens` are training tokens, prompt included."""

    seconds: float = 0.0
    train_seconds: float = 0.0
    eval_seconds: float = 0.0
    tokens: int = 0
    flops: float = 0.0
    dollars: float = 0.0


class Score(Record):
    """A benchmark score in [0, 1]: `value` by strict extraction, `lenient` by forgiving extraction."""

    benchmark: str
    metric: str
    value: float
    stderr: float
    n: int
    role: Literal["search", "final"]
    lenient: float | None = None
    stops: float | None = None  # share of answers that ended by themselves
    source: Literal["measured", "published"] = "measured"


class Verdict(Record):
    """What a guard found."""

    guard: str
    ok: bool
    reason: str = ""
    evidence: tuple[str, ...] = ()


class Outcome(Record):
    """What a trial brought: scores, or an error that is itself a result."""

    scores: tuple[Score, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    cost: Cost = Cost()
    error: str | None = None
    fidelity: float = 0.0  # share of the recipe's full length really trained, over all continuations
    tokens: int = 0  # training tokens, over all continuations
    final_loss: float | None = None
    labels: tuple[str, ...] = ()  # such as "does not stop", "cut short"
    reasons: dict[str, str] = {}  # why, by label, where there is more to say
    tail_steps: int | None = None  # of the last stage, if the time limit ended its tail early
    resumable: bool = False  # a checkpoint for a continuation lies in the trial's folder
    first_step_seconds: float | None = None  # from the proposal to the end of the first training step
    data: dict[str, Any] = {}  # rows per source, removed overlaps

    @property
    def remarks(self) -> tuple[str, ...]:
        """The labels, each with its reason."""
        return tuple(f"{label}: {self.reasons[label]}" if label in self.reasons else label for label in self.labels)


TrialState = Literal["pending", "scored", "failed", "rejected", "abandoned"]


class Trial(Record):
    """One line of the history: a recipe that was, or is being, tried."""

    id: str
    kind: Literal["recipe", "anchor", "submission"] = "recipe"
    state: TrialState = "pending"
    recipe: Recipe | None = None
    proposal: Proposal = Proposal()
    verdicts: tuple[Verdict, ...] = ()
    outcome: Outcome | None = None

    @property
    def score(self) -> Score | None:
        """The trial's search score, if it has one."""
        return self.outcome.scores[0] if self.outcome and self.outcome.scores else None


# ---------------------------------------------------------------- catalogue


class Card(Record):
    """What is shown of a data source before using it, as on the Hub. Never whether its rows are right."""

    name: str
    kind: str  # coarse: maths, calls, facts, chat ...
    rows: int
    columns: tuple[str, ...]
    mean_characters: float
    samples: tuple[dict[str, Any], ...]
    summary: str = ""


class Benchmark(Strict):
    """One benchmark as `evals/NAME/benchmark.yaml` describes it; `folder` is filled in when it is loaded."""

    name: str
    summary: str
    task: str  # the lm-eval task in the YAML beside it
    metric: str  # display name of the strict metric
    kind: str  # the kind of data that belongs to it: maths, calls, facts
    weight: float = Field(gt=0.0)  # PostTrainBench's weight of the (big) benchmark
    sibling: str | None = None  # the big benchmark that a tiny one is a miniature of
    items: dict[str, Any]  # where items come from: {world, search, final, pool}
    recipe: str  # default recipe in recipes/
    few_shot: int = 4
    max_tokens: int = 128
    runs_code: bool = False  # answers are executed: only where there is a sandbox
    anchors: dict[str, Any] = {}
    folder: str = ""


class ItemsKey(Strict):
    """Everything that decides which items of a generated benchmark a run sees."""

    lab_seed: int = 0
    salt: str = ""  # selects final items from the reserved pool; lies in DIR/sealed/


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


# ---------------------------------------------------------------- work


class Request(Record):
    """One thing to generate: chat messages, or raw text that goes to the model as it is."""

    messages: tuple[dict[str, Any], ...] | None = None
    text: str | None = None
    tools: tuple[dict[str, Any], ...] = ()
    until: tuple[str, ...] = ()
    max_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    n: int = 1
    benchmark: str = ""  # what it belongs to and which item it asks, for engines that look answers up
    item: str = ""
    index: int = -1  # of the item among its split's


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


class Shape(Strict):
    """The sizes of a decoder that decide its memory: numbers, as config.json has them."""

    hidden: int
    layers: int
    heads: int
    key_value_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    tied: bool = True  # input and output embeddings are one matrix


class Pair(Strict):
    """A base on the Hub and its official instruct-tuned sibling, which share architecture, size and licence."""

    base: str
    instruct: str
    revision: str = "main"  # what is fetched: a commit would make it repeatable, none could be looked up offline
    parameters: int  # of the whole checkpoint, a vision tower included
    shape: Shape  # of its text part
    licence: str
    gated: bool = False  # the Hub asks for terms to be accepted and a login


class Family(Strict):
    """A model family: everything that decides how its turns are rendered, ended and adapted."""

    name: str
    summary: str
    architectures: tuple[str, ...]
    chat_template: str  # used where the tokenizer brings none
    template_kwargs: dict[str, Any] = {}
    end_of_turn: str
    pad: str
    bos: str | None = None
    special_tokens: tuple[str, ...]
    plain_tokens: tuple[str, ...] = ()  # whole tokens that are not special: decoding shows them
    lora_targets: tuple[str, ...]
    lora_exclude: str | None = None
    pairs: tuple[Pair, ...] = ()


# ---------------------------------------------------------------- protocols


class Agent(Protocol):
    """Proposes what to try next: a pure function of brief, seed and history, so that a resumed search goes on alike."""

    def propose(self, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
        """The next proposal; None means: wait for a pending trial, or stop if none is pending."""
        ...


class Engine(Protocol):
    """Generates text with a model."""

    def generate(self, requests: Sequence[Request]) -> list[list[Completion]]:
        """One list of `n` completions per request, in the order of the requests."""
        ...


class Executor(Protocol):
    """Runs jobs, each in a killable process of its own."""

    slots: int

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

    def on_finish(self, run_folder: Path) -> Verdict: ...
