"""The nouns of the project.

Every noun is frozen and crosses disk as JSON. What a user writes is validated strictly (`Strict`);
what is read back from a ledger tolerates fields it does not know (`Record`).
"""

from __future__ import annotations

import math
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


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
    author: str = ""  # an agent; `llm:asha` is asha inside of llm
    predicted: float | None = None  # the search score that its author expects


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


class Decoding(Strict):
    """How answers are drawn: greedily, or as samples of which each item gets `repeats`.

    Each token is drawn from the `top_k` likeliest (0: all), of these from the nucleus of mass `top_p`, of these from
    those at least `min_p` times as likely as the likeliest. With `own` the model's generation_config.json decides, as
    that library reads it; of the rest only `repeats` counts then, and a model that asks to be greedy answers once.
    """

    temperature: float = Field(default=0.0, ge=0.0, le=100.0)  # 0: greedy
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    top_k: int = Field(default=0, ge=0)
    min_p: float = Field(default=0.0, ge=0.0, lt=1.0)
    repetition_penalty: float = Field(default=1.0, gt=0.0, le=100.0)  # of tokens there already (Keskar et al. 2019)
    repeats: int = Field(default=1, ge=1, le=10_000)
    own: Literal["transformers", "vllm"] | None = None

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        draws = (self.temperature, self.top_p, self.top_k, self.min_p)
        if self.own and (*draws, self.repetition_penalty) != (0.0, 1.0, 0, 0.0, 1.0):
            raise ValueError("own leaves all but repeats to the model: leave the other settings out")
        if not self.own and self.temperature == 0.0 and (*draws, self.repeats) != (0.0, 1.0, 0, 0.0, 1):
            raise ValueError("greedy decoding (temperature 0) draws nothing: give a temperature, or leave the rest out")
        return self

    def asked(self) -> dict[str, Any]:
        """The fields of a Request that ask for this; `own` must have been read before."""
        return {**self.model_dump(exclude={"own", "repeats"}), "n": self.repeats}


GREEDY = Decoding()


class Score(Record):
    """A benchmark score: `value` by strict extraction, `lenient` by forgiving extraction, both in [0, 1].

    A program's score is whatever its metric is, in its own units.
    """

    benchmark: str
    metric: str
    value: float
    stderr: float | None  # None: not known, as of a program that tells neither it nor how many items it scored
    n: int | None
    role: Literal["search", "final"]
    lenient: float | None = None
    stops: float | None = None  # share of answers that ended by themselves
    repeats: int = 1  # answers per item; an item's score is their mean
    stderr_within: float | None = None  # the part of stderr that drawing answers adds: more repeats lower it
    pass_at_k: dict[str, float] | None = None  # k -> chance that one of k answers is right, where repeats are 0 or 1
    decoding: Decoding | None = None  # None: not known, as of answers made elsewhere
    source: Literal["measured", "published", "given"] = "measured"  # given: a number that a user knows

    @property
    def with_error(self) -> tuple[float, float]:
        """Value and standard error, NaN where that is not known: nothing is computed of such a pair."""
        return self.value, math.nan if self.stderr is None else self.stderr


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
    tail_steps: int | None = None  # of the last stage, if the time limit ended its tail early
    reasons: dict[str, str] = {}  # why, by label, where there is more to say
    resumable: bool = False  # a checkpoint for a continuation lies in the trial's folder
    first_step_seconds: float | None = None  # from the proposal to the end of the first training step
    data: dict[str, Any] = {}  # rows per source, removed overlaps

    @property
    def remarks(self) -> tuple[str, ...]:
        """The labels, each with its reason."""
        return tuple(f"{label}: {self.reasons[label]}" if label in self.reasons else label for label in self.labels)


TrialState = Literal["pending", "scored", "failed", "rejected", "abandoned"]


class StrategyStage(Record):
    """What of a stage belongs to its strategy; `kinds` are those of its sources' data, for the coarse view."""

    trainer: str
    format: str = "chat"
    sources: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


class Strategy(Record):
    """What is trained on what, in which order (`pipeline.strategy`). Two are the same if their keys are."""

    key: str
    name: str  # for reading
    stages: tuple[StrategyStage, ...] = ()

    @property
    def approach(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """The coarse view: trainer, format and kinds of data by stage, whichever sources these come from."""
        return tuple((stage.trainer, stage.format, stage.kinds) for stage in self.stages)


class Trial(Record):
    """One line of the history: a recipe that was, or is being, tried."""

    id: str
    kind: Literal["recipe", "anchor", "submission"] = "recipe"
    state: TrialState = "pending"
    recipe: Recipe | None = None
    strategy: Strategy | None = None  # of the recipe; None without one, and in ledgers of earlier versions
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


class PublishedScores(Strict):
    """What others measured of one base model: zero-shot, after worked examples, and its instruct-tuned sibling."""

    base: float = Field(ge=0.0, le=1.0)
    base_few_shot: float | None = Field(default=None, ge=0.0, le=1.0)
    instruct: float = Field(ge=0.0, le=1.0)


class PublishedAnchors(Strict):
    """Scores in [0, 1] that were published for a benchmark, by the base model's Hub id. Never measured here."""

    source: str
    note: str = ""
    n: int | None = Field(default=None, ge=1)  # items behind each score, where that is known
    models: dict[str, PublishedScores] = Field(min_length=1)


class Reference(Strict):
    """What a gain is measured against instead of an instruct-tuned sibling: a model, or a number with its note."""

    model: str | None = None
    value: float | None = None
    note: str = ""  # where the number is from

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.model is None) == (self.value is None):
            raise ValueError("a reference is a model or a number: give one of them")
        return self


class Program(Strict):
    """A user's program that scores a model: a command line with placeholders (`pipeline.programs`), never a shell's."""

    command: str  # holds {model} and {json}, perhaps {limit} and {split}
    folder: str  # where it is run
    metric: str = ""  # the key in its JSON, `-KEY` for its negative; "": the first number that can be a score
    limit: int | None = None  # what {limit} stands for
    time_limit: float = Field(default=3600.0, gt=0.0)  # seconds; one that takes longer is killed
    alone: bool = False  # there is no benchmark beside it: no items that training data must not hold


class Benchmark(Strict):
    """One benchmark as `evals/NAME/benchmark.yaml` describes it; `folder` is filled in when it is loaded."""

    name: str
    summary: str
    # The lm-eval task in the YAML beside it; the benchmark's name where none is given. lm-eval takes every YAML with a
    # `task` for one: given here, it would hide the task of that name from `lm_eval --include_path`.
    task: str = ""
    scorer: str = "harness"  # what makes scores; `judge` asks another model about answers, `program` runs `command`
    metric: str  # display name of the strict metric
    kind: str  # the kind of data that belongs to it: maths, calls, facts
    weight: float = Field(default=1.0, gt=0.0)  # PostTrainBench's weight of the (big) benchmark
    sibling: str | None = None  # the big benchmark that a tiny one is a miniature of
    items: dict[str, Any] = {}  # where items come from: {world, search, final, pool}; a program has its own
    recipe: str  # default recipe in recipes/, or FILE.yaml beside it
    few_shot: int = 4
    max_tokens: int = 128
    runs_code: bool = False  # answers are executed: only where there is a sandbox
    decoding: Decoding = GREEDY
    reshuffled: bool = False  # each of several answers is to its item reshuffled: `reshuffled` in the task's utils.py
    few_shot_decoding: Decoding | None = None  # of the few-shot base, where a protocol has it decoded otherwise
    anchors: PublishedAnchors | None = None
    command: str = ""  # of the scorer `program`, run in the benchmark's folder; `metric` is then a key of its JSON
    limit: int | None = Field(default=None, ge=-1)  # what {limit} in the command stands for
    time_limit: float = Field(default=3600.0, gt=0.0)  # seconds that the command may take
    program: Program | None = None  # the command as it is run: filled in, from the keys above or the command line
    folder: str = ""


class Judge(Strict):
    """Who judges answers, and what that may cost. Its key comes from the environment and is never written anywhere."""

    name: str  # openai:MODEL, anthropic:MODEL or BASE_URL#MODEL
    budget: float | None = Field(default=None, gt=0.0)  # US dollars at most
    purse: str = ""  # a file in which all processes of a run add up what they spend; "" for this process alone


class ItemsKey(Strict):
    """Everything that decides which items of a generated benchmark a run sees."""

    lab_seed: int = 0
    salt: str = ""  # selects final items from the reserved pool; lies in DIR/sealed/
    folder: str = ""  # of a benchmark of the user's own: what its data/ describes are data sources, too


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
