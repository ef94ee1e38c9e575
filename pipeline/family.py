"""A model family as a noun: how its turns are rendered, ended and adapted, and which models on the Hub belong to it."""

from __future__ import annotations

from typing import Any

from pipeline.types import Strict


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
    tools_template: str | None = None  # the same for conversations with tools
    template_kwargs: dict[str, Any] = {}
    end_of_turn: str
    pad: str
    bos: str | None = None
    special_tokens: tuple[str, ...]
    plain_tokens: tuple[str, ...] = ()  # whole tokens that are not special: decoding shows them
    lora_targets: tuple[str, ...]
    lora_exclude: str | None = None
    pairs: tuple[Pair, ...] = ()
