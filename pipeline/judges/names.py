"""A judge's name: openai:MODEL, anthropic:MODEL, or the base URL of an OpenAI-compatible server and #MODEL."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from pipeline.errors import InputError

DEFAULT_MODEL = "gpt-5-mini"  # as PostTrainBench
KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "server": "POSTTRAIN_JUDGE_KEY"}
FORMS = f"write openai:MODEL ({DEFAULT_MODEL} unless you name one), anthropic:MODEL or http://HOST:PORT/v1#MODEL"


@dataclass(frozen=True)
class Address:
    """A judge: its provider (openai, anthropic or server), its model, and the base URL of a server."""

    provider: str
    model: str
    base_url: str | None = None

    @property
    def key(self) -> str | None:
        """Its key from the environment; None where there is none."""
        return os.environ.get(KEYS[self.provider]) or None

    @property
    def effort(self) -> str | None:
        """How long OpenAI's reasoning models think; None for others, which do not take the parameter."""
        reasons = self.model.startswith(("gpt-5", "gpt-6", "o1", "o3", "o4")) and "chat" not in self.model
        return "medium" if self.provider == "openai" and reasons else None

    def __str__(self) -> str:
        return f"{self.base_url}#{self.model}" if self.base_url else f"{self.provider}:{self.model}"


def parse(name: str) -> Address:
    """The judge that a name stands for. Raises InputError: not a judge's name."""
    text = name.strip()
    if text.lower().startswith(("http://", "https://")):
        return _server(text)
    provider, _, model = text.partition(":")
    model = model.strip()
    if provider == "openai":
        return Address("openai", model or DEFAULT_MODEL)
    if provider == "anthropic" and model:
        return Address("anthropic", model)
    if provider == "anthropic":
        raise InputError("judge 'anthropic': name its model, as in anthropic:MODEL")
    raise InputError(f"judge '{name}': not a judge; {FORMS}")


def _server(text: str) -> Address:
    url, _, model = text.partition("#")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not host:
        raise InputError(f"judge '{text}': not a URL; write http://HOST:PORT/v1#MODEL")
    if parts.username or parts.password or parts.query:
        where = f"{parts.scheme}://{host}"
        raise InputError(f"judge at {where}: no key or query in the URL; give the key in {KEYS['server']}")
    if not model.strip():
        raise InputError(f"judge '{text}': name the server's model after a #, as in {url}#MODEL")
    return Address("server", model.strip(), url.rstrip("/"))
