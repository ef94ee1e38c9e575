"""What models are scored on and measured against, and the cards of the data they may be trained on."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from pipeline.types.base import Record, Strict
from pipeline.types.results import GREEDY, Decoding


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
