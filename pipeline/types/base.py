"""What all nouns have in common: they are frozen, and strict or tolerant."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A noun that a user writes: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Record(BaseModel):
    """A noun that a ledger holds: unknown keys of later versions are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")
