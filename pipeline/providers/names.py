"""A model's address: openai:MODEL, anthropic:MODEL, or the base URL of an OpenAI-compatible server and #MODEL."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from pipeline.errors import InputError

KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}


@dataclass(frozen=True)
class Role:
    """What a model is asked for, and how its user speaks of it."""

    name: str  # in messages
    option: str  # that names the model
    cap: str  # the option that limits what it may cost
    server_key: str  # the variable that holds the key of a server of one's own; never another provider's
    extra: str  # of this package, which brings the clients
    default: str | None = None  # OpenAI's model where none is named

    @property
    def forms(self) -> str:
        """How a name is written."""
        which = f"openai:MODEL ({self.default} unless you name one)" if self.default else "openai:MODEL"
        return f"write {which}, anthropic:MODEL or http://HOST:PORT/v1#MODEL"


JUDGE = Role(
    name="judge", option="--judge", cap="--judge-budget", server_key="POSTTRAIN_JUDGE_KEY", extra="judges",
    default="gpt-5-mini",  # as PostTrainBench
)  # fmt: skip
PROPOSER = Role(
    name="language model", option="--llm", cap="--llm-budget", server_key="POSTTRAIN_LLM_KEY", extra="llm"
)  # fmt: skip


@dataclass(frozen=True)
class Address:
    """A model: its provider (openai, anthropic or server), its name, the base URL of a server, what it is asked for."""

    provider: str
    model: str
    base_url: str | None = None
    role: Role = JUDGE

    @property
    def key_name(self) -> str:
        """The variable that holds its key."""
        return KEYS.get(self.provider, self.role.server_key)

    @property
    def key(self) -> str | None:
        """Its key from the environment; None where there is none."""
        return os.environ.get(self.key_name) or None

    @property
    def effort(self) -> str | None:
        """How long OpenAI's reasoning models think; None for others, which do not take the parameter."""
        reasons = self.model.startswith(("gpt-5", "gpt-6", "o1", "o3", "o4")) and "chat" not in self.model
        return "medium" if self.provider == "openai" and reasons else None

    def __str__(self) -> str:
        return f"{self.base_url}#{self.model}" if self.base_url else f"{self.provider}:{self.model}"


def parse(name: str, role: Role) -> Address:
    """The model that a name stands for. Raises InputError: not a model's name."""
    text = name.strip()
    if text.lower().startswith(("http://", "https://")):
        return _server(text, role)
    provider, _, model = text.partition(":")
    model = model.strip()
    if provider == "openai" and (model or role.default):
        return Address("openai", model or str(role.default), role=role)
    if provider == "anthropic" and model:
        return Address("anthropic", model, role=role)
    if provider in KEYS:
        raise InputError(f"{role.name} '{provider}': name its model, as in {provider}:MODEL")
    raise InputError(f"{role.name} '{name}': not a {role.name}; {role.forms}")


def _server(text: str, role: Role) -> Address:
    url, _, model = text.partition("#")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not host:
        raise InputError(f"{role.name} '{text}': not a URL; write http://HOST:PORT/v1#MODEL")
    if parts.username or parts.password or parts.query:
        where = f"{parts.scheme}://{host}"
        raise InputError(f"{role.name} at {where}: no key or query in the URL; give the key in {role.server_key}")
    if not model.strip():
        raise InputError(f"{role.name} '{text}': name the server's model after a #, as in {url}#MODEL")
    return Address("server", model.strip(), url.rstrip("/"), role)
