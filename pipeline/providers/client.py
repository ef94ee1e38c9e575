"""One request to a model, one reply: through the `openai` or the `anthropic` package, imported on use.

The packages' own retries are off: whoever asks waits and tries again where the user can see it.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from pipeline.errors import InputError
from pipeline.providers.exchange import TIMEOUT_SECONDS, Busy, Refused, Reply, asked, bounded, too_long, within
from pipeline.providers.names import Address
from pipeline.providers.prices import PRICES, price

MAX_TOKENS = 16_384  # of a reply, reasoning included
SERVER_MAX_TOKENS = 4_096  # small servers refuse what their context cannot hold beside the prompt
PACKAGES = {"openai": "openai", "anthropic": "anthropic", "server": "openai"}
HELD_BY = (  # what servers call the tokens that a model's context has, in their lists of models
    "max_model_len", "loaded_context_length", "n_ctx", "context_length", "max_context_length", "context_window",
)  # fmt: skip
LIST_SECONDS = 3.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Form:
    """What a reply should look like: a JSON schema, under a name. Servers may ignore it."""

    name: str
    schema: dict[str, Any]


class Manner(NamedTuple):
    """How a server is asked: with a form, with a system's turn."""

    form: bool
    system: bool


MANNERS = (Manner(True, True), Manner(False, True))
OWN_MANNERS = (*MANNERS, Manner(False, False))  # some chat templates know no system's turn
MAY_BE_THE_MANNER = (400, 404, 415, 422, 501)


class Client(Protocol):
    """Asks a model. Safe to use from several threads."""

    address: Address
    endpoint: str  # where requests go
    max_tokens: int  # of a reply; may be set

    def ask(self, system: str, turns: Sequence[str], form: Form | None = None, seconds: float | None = None) -> Reply:
        """The model's reply to a conversation, whose turns are the user's and its own by turns, the user's last.

        Raises Busy (ask again later; no reply within `seconds` is that, too), TooLong (for the model's context),
        InputError (it will not answer: key, model, request).
        """
        ...


def check(address: Address, is_capped_in_dollars: bool = False) -> Address:
    """The address if it can be asked: its package and key are there, a budget in dollars can be kept. Asks nothing.

    Raises InputError with the reason.
    """
    role, package = address.role, PACKAGES[address.provider]
    if importlib.util.find_spec(package) is None:
        hint = f"pip install 'posttrain[{role.extra}]'"
        raise InputError(f"{role.name} {address}: the package {package} is not installed: {hint}")
    if address.provider != "server" and not address.key:
        raise InputError(f"{role.name} {address}: no key: set {address.key_name} in the environment")
    if is_capped_in_dollars and price(address) is None:
        raise InputError(
            f"{role.name} {address}: its price is not known, so {role.cap} cannot be kept: omit it, or take one of "
            + ", ".join(model for known in PRICES.values() for model in known)
        )
    return address


def open_client(address: Address, max_tokens: int | None = None) -> Client:
    """A client for a model that `check` has passed. Replies have up to `max_tokens` (None: as many as are usual)."""
    if address.provider == "anthropic":
        return AnthropicClient(address, max_tokens or MAX_TOKENS)
    return OpenAIClient(address, max_tokens or (SERVER_MAX_TOKENS if address.base_url else MAX_TOKENS))


class OpenAIClient:
    """OpenAI's chat completions, or a server that speaks them."""

    def __init__(self, address: Address, max_tokens: int) -> None:
        self.address, self.library, self.max_tokens = address, importlib.import_module("openai"), max_tokens
        own = address.provider == "server"
        more: dict[str, Any] = {"base_url": address.base_url} if own else {}
        # a proxy does not know this machine
        direct = own and urlsplit(address.base_url or "").hostname in LOOPBACK
        key = address.key or "none"  # servers of one's own mostly need none, the package wants one
        self.client = self.library.OpenAI(
            api_key=key, max_retries=0, http_client=bounded(self.library, trust_env=not direct), **more
        )
        self.endpoint = str(self.client.base_url)
        # the first of them is used, those that failed are dropped
        self.manners: tuple[Manner, ...] = OWN_MANNERS if own else MANNERS

    def ask(self, system: str, turns: Sequence[str], form: Form | None = None, seconds: float | None = None) -> Reply:
        """See `Client.ask`. A server that refuses a form, or a system's turn, is asked without, then and later."""
        until = time.monotonic() + (seconds or TIMEOUT_SECONDS)
        manners = self.manners if form is not None else (Manner(False, self.manners[0].system),)
        for number, manner in enumerate(manners):
            try:
                reply = self.asked(system, turns, form if manner.form else None, manner.system, until)
            except Refused as refused:
                if error := too_long(refused):
                    raise error from None
                if refused.status not in MAY_BE_THE_MANNER or number + 1 == len(manners):
                    raise InputError(str(refused)) from None
            except Busy as busy:
                if busy.status == 500 and self.address.base_url and form is not None:
                    self.manners = tuple(each for each in self.manners if not each.form)  # it may break on them
                raise
            else:
                self.manners = self.manners[number:]  # number 0 where no form was asked for
                return reply
        raise AssertionError("the last manner returns or raises")

    def asked(self, system: str, turns: Sequence[str], form: Form | None, has_system: bool, until: float) -> Reply:
        if not has_system:
            turns = [f"{system}\n\n{turns[0]}", *turns[1:]]
        messages = ([{"role": "system", "content": system}] if system and has_system else []) + _messages(turns)
        more = self._settings()
        if form is not None:
            more["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": form.name, "schema": form.schema, "strict": False},
            }

        def request(seconds: float) -> Reply:
            found = self.client.chat.completions.create(
                model=self.address.model, messages=messages, timeout=seconds, **more
            )
            used = found.usage
            text = str(found.choices[0].message.content or "")
            return Reply(text, used.prompt_tokens if used else 0, used.completion_tokens if used else 0)

        return asked(self.address, self.library, request, until)

    def _settings(self) -> dict[str, Any]:
        own = self.address.provider == "server"
        effort = {"reasoning_effort": self.address.effort} if self.address.effort else {}
        if own:
            return {"max_tokens": self.max_tokens, "temperature": 0.0, **effort}
        return {"max_completion_tokens": self.max_tokens, **effort}

    def context(self) -> int | None:
        """Tokens that the model's context has, as the server's list of models says; None where it does not say."""
        try:
            listed = within(LIST_SECONDS, lambda: self.client.models.list(timeout=LIST_SECONDS).data)
            model = next(each for each in listed if each.id == self.address.model).model_dump()
        except Exception:  # many servers have no such list, or break on it: it is a courtesy
            return None
        places = (model, model.get("meta"))  # llama.cpp's
        found = [place[name] for name in HELD_BY for place in places if isinstance(place, dict) and name in place]
        return next((each for each in found if type(each) is int and each > 0), None)


class AnthropicClient:
    """Anthropic's messages. A form is a tool that has to be called."""

    def __init__(self, address: Address, max_tokens: int) -> None:
        self.address, self.library, self.max_tokens = address, importlib.import_module("anthropic"), max_tokens
        self.client = self.library.Anthropic(
            api_key=address.key, max_retries=0, http_client=bounded(self.library, trust_env=True)
        )
        self.endpoint = str(self.client.base_url)

    def ask(self, system: str, turns: Sequence[str], form: Form | None = None, seconds: float | None = None) -> Reply:
        """See `Client.ask`."""
        more: dict[str, Any] = {"system": system} if system else {}
        if form is not None:
            tool = {"name": form.name, "description": "Gives the answer.", "input_schema": form.schema}
            more |= {"tools": [tool], "tool_choice": {"type": "tool", "name": form.name}}

        def request(seconds: float) -> Reply:
            found = self.client.messages.create(
                model=self.address.model, max_tokens=self.max_tokens, messages=_messages(turns), timeout=seconds, **more
            )
            called = [json.dumps(block.input) for block in found.content if block.type == "tool_use"]
            said = [block.text for block in found.content if block.type == "text"]
            return Reply("".join(called or said), found.usage.input_tokens, found.usage.output_tokens)

        try:
            return asked(self.address, self.library, request, time.monotonic() + (seconds or TIMEOUT_SECONDS))
        except Refused as refused:
            raise (too_long(refused) or InputError(str(refused))) from None


def _messages(turns: Sequence[str]) -> list[dict[str, str]]:
    """Turns as messages. An empty turn cannot be sent everywhere."""
    return [
        {"role": "assistant" if number % 2 else "user", "content": turn or "(nothing)"}
        for number, turn in enumerate(turns)
    ]
