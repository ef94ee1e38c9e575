"""One request and its end, bounded in time and size: a reply, or what went wrong, in words without the key."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from pipeline.errors import InputError
from pipeline.providers.names import Address

Result = TypeVar("Result")
TIMEOUT_SECONDS = 300.0  # reasoning models take minutes
LONGEST_RETRY_AFTER = 86_400.0  # seconds
MAX_REPLY_BYTES = 4 * 2**20  # of a response's body: a hundred times what so many tokens take
NEVER_ARRIVED = ("ConnectError", "ConnectTimeout")  # the HTTP packages' errors before anything was sent
TOO_LONG = re.compile(r"context[ _-]?(length|size|window)|prompt is too long|too many tokens", re.IGNORECASE)
HELD = re.compile(  # tokens, as vLLM, LM Studio, llama.cpp and Anthropic say it
    r"(?:context length (?:is|of)(?: only)?|context size \(?|n_ctx\W{1,4}|\d tokens? >) ?(\d{3,8})", re.IGNORECASE
)
LEAST_KEY = 6  # characters; a shorter key is none, and may be part of any text


@dataclass(frozen=True)
class Reply:
    """What a model said, and how many tokens were billed for it (0: the server does not say)."""

    text: str
    input_tokens: int
    output_tokens: int


class Busy(Exception):
    """No reply this time: a time-out, a lost connection, too many requests (429), a fault of the server (5xx)."""

    def __init__(
        self, what: str, wait_seconds: float | None = None, may_be_billed: bool = False, status: int = 0
    ) -> None:
        super().__init__(what)
        self.status = status  # HTTP's; 0: there was none
        self.wait_seconds = wait_seconds  # as long as the server asks to wait
        self.may_be_billed = may_be_billed  # the model may have worked on it


class _TooMuch(ValueError):
    """A body without end."""


class Refused(Exception):
    """The model will not answer this request."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class TooLong(InputError):
    """The request is longer than the model's context."""

    def __init__(self, text: str, held: int | None) -> None:
        super().__init__(text)
        self.held = held  # tokens that the context has; None: the server does not say


def too_long(refused: Refused) -> TooLong | None:
    """The refusal as one for length, if it is one."""
    text = str(refused)
    if refused.status not in (400, 413, 422) or not TOO_LONG.search(text):
        return None
    found = HELD.search(text)
    return TooLong(text, int(found[1]) if found else None)


def asked(address: Address, library: Any, request: Callable[[float], Reply], until: float) -> Reply:
    """What `request` returns; the two packages' errors, which share their names, as ours."""
    seconds = max(0.01, until - time.monotonic())
    try:
        return _clean(address, within(seconds, lambda: request(seconds)))
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


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """What `call` returns or raises; TimeoutError once the time is over.

    The packages' own limits are for each read: a server that sends a byte now and then would never reach them. The
    thread that is left behind ends with its connection, or with this process.
    """
    done: list[Result | BaseException] = []

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


def bounded(library: Any, trust_env: bool) -> Any:
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
    raise Refused(status, f"{address.role.name} {address}: HTTP {status} ({said}): {hint}") from None


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
