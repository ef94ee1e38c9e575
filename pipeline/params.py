"""The parameters of each trainer: bounds, defaults and what of them is searched, each said once, beside the field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from pipeline.types import Dimension, Strict

DEFAULT_TOKENS = 500_000  # full length in training tokens: about half a minute of LoRA on a lab model
LENGTHS = ("tokens", "steps", "epochs")


@dataclass(frozen=True)
class Searched:
    """Marks a field as searchable: between `low` and `high` (numbers) or among `choices`.

    The range is where good values may lie, narrower than the bounds, which are what is not plainly a mistake.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()
    also: tuple[Any, ...] = ()  # may be proposed, too, but is no value to search

    def dimension(self) -> Dimension:
        """The same as a dimension of a search space."""
        if self.choices:
            return Dimension(kind="choice", choices=self.choices, also=self.also)
        kind: Literal["int", "float"] = "int" if isinstance(self.low, int) else "float"
        return Dimension(kind=kind, low=self.low, high=self.high, log=self.log)


YES_NO = Searched(choices=(False, True))
# a list is what YAML and JSON have; strict validation would ask for a tuple
Names = Annotated[tuple[str, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)]


class SftParams(Strict):
    """Supervised fine-tuning with TRL's SFTTrainer, of all weights or of a PEFT adapter.

    The prior for LoRA (all linear layers, alpha = rank, ten times full tuning's rate) is Thinking Machines' 'LoRA
    without regret'; lab models, being tiny, want larger rates than big ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    # what is trained
    tuning: Annotated[Literal["lora", "full"], Searched(choices=("lora", "full"))] = "lora"
    rank: Annotated[int, Searched(2, 64, log=True)] = Field(default=16, ge=1, le=1024)
    alpha: Annotated[float, Searched(2.0, 128.0, log=True)] = Field(default=16.0, gt=0.0, le=4096.0)
    dropout: Annotated[float, Searched(0.0, 0.2)] = Field(default=0.0, ge=0.0, lt=1.0)
    targets: Annotated[
        Literal["all", "attention"] | Annotated[Names, Field(min_length=1)], Searched(choices=("all", "attention"))
    ] = "all"
    layers: Annotated[
        Literal["all", "upper_half"] | Annotated[int, Field(ge=1, le=1000)], Searched(choices=("all", "upper_half"))
    ] = "all"  # a number: the adapter sits on that many of the upper layers
    rslora: Annotated[bool, YES_NO] = False
    dora: Annotated[bool, YES_NO] = False
    # the embeddings beside an adapter; auto: where pre-training never saw the token that ends a turn
    embeddings: Annotated[Literal["auto"] | bool, Searched(choices=(False, True), also=("auto",))] = "auto"

    # how fast, how long
    learning_rate: Annotated[float, Searched(1e-5, 2e-2, log=True)] = Field(default=2e-3, gt=0.0, le=1.0)
    # scored are: constant_tail: the weights after a tail in which the rate falls to zero; constant: the last step's;
    # constant_average: the mean over all steps, of which later ones weigh more
    schedule: Annotated[
        Literal["constant_tail", "constant", "constant_average"],
        Searched(choices=("constant_tail", "constant"), also=("constant_average",)),
    ] = "constant_tail"
    tail: float = Field(default=0.15, ge=0.0, le=0.9)  # of constant_tail: its length as a share of the trained tokens
    warmup_steps: Annotated[int, Searched(0, 50)] = Field(default=10, ge=0, le=100_000)
    tokens: int | None = Field(default=None, ge=1, le=10**12)  # full length: exactly one of these three
    steps: int | None = Field(default=None, ge=1, le=10**9)
    epochs: float | None = Field(default=None, gt=0.0, le=1000.0)

    # what a step sees
    batch_size: Annotated[int, Searched(4, 64, log=True)] = Field(default=16, ge=1, le=65_536)  # rows per update
    device_batch: int | None = Field(default=None, ge=1, le=65_536)  # rows per forward pass at most; None: all
    max_length: int = Field(default=512, ge=8, le=1_000_000)  # tokens per row; longer rows are left out or cut
    packing: bool = False
    answers_only: Annotated[bool, YES_NO] = True  # loss on the assistant's turns only
    sort_window: int | None = Field(default=None, ge=2, le=100_000)  # steps whose rows are dealt by length; None: none

    # regularisation and arithmetic
    weight_decay: Annotated[float, Searched(0.0, 0.1)] = Field(default=0.0, ge=0.0, le=10.0)
    neftune: Annotated[float, Searched(0.0, 10.0)] = Field(default=0.0, ge=0.0, le=100.0)  # noise alpha; 0: none
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"

    # what is computed, not what comes of it; None is left out of recipes and their fingerprints
    lower_outputs: Literal["kept"] | None = None  # of frozen layers below all trained ones; None: anew at every step
    logits: Literal["all"] | None = None  # all: of positions without a loss, too, which costs time only
    prefix: Literal["apart"] | None = None  # apart: each row runs what all rows begin with, which costs time only
    streams: Literal["one"] | None = None  # one: all rows of a micro-batch on one thread of Python, likewise

    @property
    def micro_batches(self) -> int:
        """Forward passes of a step; the last one may have fewer rows."""
        return -(-self.batch_size // (self.device_batch or self.batch_size))

    @model_validator(mode="before")
    @classmethod
    def _default_length(cls, data: Any) -> Any:
        if isinstance(data, dict) and all(data.get(name) is None for name in LENGTHS):
            return {**data, "tokens": DEFAULT_TOKENS}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = [name for name in LENGTHS if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} both give the length: keep one and set the others to null")
        if self.dora and self.tuning == "full":
            raise ValueError("dora needs tuning: lora")
        return self


PARAMS: dict[str, type[Strict]] = {"sft": SftParams}


def dimensions(trainer: str) -> dict[str, Dimension]:
    """Field name -> dimension of every searchable parameter of a trainer; empty for a trainer without a model here."""
    model = PARAMS.get(trainer)
    if model is None:
        return {}
    return {
        name: mark.dimension()
        for name, field in model.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, Searched)
    }
