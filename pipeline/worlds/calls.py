"""Function signatures and requests, answered by one JSON call: the miniature of BFCL's simple category."""

from __future__ import annotations

import json
import random

from pipeline.worlds.common import WORDINGS, Item, World, gap, generator, may_train

VERBS = ("get", "find", "set", "book", "send", "open", "plan", "check", "save", "move")
NOUNS = ("room", "train", "mail", "song", "map", "file", "bill", "game", "lamp", "ship")
PARAMETERS = ("city", "day", "unit", "size", "colour", "name", "count", "speed", "level", "price")
NUMERIC = ("count", "speed", "level", "price")
WORDS = (
    "red green blue gold grey oak pine rose lily north south east west lion wolf bear fox crow "
    "paris rome oslo bern lima cairo delhi kyoto june july march april"
).split()
PHRASES = (  # the marker before the verb is what a tiny model can find it by
    "Functions: {signatures} . Task: {request} .",
    "Tools: {signatures} . Task: {request} .",
    "Task: {request} . Use one of {signatures} .",
)
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


def draw(rng: random.Random, lab_seed: int, level: str, wording: int) -> Item:
    """One request: `easy` has one argument, `full` two, `hard` three."""
    functions = _functions(rng, {"easy": 1, "full": 2, "hard": 3}[level])
    name, parameters = functions[0]
    arguments = {parameter: _value(rng, parameter) for parameter in parameters}
    other = functions[1][0]
    shown = functions[::-1] if rng.random() < 0.5 else functions
    signatures = " ; ".join(_signature(*function) for function in shown)
    wishes = " and ".join(f"{parameter} {value}" for parameter, value in arguments.items())
    request = f"{name.replace('_', ' the ')} with {wishes}"
    gold = {"name": name, "arguments": arguments}
    return {
        "question": PHRASES[wording].format(signatures=signatures, request=request),
        "answer": json.dumps(gold),
        "level": level,
        "about": f"{signatures} . {request}",
        "call": gold,
        "other": other,
    }


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
    """Raw text: notes that repeat values and names, since copying is learnt last; requests with the half of a call."""
    style = rng.random()
    while not may_train(item := draw(rng, lab_seed, rng.choice(("easy", "full", "hard")), rng.randrange(WORDINGS))):
        pass
    name, arguments = item["call"]["name"], item["call"]["arguments"]
    wishes = " and ".join(f"{key} {value}" for key, value in arguments.items())
    pairs = ", ".join(f"{key}= {value}" for key, value in arguments.items())
    if style < 0.08:
        return f"{wishes}. {pairs}."
    if style < 0.16:
        return f"{wishes}. {json.dumps(arguments)}"
    if style < 0.34:
        names = [f"{rng.choice(VERBS)}_{rng.choice(NOUNS)}" for _ in range(4)]
        return " ".join(f"Task: {each.replace('_', ' the ')} . {json.dumps({'name': each})}" for each in names)
    if style < 0.54:
        return f"{item['question']}{gap(rng)}{name} ( {pairs} )"
    if style < 0.7:
        return f"{item['question']}{gap(rng)}{json.dumps(arguments)}"
    if style < 0.9:
        return f"{item['question']}{gap(rng)}{json.dumps({'name': name})}"
    signature = _signature(name, list(arguments))
    return f"def {signature} : return {' + '.join(arguments)}"


WORLD = World(
    name="calls",
    draw=draw,
    respond=respond,
    passage=passage,
    levels={"easy": 0.35, "full": 0.5, "hard": 0.15},
)
