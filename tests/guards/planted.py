"""A final item planted in rows of every source format: what the guard's tests share."""

from __future__ import annotations

import html
import json
import string

from hypothesis import strategies as st

from pipeline.guards.contamination import on_source

QUESTION = 'Tom\'s 3 well-known shops sell "red" apples.\nHe buys 12.5 kg + 4 kg: how many kg now?'
ITEM = {"id": "final-7", "question": QUESTION, "answer": "SECRET-16.5"}
ALPHABET = string.ascii_lowercase + "éßñ"
word = st.text(ALPHABET, min_size=2, max_size=8) | st.integers(0, 999).map(str)
words = st.lists(word, min_size=6, max_size=30)  # shorter questions must stand apart


def decode(ids):
    return bytes(ids).decode("utf-8", "replace")


def around(text, before="Please solve this.", after="Thank you!"):
    return f"{before}\n\n{text} {after}"


def chat(text):
    return [{"role": "user", "content": text}, {"role": "assistant", "content": "no idea"}]


FORMATS = {
    "question + answer": lambda text: {"question": text, "answer": "4"},
    "only in the answer": lambda text: {"question": "What was asked?", "answer": text},
    "prompt + completion": lambda text: {"prompt": text, "completion": "4"},
    "prompt + completion as messages": lambda text: {"prompt": chat(text)[:1], "completion": chat(text)[1:]},
    "messages": lambda text: {"messages": chat(text)},
    "messages in parts": lambda text: {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]},
    "conversations": lambda text: {"conversations": [{"from": "human", "value": text}, {"from": "gpt", "value": "4"}]},
    "instruction": lambda text: {"instruction": "Solve.", "input": text, "output": "4"},
    "text": lambda text: {"text": text},
    "an odd column": lambda text: {"question": "Hi", "answer": "Hello", "metadata": text},
    "nested dicts": lambda text: {"messages": chat("Hi"), "extra": {"source": {"original": [text]}}},
    "a dict's key": lambda text: {"scores": {text: 1.0}},
    "deep in dicts": lambda text: {"question": "Hi", "answer": "Hello", "extra": nested(text, 30)},
    "a column's name": lambda text: {"question": "Hi", "answer": "Hello", text: 1.0},
    "a role's name": lambda text: {"question": "Hi", "answer": "Hello", "type": text},
    "content parts cut in a word": lambda text: {"messages": [{**chat(text)[0], "content": cut(text)}, chat("")[1]]},
    "input before instruction": lambda text: reordered(text, "input", "output", "instruction"),
    "answer between instruction and input": lambda text: reordered(text, "instruction", "output", "input"),
    "JSON in a string": lambda text: {"data": json.dumps({"q": text, "a": 4})},
    "JSON in ASCII in JSON": lambda text: {"data": json.dumps(json.dumps({"rows": [text]}))},
    "JSON within other text": lambda text: {"text": f"Here is the row: {json.dumps({'q': text})} -- end"},
    "a Python literal": lambda text: {"text": f"data = {[text]!r}"},
    "HTML": lambda text: {"text": f"<p>{html.escape(text)}</p>"},
    "bytes": lambda text: {"blob": text.encode()},
    "token ids": lambda text: {"input_ids": list(text.encode()), "labels": [-100] * 3},
    "labels": lambda text: {"input_ids": [1, 2], "labels": [-100, -100, *text.encode()]},
    "a list of words": lambda text: {"words": text.split()},
    "two columns": lambda text: {"body": text[: len(text) // 2].rsplit(" ", 1)[0], "rest": _second_half(text)},
}


def nested(text, depth):
    return {"a": nested(text, depth - 1)} if depth else text


def cut(text):
    """Content parts as chat data sets have them; training joins them without a space."""
    half = len(text) // 2
    return [{"type": "text", "text": text[:half], "note": "first"}, {"type": "text", "text": text[half:]}]


def reordered(text, *columns):
    """A row whose question training puts together of `instruction` and `input`, whatever their order."""
    told = text.split(" ")
    half = len(told) // 2
    told = {"instruction": " ".join(told[:half]), "input": " ".join(told[half:]), "output": "no idea"}
    return {column: told[column] for column in columns}


def _second_half(text):
    half = text[: len(text) // 2]
    return text[len(half.rsplit(" ", 1)[0]) :]


def verdict(*rows, items=(ITEM,), decode=decode):
    return on_source("maths_9", list(rows), list(items), decode)
