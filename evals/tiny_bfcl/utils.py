"""tiny_bfcl: one function call as JSON, compared by value."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from pipeline import worlds
from pipeline.answers.call_match import identical
from pipeline.task_items import Documents, splits

PYTHON_CALL = re.compile(r"[A-Za-z_][\w.]*\s*\([^()]*\)")


def dataset(**metadata: Any) -> dict[str, Documents]:
    """The items, as lm-eval wants them."""
    return splits("tiny_bfcl", **metadata)


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is repeated")
    return found


def whole_call(text: str) -> Any:
    """The one JSON value that the whole text is; None if it is not."""
    try:
        return json.loads(text, object_pairs_hook=_no_repeats)
    except (ValueError, RecursionError):
        return None


def first_call(text: str) -> Any:
    """The first JSON object in the text, else the first Python call as one; None if there is neither."""
    decoder = json.JSONDecoder()
    for brace in re.finditer(r"\{", text):
        try:
            return decoder.raw_decode(text, brace.start())[0]
        except (ValueError, RecursionError):
            continue
    for call in PYTHON_CALL.finditer(text):
        try:
            return _python_call(call[0])
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
            continue
    return None


def _python_call(text: str) -> dict[str, Any]:
    tree = ast.parse(text, mode="eval").body
    if not isinstance(tree, ast.Call) or tree.args or any(keyword.arg is None for keyword in tree.keywords):
        raise ValueError("not a call with named arguments only")
    arguments = {str(keyword.arg): _value(keyword.value) for keyword in tree.keywords}
    return {"name": ast.unparse(tree.func), "arguments": arguments}


def _value(node: ast.expr) -> Any:
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)  # a bare word is meant as text


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Strict and lenient correctness of one answer."""
    gold = json.loads(doc["answer"])
    is_strict = identical(whole_call(results[0].strip()), gold)
    return {"strict": float(is_strict), "lenient": float(is_strict or identical(first_call(results[0]), gold))}


def few_shot_question(doc: dict[str, Any]) -> str:
    """The question in raw text."""
    return f"Question: {doc['question']}\nAnswer:"


def few_shot_answer(doc: dict[str, Any]) -> str:
    """The call in raw text."""
    return worlds.get("calls").respond(doc, "worked")
