"""What a user may set about a language model that proposes, or reviews, and the model made from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, model_validator

from pipeline.errors import InputError
from pipeline.providers import record
from pipeline.providers.client import OpenAIClient, check, open_client
from pipeline.providers.names import PROPOSER, Address, parse
from pipeline.providers.record import Log
from pipeline.providers.talk import Cap, Live, Room
from pipeline.types import Strict

CAP = re.compile(
    r"(?P<dollars>\$\s*\d+(?:\.\d+)?|\d+(?:\.\d+)?\s*(?:usd|\$|dollars?))"
    r"|(?P<number>\d+(?:\.\d+)?)\s*(?P<scale>[km]?)\s*(?:tok|tokens?)"
)
CONTEXT, SERVER_CONTEXT = 32_768, 8_192  # tokens: a provider's models hold more, a small one of one's own not always
REPLY_TOKENS, SERVER_REPLY_TOKENS = 8_192, 1_536  # reasoning included


class ModelOptions(Strict):
    """`llm` names the model; the other options limit what it costs, and how long it is asked."""

    who: ClassVar[str] = "agent 'llm'"

    llm: str = ""  # openai:MODEL, anthropic:MODEL or BASE_URL#MODEL
    llm_budget: str | None = None  # 5usd or 200ktok, of all exchanges together
    llm_timeout: float | None = Field(default=None, gt=0.0)  # seconds of one turn; None: a share of the time left
    llm_context: int | None = Field(default=None, ge=2_000, le=10_000_000)  # tokens of brief and reply together
    replay: str | None = None  # a record of exchanges, or a run's folder: nobody is asked

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        cap = cap_of(self)
        if self.replay is not None:
            record.read(Path(self.replay))
        elif not self.llm.strip():
            raise InputError(f"{self.who}: no language model is named: give --llm, or --replay; {PROPOSER.forms}")
        else:
            check(address_of(self), cap.dollars is not None)
        return self


class Options(ModelOptions):
    """Those of the agent that proposes."""

    llm_share: float = Field(default=0.3, ge=0.0, le=1.0)  # of trials; above 30% it hurts (arXiv 2603.24647)


def address_of(options: ModelOptions) -> Address:
    """The model's address."""
    return parse(options.llm, PROPOSER)


def is_own(options: ModelOptions) -> bool:
    """Whether the model runs on a server of one's own."""
    return options.llm.strip().lower().startswith(("http://", "https://"))


def cap_of(options: ModelOptions) -> Cap:
    """What all exchanges may cost. Raises InputError if it is no amount of dollars or tokens."""
    text = options.llm_budget
    if text is None:
        return Cap()
    found = CAP.fullmatch(text.strip().lower())
    if found and found["dollars"]:
        cap = Cap(dollars=float(re.sub(r"[^\d.]", "", found["dollars"])))
    elif found:
        cap = Cap(tokens=int(float(found["number"]) * {"": 1, "k": 1_000, "m": 1_000_000}[found["scale"]]))
    if not found or not (cap.dollars or cap.tokens):
        raise InputError(f"--llm-budget '{text}': not an amount; write it as 5usd, 0.50usd, 200ktok or 2mtok")
    return cap


def room_of(options: ModelOptions, told: int | None = None) -> Room:
    """The model's context, as the user says, else as its server told, else as is usual; a quarter of it for a reply."""
    own = is_own(options)
    context = options.llm_context or min(told or (SERVER_CONTEXT if own else CONTEXT), CONTEXT)
    return Room(context, min(SERVER_REPLY_TOKENS if own else REPLY_TOKENS, context // 4))


def live(options: ModelOptions, log: Log, tell: Callable[[str], None]) -> Live:
    """The model itself, on that record. A server of one's own is asked how long its context is, unless that is set."""
    client = open_client(address_of(options))
    told = (
        client.context() if isinstance(client, OpenAIClient) and is_own(options) and not options.llm_context else None
    )
    room = room_of(options, told)
    client.max_tokens = room.reply
    return Live(client, log, cap_of(options), tell, room)
