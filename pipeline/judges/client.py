"""One question to a judge, one reply: through the `openai` or the `anthropic` package, imported on use.

The packages' own retries are off: `pipeline.judges.ask` waits and tries again where the user can see it.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from pipeline.errors import InputError
from pipeline.judges.names import FORMS, KEYS, Address, parse
from pipeline.judges.prices import PRICES, price
from pipeline.types import Judge

TIMEOUT_SECONDS = 300.0  # reasoning models take minutes
MAX_TOKENS = 16_384  # of a reply, reasoning included
SERVER_MAX_TOKENS = 4_096  # small servers refuse what their context cannot hold beside the prompt
PACKAGES = {"openai": "openai", "anthropic": "anthropic", "server": "openai"}
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Reply:
    """What a judge said, and how many tokens were billed for it."""

    text: str
    input_tokens: int
    output_tokens: int


class Busy(Exception):
    """No reply this time: a time-out, a lost connection, too many requests (429), a fault of the server (5xx)."""

    def __init__(self, what: str, wait_seconds: float | None = None, may_be_billed: bool = False) -> None:
        super().__init__(what)
        self.wait_seconds = wait_seconds  # as long as the server asks to wait
        self.may_be_billed = may_be_billed  # the judge may have worked on it


class Client(Protocol):
    """Asks a judge. Safe to use from several threads."""

    address: Address
    endpoint: str  # where requests go, as verdicts are kept by it
    max_tokens: int

    def ask(self, system: str, prompt: str) -> Reply:
        """The judge's reply. Raises Busy (ask again later), InputError (it will not answer: key, model, request)."""
        ...


def check(judge: Judge | None, who: str = "") -> Address:
    """The judge's address if it can be asked: one is named, its package and key are there, a budget can be kept.

    Asks nothing. Raises InputError with the reason.
    """
    if judge is None:
        raise InputError(
            f"{who or 'this benchmark'} is scored by a judge and none is given: name one with --judge; {FORMS}"
        )
    address = parse(judge.name)
    package = PACKAGES[address.provider]
    if importlib.util.find_spec(package) is None:
        raise InputError(f"judge {address}: the package {package} is not installed: pip install 'posttrain[judges]'")
    if address.provider != "server" and not address.key:
        raise InputError(f"judge {address}: no key: set {KEYS[address.provider]} in the environment")
    if judge.budget is not None and price(address) is None:
        raise InputError(
            f"judge {address}: its price is not known, so --judge-budget cannot be kept: omit it, or take one of "
            + ", ".join(model for known in PRICES.values() for model in known)
        )
    return address


def open_client(address: Address) -> Client:
    """A client for a judge that `check` has passed."""
    return AnthropicClient(address) if address.provider == "anthropic" else OpenAIClient(address)


class OpenAIClient:
    """OpenAI's chat completions, or a server that speaks them."""

    def __init__(self, address: Address) -> None:
        self.address, self.library = address, importlib.import_module("openai")
        own = address.provider == "server"
        more: dict[str, Any] = {"base_url": address.base_url} if own else {}
        if own and urlsplit(address.base_url or "").hostname in LOOPBACK:  # a proxy does not know this machine
            more["http_client"] = self.library.DefaultHttpxClient(trust_env=False)
        key = address.key or "none"  # servers of one's own mostly need none, the package wants one
        self.client = self.library.OpenAI(api_key=key, max_retries=0, timeout=TIMEOUT_SECONDS, **more)
        self.endpoint = str(self.client.base_url)
        self.max_tokens = SERVER_MAX_TOKENS if own else MAX_TOKENS
        self.settings: dict[str, Any] = (
            {"max_tokens": self.max_tokens, "temperature": 0.0} if own else {"max_completion_tokens": self.max_tokens}
        )
        if address.effort:
            self.settings["reasoning_effort"] = address.effort

    def ask(self, system: str, prompt: str) -> Reply:
        """See `Client.ask`."""
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": prompt})

        def request() -> Reply:
            found = self.client.chat.completions.create(model=self.address.model, messages=messages, **self.settings)
            used = found.usage
            text = str(found.choices[0].message.content or "")
            return Reply(text, used.prompt_tokens if used else 0, used.completion_tokens if used else 0)

        return _asked(self.address, self.library, request)


class AnthropicClient:
    """Anthropic's messages."""

    def __init__(self, address: Address) -> None:
        self.address, self.library = address, importlib.import_module("anthropic")
        self.client = self.library.Anthropic(api_key=address.key, max_retries=0, timeout=TIMEOUT_SECONDS)
        self.endpoint = str(self.client.base_url)
        self.max_tokens = MAX_TOKENS

    def ask(self, system: str, prompt: str) -> Reply:
        """See `Client.ask`."""
        more = {"system": system} if system else {}

        def request() -> Reply:
            found = self.client.messages.create(
                model=self.address.model,
                max_tokens=self.max_tokens,
                messages=[{"role": "user", "content": prompt}],
                **more,
            )
            text = "".join(block.text for block in found.content if block.type == "text")
            return Reply(text, found.usage.input_tokens, found.usage.output_tokens)

        return _asked(self.address, self.library, request)


def _asked(address: Address, library: Any, request: Callable[[], Reply]) -> Reply:
    """What `request` returns; the two packages' errors, which share their names, as ours."""
    try:
        return request()
    except library.APITimeoutError:
        raise Busy(f"no reply within {TIMEOUT_SECONDS:.0f} s", may_be_billed=True) from None
    except library.APIConnectionError as error:
        raise Busy(f"no connection ({_said(address, error.__cause__ or error)})") from None
    except library.APIStatusError as error:
        _raise_status(address, error)
        raise
    except (library.APIError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise Busy(
            f"what came was no reply ({type(error).__name__}: {_said(address, error)})", may_be_billed=True
        ) from None


def _raise_status(address: Address, error: Any) -> None:
    status, said = error.status_code, _said(address, error)
    out_of_money = getattr(error, "code", None) == "insufficient_quota" or "credit balance" in said
    if (status in (408, 409, 429) or status >= 500) and not out_of_money:
        raise Busy(f"HTTP {status} ({said})", _wait_seconds(error)) from None
    hint = {
        401: f"check {KEYS[address.provider]}",
        403: f"check {KEYS[address.provider]} and what it may do",
        404: "check the model's name, and the URL",
    }.get(status, "the judge will not answer such a request")
    raise InputError(f"judge {address}: HTTP {status} ({said}): {hint}") from None


def _wait_seconds(error: Any) -> float | None:
    try:
        return max(0.0, float(error.response.headers["retry-after"]))
    except (KeyError, ValueError, AttributeError):
        return None


def _said(address: Address, error: object) -> str:
    """An error's text in one short line, without the key."""
    text = " ".join(str(error).split())
    return (text.replace(address.key, "***") if address.key else text)[:200]
