"""What a trial costs, what it scores and how it ended."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from pipeline.types.base import Record, Strict
from pipeline.types.recipes import Proposal, Recipe


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
