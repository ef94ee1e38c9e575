"""One request to a model, one reply: through the `openai` or the `anthropic` package, imported on use.

The packages' own retries are off: whoever asks waits and tries again where the user can see it.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from pipeline.errors import InputError
from pipeline.providers.names import Address
from pipeline.providers.prices import PRICES, price

TIMEOUT_SECONDS = 300.0  # reasoning models take minutes
MAX_TOKENS = 16_384  # of a reply, reasoning included
SERVER_MAX_TOKENS = 4_096  # small servers refuse what their context cannot hold beside the prompt
LONGEST_RETRY_AFTER = 86_400.0  # seconds
MAX_REPLY_BYTES = 4 * 2**20  # of a response's body: a hundred times what so many tokens take
PACKAGES = {"openai": "openai", "anthropic": "anthropic", "server": "openai"}
LOOPBACK = ("localhost", "127.0.0.1", "::1")
NEVER_ARRIVED = ("ConnectError", "ConnectTimeout")  # the HTTP packages' errors before anything was sent
LEAST_KEY = 6  # characters; a shorter key is none, and may be part of any text


@dataclass(frozen=True)
class Reply:
    """What a model said, and how many tokens were billed for it (0: the server does not say)."""

    text: str
    input_tokens: int
    output_tokens: int


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


class Busy(Exception):
    """No reply this time: a time-out, a lost connection, too many requests (429), a fault of the server (5xx)."""

    def __init__(
        self, what: str, wait_seconds: float | None = None, may_be_billed: bool = False, status: int = 0
    ) -> None:
        super().__init__(what)
        self.status = status  # HTTP's; 0: there was none
        self.wait_seconds = wait_seconds  # as long as the server asks to wait
        self.may_be_billed = may_be_billed  # the model may have worked on it


class Client(Protocol):
    """Asks a model. Safe to use from several threads."""

    address: Address
    endpoint: str  # where requests go
    max_tokens: int  # of a reply

    def ask(self, system: str, turns: Sequence[str], form: Form | None = None, seconds: float | None = None) -> Reply:
        """The model's reply to a conversation, whose turns are the user's and its own by turns, the user's last.

        Raises Busy (ask again later; no reply within `seconds` is that, too), InputError (it will not answer: key,
        model, request).
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
            api_key=key, max_retries=0, http_client=_bounded(self.library, trust_env=not direct), **more
        )
        self.endpoint = str(self.client.base_url)
        self.settings: dict[str, Any] = (
            {"max_tokens": max_tokens, "temperature": 0.0} if own else {"max_completion_tokens": max_tokens}
        )
        if address.effort:
            self.settings["reasoning_effort"] = address.effort
        # the first of them is used, those that failed are dropped
        self.manners: tuple[Manner, ...] = OWN_MANNERS if own else MANNERS

    def ask(self, system: str, turns: Sequence[str], form: Form | None = None, seconds: float | None = None) -> Reply:
        """See `Client.ask`. A server that refuses a form, or a system's turn, is asked without, then and later."""
        until = time.monotonic() + (seconds or TIMEOUT_SECONDS)
        manners = self.manners if form is not None else (Manner(False, self.manners[0].system),)
        for number, manner in enumerate(manners):
            try:
                reply = self._asked(system, turns, form if manner.form else None, manner.system, until)
            except _Refused as refused:
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

    def _asked(self, system: str, turns: Sequence[str], form: Form | None, has_system: bool, until: float) -> Reply:
        if not has_system:
            turns = [f"{system}\n\n{turns[0]}", *turns[1:]]
        messages = ([{"role": "system", "content": system}] if system and has_system else []) + _messages(turns)
        more: dict[str, Any] = dict(self.settings)
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

        return _asked(self.address, self.library, request, until)


class AnthropicClient:
    """Anthropic's messages. A form is a tool that has to be called."""

    def __init__(self, address: Address, max_tokens: int) -> None:
        self.address, self.library, self.max_tokens = address, importlib.import_module("anthropic"), max_tokens
        self.client = self.library.Anthropic(
            api_key=address.key, max_retries=0, http_client=_bounded(self.library, trust_env=True)
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
            return _asked(self.address, self.library, request, time.monotonic() + (seconds or TIMEOUT_SECONDS))
        except _Refused as refused:
            raise InputError(str(refused)) from None


def _messages(turns: Sequence[str]) -> list[dict[str, str]]:
    """Turns as messages. An empty turn cannot be sent everywhere."""
    return [
        {"role": "assistant" if number % 2 else "user", "content": turn or "(nothing)"}
        for number, turn in enumerate(turns)
    ]


# ---------------------------------------------------------------- one request and its end


class _TooMuch(ValueError):
    """A body without end."""


class _Refused(Exception):
    """The model will not answer this request."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def _asked(address: Address, library: Any, request: Callable[[float], Reply], until: float) -> Reply:
    """What `request` returns; the two packages' errors, which share their names, as ours."""
    seconds = max(0.01, until - time.monotonic())
    try:
        return _clean(address, _within(seconds, lambda: request(seconds)))
    except (library.APITimeoutError, TimeoutError):
        raise Busy(f"no reply within {seconds:.3g} s", may_be_billed=True) from None
    except library.APIConnectionError as error:
        cause = error.__cause__ or error
        said = _said(address, cause) if isinstance(cause, _TooMuch) else f"no connection ({_said(address, cause)})"
        raise Busy(said, may_be_billed=type(cause).__name__ not in NEVER_ARRIVED) from None
    except library.APIStatusError as error:
        _raise_status(address, error)
        raise
    except (library.APIError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise Busy(
            f"what came was no reply ({type(error).__name__}: {_said(address, error)})", may_be_billed=True
        ) from None


def _within(seconds: float, call: Callable[[], Reply]) -> Reply:
    """What `call` returns or raises; TimeoutError once the time is over.

    The packages' own limits are for each read: a server that sends a byte now and then would never reach them. The
    thread that is left behind ends with its connection, or with this process.
    """
    done: list[Reply | BaseException] = []

    def work() -> None:
        try:
            done.append(call())
        except BaseException as error:
            done.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if not done:
        raise TimeoutError
    if isinstance(done[0], BaseException):
        raise done[0]
    return done[0]


def _bounded(library: Any, trust_env: bool) -> Any:
    """The package's HTTP client, made to stop reading a body that has no end."""

    class Bounded(library.DefaultHttpxClient):
        def send(self, request: Any, **options: Any) -> Any:
            response = super().send(request, **{**options, "stream": True})
            parts, size, until = [], 0, time.monotonic() + TIMEOUT_SECONDS
            try:
                for part in response.iter_bytes():
                    parts.append(part)
                    size += len(part)
                    if size > MAX_REPLY_BYTES or time.monotonic() > until:
                        raise _TooMuch(f"the reply is longer than {MAX_REPLY_BYTES // 2**20} MB")
            finally:
                response.close()
            dropped = ("content-encoding", "content-length", "transfer-encoding")
            headers = [(name, value) for name, value in response.headers.items() if name.lower() not in dropped]
            return type(response)(response.status_code, headers=headers, content=b"".join(parts), request=request)

    return Bounded(trust_env=trust_env)


def _clean(address: Address, reply: Reply) -> Reply:
    """The reply without the key, should the server repeat it, and with plausible numbers of tokens."""
    key, text = address.key, reply.text.encode("utf-8", "replace").decode()
    if key and len(key) >= LEAST_KEY:
        text = text.replace(key, "***")
    return Reply(text, _count(reply.input_tokens), _count(reply.output_tokens))


def _count(told: Any) -> int:
    return told if isinstance(told, int) and 0 <= told < 10**9 else 0


def _raise_status(address: Address, error: Any) -> None:
    status, said = error.status_code, _said(address, error)
    out_of_money = getattr(error, "code", None) == "insufficient_quota" or "credit balance" in said
    if (status in (408, 409, 429) or status >= 500) and status != 501 and not out_of_money:
        raise Busy(f"HTTP {status} ({said})", _wait_seconds(error), status=status) from None
    hint = {
        401: f"check {address.key_name}",
        403: f"check {address.key_name} and what it may do",
        404: "check the model's name, and the URL",
    }.get(status, f"the {address.role.name} will not answer such a request")
    raise _Refused(status, f"{address.role.name} {address}: HTTP {status} ({said}): {hint}") from None


def _wait_seconds(error: Any) -> float | None:
    """What the server asks for: seconds, or a date."""
    try:
        asked = str(error.response.headers["retry-after"])
    except (KeyError, AttributeError):
        return None
    with contextlib.suppress(ValueError):
        return min(max(0.0, float(asked)), LONGEST_RETRY_AFTER)
    with contextlib.suppress(ValueError, TypeError):
        return min(max(0.0, parsedate_to_datetime(asked).timestamp() - time.time()), LONGEST_RETRY_AFTER)
    return None


def _said(address: Address, error: object) -> str:
    """An error's text in one short, printable line, without the key."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(error)[:2000])
    text = " ".join(text.split())
    return (text.replace(address.key, "***") if address.key else text)[:200]
