"""A judge on loopback that answers from a script: OpenAI's chat completions and Anthropic's messages over HTTP."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[str], str | int]  # a prompt -> the reply, or an HTTP status to fail with


@dataclass
class ScriptedJudge:
    """What was asked, and how to ask: `url` is an OpenAI-compatible base URL, `name` a judge's name."""

    answer: Answer
    port: int = 0
    asked: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    retry_after: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def name(self) -> str:
        return f"{self.url}#scripted"

    def reply(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """An HTTP status and what goes with it."""
        prompt = body["messages"][-1]["content"]
        self.asked.append(prompt)
        self.bodies.append(body)
        said = self.answer(prompt)
        if isinstance(said, int):
            return said, {"error": {"message": f"status {said} as the script says", "type": "scripted", "code": None}}
        if path.endswith("/messages"):
            content = [{"type": "text", "text": said}]
            used = {"input_tokens": 100, "output_tokens": 10}
            return 200, {"id": "m", "type": "message", "role": "assistant", "model": "scripted", "content": content,
                         "stop_reason": "end_turn", "stop_sequence": None, "usage": used}  # fmt: skip
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
        used = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        return 200, {"id": "c", "object": "chat.completion", "created": 0, "model": "scripted", "choices": [choice],
                     "usage": used}  # fmt: skip


@contextlib.contextmanager
def scripted(answer: Answer) -> Iterator[ScriptedJudge]:
    """A judge that answers until the block ends."""
    judge = ScriptedJudge(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            judge.keys.append(self.headers.get("Authorization") or self.headers.get("x-api-key") or "")
            status, found = judge.reply(self.path, body)
            data = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            if judge.retry_after is not None:
                self.send_header("Retry-After", judge.retry_after)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    judge.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield judge
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def section(prompt: str, name: str) -> str:
    """What stands in a marked section of a prompt."""
    found = re.search(rf"<{name}\b[^>]*>\n(.*?)\n</{name}>", prompt, re.DOTALL)
    assert found, f"no section {name}"
    return found[1]


def longer_wins(prompt: str) -> str:
    """A pairwise judge without position bias: the longer answer is somewhat better, twice as long much better."""
    a, b = len(section(prompt, "answer_A")), len(section(prompt, "answer_B"))
    if a == b:
        return "No difference. [[A=B]]"
    long, short, first = max(a, b), min(a, b), a > b
    sign = ">>" if long >= 2 * short else ">"
    return f"At first [[A=B]] came to mind.\n\n[[{'A' if first else 'B'}{sign}{'B' if first else 'A'}]]"


def word_meets(prompt: str) -> str:
    """A rubric judge: a criterion is met if its last word stands in the answer."""
    word = section(prompt, "criterion").rstrip(".").split()[-1]
    met = word in section(prompt, "last_turn")
    return f"```json\n{json.dumps({'explanation': 'by its last word', 'criteria_met': met})}\n```"
