"""BFCL's exec_simple as PostTrainBench scores it: a function as a tool, one call that is identical to the gold call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.answers.call_forms import Call, python_call
from pipeline.answers.call_match import same_call
from pipeline.answers.calls import hermes_call, lenient_calls
from pipeline.errors import DataError, InputError
from pipeline.task_items import Documents, splits

# BFCL's names of types, and JSON Schema's
TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}


def dataset(**metadata: Any) -> dict[str, Documents]:
    """The items, as lm-eval wants them. Raises InputError under plain lm_eval, whose models would see no function."""
    if "items" not in metadata:
        raise InputError(
            "bfcl hands its functions to the chat template, which lm_eval does not: score it with `posttrain "
            "evaluate`, or run bfcl_ast"
        )
    return splits("bfcl", **metadata)


def item(row: dict[str, Any], number: int, seed: int) -> dict[str, Any]:
    """An item of a row: the data set's own id, request and functions, and its gold call as JSON."""
    return {
        "id": row["id"],
        "question": "\n".join(message["content"] for turn in row["question"] for message in turn),
        "functions": row["function"],
        "tools": [tool(function) for function in row["function"]],
        "answer": json.dumps(gold(row), ensure_ascii=False),
    }


def gold(row: dict[str, Any]) -> dict[str, Any]:
    """The row's gold call, which is Python text. Raises DataError: not exactly one, or not a call."""
    truth = row["ground_truth"]
    texts = truth if isinstance(truth, list) else [truth]
    try:
        [text] = texts
        call = python_call(str(text)).named(row["function"])
        if call.positional:
            raise ValueError("more arguments than the function has parameters")
    except (ValueError, TypeError) as error:
        raise DataError(f"benchmark 'bfcl': {row['id']}: ground_truth {texts} is not one call ({error})") from None
    # once through JSON, which has neither tuples nor keys that are numbers: so an answer can equal it
    return {"name": call.name, "arguments": json.loads(json.dumps(call.arguments, default=str))}


def tool(function: Mapping[str, Any]) -> dict[str, Any]:
    """A function as the chat template gets it: OpenAI's form, its parameters as JSON Schema."""
    said = {key: function[key] for key in ("name", "description") if key in function}
    return {"type": "function", "function": {**said, "parameters": schema(function.get("parameters") or {})}}


def schema(found: Mapping[str, Any]) -> dict[str, Any]:
    """A BFCL schema with JSON Schema's names of types, at every depth."""
    made = dict(found)
    if isinstance(made.get("type"), str):
        made["type"] = TYPES.get(made["type"], made["type"])
    if isinstance(made.get("properties"), Mapping):
        made["properties"] = {name: schema(each) for name, each in made["properties"].items() if each is not None}
    if isinstance(made.get("items"), Mapping):
        made["items"] = schema(made["items"])
    return made


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Strict: the answer is one Hermes call and nothing else. Lenient: the only call that a reader finds."""
    wanted = Call(**json.loads(doc["answer"]))
    strict = same_call(hermes_call(results[0]), wanted, doc["functions"])
    found = lenient_calls(results[0], wanted=1) or []
    lenient = strict or (len(found) == 1 and same_call(found[0], wanted, doc["functions"]))
    return {"strict": float(strict), "lenient": float(lenient)}


def few_shot_question(doc: dict[str, Any]) -> str:
    """The question in raw text, its functions written out."""
    schemas = "\n".join(json.dumps(each["function"], ensure_ascii=False) for each in doc["tools"])
    return f"Question: {doc['question']}\nFunctions: {schemas}\nCall:"


def few_shot_answer(doc: dict[str, Any]) -> str:
    """The gold call in Hermes' tags, on one line."""
    return f"<tool_call>{doc['answer']}</tool_call>"
