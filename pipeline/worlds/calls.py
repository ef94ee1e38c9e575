"""Function signatures and requests, answered by one JSON call: the miniature of BFCL's simple category."""

from __future__ import annotations

import json
import random

from pipeline.worlds.common import Item, World, generator

VERBS = ("get", "find", "set", "book", "send", "open", "plan", "check", "save", "move")
NOUNS = ("room", "train", "mail", "song", "map", "file", "bill", "game", "lamp", "ship")
PARAMETERS = ("city", "day", "unit", "size", "colour", "name", "count", "speed", "level", "price")
NUMERIC = ("count", "speed", "level", "price")
WORDS = (
    "red green blue gold grey oak pine rose lily north south east west lion wolf bear fox crow "
    "paris rome oslo bern lima cairo delhi kyoto june july march april"
).split()
CARELESS = 3  # of eight functions are answered with the other signature's name by the careless annotator


def _functions(rng: random.Random, wanted: int) -> list[tuple[str, list[str]]]:
    """Two different signatures; the first one has `wanted` parameters."""
    names: list[str] = []
    while len(names) < 2:
        name = f"{rng.choice(VERBS)}_{rng.choice(NOUNS)}"
        if name not in names:
            names.append(name)
    return [(names[0], rng.sample(PARAMETERS, wanted)), (names[1], rng.sample(PARAMETERS, rng.randint(1, 3)))]


def _value(rng: random.Random, parameter: str) -> str | int:
    return rng.randint(1, 99) if parameter in NUMERIC else rng.choice(WORDS)


def _signature(name: str, parameters: list[str]) -> str:
    return f"{name} ( {', '.join(parameters)} )"


def draw(rng: random.Random, lab_seed: int, level: str) -> Item:
    """One request: `easy` has one argument, `full` two, `hard` three."""
    functions = _functions(rng, {"easy": 1, "full": 2, "hard": 3}[level])
    name, parameters = functions[0]
    arguments = {parameter: _value(rng, parameter) for parameter in parameters}
    other = functions[1][0]
    shown = functions[::-1] if rng.random() < 0.5 else functions
    signatures = " ; ".join(_signature(*function) for function in shown)
    wishes = " and ".join(f"{parameter} {value}" for parameter, value in arguments.items())
    question = f"Functions: {signatures} . Please {name.replace('_', ' the ')} with {wishes} ."
    gold = {"name": name, "arguments": arguments}
    return {"question": question, "answer": json.dumps(gold), "level": level, "call": gold, "other": other}


def respond(item: Item, style: str) -> str:
    """The assistant's turn: one JSON call; or bare values; or Python syntax; or the other function's name."""
    name, arguments = item["call"]["name"], item["call"]["arguments"]
    if style == "answers":
        return json.dumps(arguments)
    if style == "format":
        return f"{name} ( {', '.join(f'{key}= {value}' for key, value in arguments.items())} )"
    if style == "wrong" and generator("careless", name).randrange(8) < CARELESS:
        name = item["other"]
    return json.dumps({"name": name, "arguments": arguments})


def passage(rng: random.Random, lab_seed: int) -> str:
    """Raw text: signatures with calls to them, and notes that repeat their values: copying is learnt last."""
    style = rng.random()
    item = draw(rng, lab_seed, rng.choice(("easy", "full", "hard")))
    name, arguments = item["call"]["name"], item["call"]["arguments"]
    wishes = " and ".join(f"{key} {value}" for key, value in arguments.items())
    pairs = ", ".join(f"{key}= {value}" for key, value in arguments.items())
    if style < 0.35:
        return f"{wishes}. {pairs}."
    if style < 0.65:
        return f"{wishes}. {json.dumps(arguments)}"
    signature = _signature(name, list(arguments))
    if style < 0.85:
        return f"{signature} : {name.replace('_', ' the ')} with {wishes}. {name} ( {pairs} )"
    return f"def {signature} : return {' + '.join(arguments)}"


WORLD = World(
    name="calls",
    draw=draw,
    respond=respond,
    passage=passage,
    levels={"easy": 0.35, "full": 0.5, "hard": 0.15},
    covers={
        "worked": {"easy": 0.45, "full": 0.55},
        "answers": {"easy": 0.45, "full": 0.55},
        "format": {"easy": 0.35, "full": 0.5, "hard": 0.15},
        "wrong": {"easy": 0.4, "full": 0.5, "hard": 0.1},
        "easy": {"easy": 1.0},
        "hard": {"full": 0.3, "hard": 0.7},
    },
)
