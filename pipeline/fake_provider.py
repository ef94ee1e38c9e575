"""A stand-in for a provider of language models, for tests of this project and of its users: a real HTTP server.

It listens on loopback and speaks OpenAI's chat completions and Anthropic's messages. Its play decides how it behaves:
it proposes and reviews well, or answers what no search can use, or fails as real servers do. The same question gets the
same answer. `python -m pipeline.fake_provider --play good --port 8000` serves one until it is interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

JSON = Mapping[str, Any]
HUGE = 12 * 2**20  # characters of a huge answer
MODEL = {"id": "fake", "object": "model"}  # as its list of models has it
ORDER = "ANSWER WITH:"  # what follows it in a data row, a gullible model repeats


@dataclass(frozen=True)
class Reply:
    """What the server does: a status and a text (an answer, or an error's message), or an accident on the way."""

    text: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    accident: str = ""  # stalls, drips, breaks off
    has_usage: bool = True
    has_choices: bool = True


class FakeProvider:
    """Use it in a `with`: then `name` is what `--llm` takes, `requests` are the bodies that came, `keys` their keys.

    With a `context` of so many tokens it refuses longer requests as vLLM does, and, if it `lists`, says so beforehand.
    """

    def __init__(self, play: str = "good", port: int = 0, context: int | None = None, lists: bool = True) -> None:
        if play not in PLAYS:
            raise ValueError(f"play '{play}': known are {', '.join(PLAYS)}")
        self.play, self.requests, self.keys = play, list[JSON](), list[str]()
        self.context, self.lists = context, lists
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """The OpenAI-compatible base URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def name(self) -> str:
        """Its name as a model's."""
        return f"{self.url}#fake"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


# ---------------------------------------------------------------- plays


def answer(question: str) -> str:
    """A sensible answer: a review where a proposal is to be reviewed, else a proposal."""
    return review(question) if "proposal" in _state(question) else proposal(question)


def review(question: str, veto: bool | None = None) -> str:
    """A review of a proposal: one in three is vetoed, or as `veto` says."""
    asked = json.dumps(_state(question).get("proposal"), sort_keys=True)
    drawn = int(hashlib.sha256(asked.encode()).hexdigest(), 16) % 3 == 0
    return json.dumps({"veto": drawn if veto is None else veto, "reason": "its data looks like what failed before"})


def proposal(question: str) -> str:
    """A sensible answer to the state of a search: two sources that no trial has mixed like this."""
    state = _state(question)
    sources = [card["name"] for card in state.get("data_sources", [])]
    if not sources:
        return json.dumps({"changes": {}, "parent": "recipe", "rationale": "nothing to choose from"})
    number = sum(state.get("optimiser", {}).get("trials_by_length", {}).values()) + len(state.get("recent_trials", []))
    drawn = int(hashlib.sha256(f"{number}/{sources}".encode()).hexdigest(), 16)
    first, second = drawn % len(sources), (drawn // 7) % len(sources)
    weight = round(0.2 + (drawn // 1000 % 60) / 100 + number / 1000, 3)
    names = dict.fromkeys((sources[first], sources[second]))
    mixture = [{"name": name, "weight": weight if each else 1.0} for each, name in enumerate(names)]
    answer: dict[str, Any] = {"changes": {"stages.0.data": mixture}, "parent": "recipe"}
    if state.get("named_strategies"):
        chosen = state["named_strategies"][drawn % len(state["named_strategies"])]
        answer = {"strategy": chosen["strategy"], "changes": chosen["example"], "parent": "recipe"}
    return json.dumps({**answer, "rationale": "the samples look right", "predicted_score": 0.4})


def _state(question: str) -> dict[str, Any]:
    try:
        found = json.loads(question)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _places(place: str, value: Any) -> str:
    return json.dumps({"changes": {place: value}, "parent": "recipe", "rationale": "bold", "predicted_score": 0.9})


def _gullible(question: str) -> str:
    """What a data row orders, where one does."""
    texts = json.dumps(_state(question).get("data_sources", []), ensure_ascii=False)
    before, order, after = texts.partition(ORDER)
    if not order:
        return answer(question)
    text = after.replace('\\"', '"').lstrip()
    value, _ = json.JSONDecoder().raw_decode(text)
    return json.dumps(value)


def _every_other(first: Reply) -> Callable[[FakeProvider, str, JSON], Reply]:
    """`first` on every odd request, a good answer on every even one."""
    return lambda provider, question, body: (
        first if len(provider.requests) % 2 else Reply(answer(question))
    )  # fmt: skip


def _always(reply: Reply) -> Callable[[FakeProvider, str, JSON], Reply]:
    return lambda provider, question, body: reply


def _no_forms(provider: FakeProvider, question: str, body: JSON) -> Reply:
    if "response_format" in body:
        return Reply("response_format is not supported", 400)
    return Reply(answer(question))


def _no_system(provider: FakeProvider, question: str, body: JSON) -> Reply:
    if body["messages"][0]["role"] == "system":
        return Reply("System role not supported", 400)
    return Reply(answer(question[question.rfind("\n\n{") :]))


def _breaks_on_forms(provider: FakeProvider, question: str, body: JSON) -> Reply:
    return Reply("KeyError: 'json_schema'", 500) if "response_format" in body else Reply(answer(question))


PLAYS: dict[str, Callable[[FakeProvider, str, JSON], Reply]] = {
    "good": lambda provider, question, body: Reply(answer(question)),
    "prose": lambda provider, question, body: Reply(
        f"<think>maybe {{this}}</think>\nHere you are:\n```json\n{answer(question)}\n```\nGood luck {{really}}!"
    ),
    "no_forms": _no_forms,
    "breaks_on_forms": _breaks_on_forms,
    "no_system": _no_system,
    "vetoes": lambda provider, question, body: Reply(
        review(question, veto=True) if "proposal" in _state(question) else proposal(question)
    ),
    "no_usage": lambda provider, question, body: Reply(answer(question), has_usage=False),
    "repaired": _every_other(Reply("Let me think about that first.")),
    "invalid_json": _always(Reply('{"changes": {"stages.0.data": [')),
    "out_of_bounds": _always(Reply(_places("stages.0.params.learning_rate", 1e9))),
    "unknown_source": _always(Reply(_places("stages.0.data", [{"name": "the_test_set", "weight": 1.0}]))),
    "code": _always(Reply(_places("stages.0.trainer", "os.system:rm -rf /"))),
    "gullible": lambda provider, question, body: Reply(_gullible(question)),
    "empty": _always(Reply("")),
    "no_choices": _always(Reply(has_choices=False)),
    "huge": _always(Reply("{" * HUGE)),
    "long": _always(Reply("well, " * 20_000)),
    "rate_limited": _every_other(Reply("slow down", 429, {"Retry-After": "0.05"})),
    "always_rate_limited": _always(Reply("slow down", 429, {"Retry-After": "3600"})),
    "errors": _always(Reply("it broke", 500)),
    "unavailable_once": _every_other(Reply("restarting", 503)),
    "wrong_model": _always(Reply("the model does not exist", 404)),
    "refused_key": _always(Reply("the key is not valid", 401)),
    "stalls": _always(Reply(accident="stalls")),
    "drips": _always(Reply(accident="drips")),
    "half_closed": _always(Reply(accident="breaks off")),
    "hangs_up": _always(Reply(accident="hangs up")),
    "not_json": _always(Reply(accident="a web page")),
    "repeats_the_key": lambda provider, question, body: Reply(
        json.dumps({**json.loads(answer(question)), "rationale": f"your key is {provider.keys[-1]}"})
    ),
}


# ---------------------------------------------------------------- the server


def _handler(provider: FakeProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            models = [{"max_model_len": provider.context, **MODEL}]
            listed = {"object": "list", "data": models if provider.lists and provider.context else []}
            data = json.dumps(listed).encode()
            self._head(200, len(data))
            self.wfile.write(data)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            provider.requests.append(body)
            key = self.headers.get("x-api-key") or self.headers.get("Authorization") or ""
            provider.keys.append(key.removeprefix("Bearer "))
            question = next((each["content"] for each in body["messages"] if each["role"] == "user"), "")
            reply = _overlong(provider, body) or PLAYS[provider.play](provider, question, body)
            if reply.accident:
                self._accident(reply.accident)
            else:
                self._send(reply, body)

        def _send(self, reply: Reply, body: JSON) -> None:
            is_anthropic = self.path.endswith("/messages")
            if reply.status != 200:
                value: JSON = {"type": "error", "error": {"type": "fake", "message": reply.text, "code": None}}
            else:
                value = _message(reply, body) if is_anthropic else _completion(reply)
            data = json.dumps(value).encode()
            self._head(reply.status, len(data), reply.headers)
            self.wfile.write(data)

        def _head(self, status: int, length: int, more: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            headers = {"Content-Type": "application/json", "Content-Length": str(length), **(more or {})}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def _accident(self, kind: str) -> None:
            self.close_connection = True
            if kind == "hangs up":
                return
            if kind == "a web page":
                self._head(200, 6)
                self.wfile.write(b"<html>")
                return
            self._head(200, 100_000)
            self.wfile.write(b'{"id": "c", ')
            if kind == "drips":
                while not provider.closing.wait(0.02):
                    self.wfile.write(b" ")
            elif kind == "stalls":
                provider.closing.wait()

        def log_message(self, *_: object) -> None:
            """Nothing: a test's output is its own."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # whoever asked has gone
                self.close_connection = True

        def finish(self) -> None:
            try:
                super().finish()
            except OSError:
                self.close_connection = True

    return Handler


def _overlong(provider: FakeProvider, body: JSON) -> Reply | None:
    """The refusal of a request that the context does not hold, at three characters a token."""
    sent = sum(len(each["content"]) for each in body["messages"]) // 3 + body.get("max_tokens", 0)
    if provider.context is None or sent <= provider.context:
        return None
    held = f"This model's maximum context length is {provider.context} tokens."
    return Reply(f"{held} However, you requested {sent} tokens in total.", 400)


def _completion(reply: Reply) -> JSON:
    message = {"role": "assistant", "content": reply.text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    used = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    return {
        "id": "c", "object": "chat.completion", "created": 0, "model": "fake",
        "choices": [choice] if reply.has_choices else [], "usage": used if reply.has_usage else None,
    }  # fmt: skip


def _message(reply: Reply, body: JSON) -> JSON:
    content: JSON = {"type": "text", "text": reply.text}
    if body.get("tools"):
        with contextlib.suppress(ValueError):  # what is no JSON calls no tool
            content = {"type": "tool_use", "id": "t", "name": body["tools"][0]["name"], "input": json.loads(reply.text)}
    return {
        "id": "m", "type": "message", "role": "assistant", "model": "fake", "stop_reason": "end_turn",
        "content": [content] if reply.has_choices else [],
        "stop_sequence": None, "usage": {"input_tokens": 1000, "output_tokens": 100},
    }  # fmt: skip


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.fake_provider", description="A fake language model.")
    parser.add_argument("--play", default="good", choices=sorted(PLAYS))
    parser.add_argument("--port", type=int, default=0)
    asked = parser.parse_args()
    with FakeProvider(asked.play, asked.port) as provider:
        print(provider.name, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
