"""Judges' replies, kept in the cache folder: the same question to the same judge is asked once in this cache's life."""

from __future__ import annotations

import contextlib
from pathlib import Path

from pipeline.errors import InputError
from pipeline.paths import digest, home, read_json, write_json
from pipeline.providers.client import Client
from pipeline.providers.exchange import Reply

FOLDER = "judge_replies"  # below POSTTRAIN_HOME
VERSION = 1


def path(client: Client, system: str, prompt: str, attempt: int) -> Path:
    """Where the reply lies: under all that decides it, the judge, where it answers, and every word of the question.

    `attempt` counts how often the question was asked because no verdict could be read from the reply.
    """
    judge = client.address
    key = digest([VERSION, judge.provider, judge.model, client.endpoint, judge.effort, system, prompt, attempt])
    return home() / FOLDER / key[:2] / f"{key}.json"


def find(place: Path) -> Reply | None:
    """The reply that is kept; None if there is none, or none that can be read."""
    try:
        found = read_json(place)
        return Reply(str(found["text"]), int(found["input_tokens"]), int(found["output_tokens"]))
    except (OSError, InputError, KeyError, TypeError, ValueError):
        return None


def keep(place: Path, client: Client, reply: Reply) -> None:
    """Keep a reply, for its owner only: it may quote final items. A cache that is full costs money, not the result."""
    value = {
        "judge": str(client.address),
        "text": reply.text,
        "input_tokens": reply.input_tokens,
        "output_tokens": reply.output_tokens,
    }
    with contextlib.suppress(OSError):
        write_json(place, value, mode=0o600)
