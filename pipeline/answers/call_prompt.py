"""The prompt that asks for function calls in words, for benchmarks and for training rows alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

ASKED = (
    "You can call these functions, one JSON schema a line:\n{schemas}\n\n"
    'Answer with the calls that the request needs and nothing else, as a JSON list: [{{"name": ..., "arguments": '
    "{{...}}}}, ...]\n\nRequest: {request}"
)


def asked(functions: Sequence[dict[str, Any]], request: str) -> str:
    """The user's turn: schemas written out, so that any model and any harness can be asked."""
    return ASKED.format(schemas="\n".join(json.dumps(each, ensure_ascii=False) for each in functions), request=request)
