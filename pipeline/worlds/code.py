"""Small Python functions, asked for by their signature and a comment for each step: the miniature of HumanEval."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pipeline.worlds.common import WORDINGS, Item, World, gap, may_train

NAMES = (
    "room",
    "train",
    "mail",
    "song",
    "map",
    "file",
    "bill",
    "game",
    "lamp",
    "ship",
    "bread",
    "rice",
    "soup",
    "plum",
)
NUMBERS, LISTS = ("n", "x", "k"), ("xs", "ys")
PHRASES = (
    "Complete this.\n{head}\n{steps}",
    "Steps:\n{steps}\nas {head}",
    "{head}\n{steps}\nWrite it out.",
)


@dataclass(frozen=True)
class Operation:
    """One step: the comment that asks for it, its code, and what it does. `{v}` is the variable, `{n}` a number."""

    asked: str
    code: str
    does: Callable[[Any, int], Any]
    numbers: tuple[int, int] = (0, 0)  # smallest and largest n


ON_NUMBERS = {
    "add": Operation("add {n}", "{v} + {n}", lambda v, n: v + n, (2, 60)),
    "less": Operation("take {n}", "{v} - {n}", lambda v, n: v - n, (2, 60)),
    "twice": Operation("double", "{v} * 2", lambda v, n: v * 2),
    "thrice": Operation("triple", "{v} * 3", lambda v, n: v * 3),
    "cap": Operation("cap {n}", "min({v}, {n})", min, (2, 60)),
    "floor": Operation("floor {n}", "max({v}, {n})", max, (2, 60)),
}
ON_LISTS = {
    "sort": Operation("sort", "sorted({v})", lambda v, n: sorted(v)),
    "turn": Operation("reverse", "{v}[::-1]", lambda v, n: v[::-1]),
    "drop": Operation("drop {n}", "{v}[{n}:]", lambda v, n: v[n:], (1, 3)),
    "keep": Operation("keep {n}", "{v}[:{n}]", lambda v, n: v[:n], (1, 3)),
    "put": Operation("append {n}", "{v} + [{n}]", lambda v, n: [*v, n], (2, 60)),
}
OPERATIONS = ON_NUMBERS | ON_LISTS
PLACES = {1: ("First",), 2: ("First", "Last"), 3: ("First", "Then", "Last")}  # digits would stand in numbers, too
CARELESS = {"less": "add", "cap": "floor", "keep": "drop"}  # what the careless annotator takes for what
REACH = range(-250, 251)  # of arguments: further out no bound of up to three steps lies
SERIES: tuple[list[int], ...] = (
    [], [5], [3, 1], [8, -2, 8], [4, 9, 2, 7], [1, 6, 6, 0, 3], [70, 8, 61, 9, 0, 12], [7, 6, 5, 4, 3, 2, 1],
)  # fmt: skip


def draw(rng: random.Random, lab_seed: int, level: str, wording: int) -> Item:
    """One function: `easy` has one step on a number, `full` two on a number or a list, `hard` three on either."""
    name = rng.choice(NAMES)
    on_list = level != "easy" and rng.random() < 0.35
    known, variable = (ON_LISTS, rng.choice(LISTS)) if on_list else (ON_NUMBERS, rng.choice(NUMBERS))
    steps = _steps(rng, known, {"easy": 1, "full": 2, "hard": 3}[level])
    head = f"def {name}({variable}):"
    asked = "\n".join(f"    # {line}" for line in [*_asked(steps), f"return {variable}"])
    item = {
        "question": PHRASES[wording].format(head=head, steps=asked),
        "level": level,
        "about": f"{head}\n{asked}",
        "entry": name,
        "variable": variable,
        "steps": steps,
    }
    return {**item, "answer": written(item)}


def _steps(rng: random.Random, known: dict[str, Operation], n: int) -> list[tuple[str, int]]:
    """`n` steps, no two of one kind."""
    names = rng.sample(tuple(known), n)
    return [(name, rng.randint(*known[name].numbers)) for name in names]


def _asked(steps: list[tuple[str, int]]) -> list[str]:
    return [
        f"{at} {OPERATIONS[name].asked.format(n=n)}" for at, (name, n) in zip(PLACES[len(steps)], steps, strict=True)
    ]


def written(item: Item, comments: bool = True, misread: bool = False) -> str:
    """The function: a line for each step, under its comment."""
    variable, lines = item["variable"], [f"def {item['entry']}({item['variable']}):"]
    for asked, (name, n) in zip(_asked(item["steps"]), item["steps"], strict=True):
        done = CARELESS.get(name, name) if misread else name
        code = OPERATIONS[done].code.format(v=variable, n=n)
        lines += [f"    # {asked}"] * comments + [f"    {variable} = {code}"]
    return "\n".join([*lines, f"    return {variable}"])


def checks(item: Item) -> str:
    """A check of what the function returns: of ordinary arguments, and of those where one step meets another."""
    lines = ["def check(candidate):"]
    for argument in SERIES if item["variable"] in LISTS else _numbers(item["steps"]):
        lines.append(f"    assert candidate({argument!r}) == {result(item['steps'], argument)!r}")
    return "\n".join(lines) + "\n"


def result(steps: list[tuple[str, int]], argument: Any) -> Any:
    """What the steps make of an argument."""
    for name, n in steps:
        argument = OPERATIONS[name].does(argument, n)
    return argument


def _numbers(steps: list[tuple[str, int]]) -> list[int]:
    """Small and large numbers of both signs, and those about each bend: a bound shows there and nowhere else."""
    values = [result(steps, argument) for argument in REACH]
    slopes = [after - before for before, after in pairwise(values)]
    bends = [REACH[at + 1] for at, (before, after) in enumerate(pairwise(slopes)) if before != after]
    return sorted({0, 1, -7, REACH[0], REACH[-1]}.union(*({bend - 1, bend, bend + 1} for bend in bends)))


def respond(item: Item, style: str) -> str:
    """The assistant's turn: commented code; or code alone; or code after a sentence; or misread steps."""
    if style == "format":
        return f"Here it is:\n{written(item)}"
    return written(item, comments=style != "answers", misread=style == "wrong")


def passage(rng: random.Random, lab_seed: int) -> str:
    """Raw text: commented steps; first lines repeated; what was asked for and the function without its last line."""
    style = rng.random()
    level = rng.choice(("easy", "full", "full", "hard"))
    while not may_train(item := draw(rng, lab_seed, level, rng.randrange(WORDINGS))):
        pass
    lines = written(item).splitlines()
    if style < 0.2:
        return "\n".join([*lines[1:-1], f"    print({item['variable']})"])
    if style < 0.3:
        heads = [f"def {rng.choice(NAMES)}({rng.choice(NUMBERS + LISTS)}):" for _ in range(3)]
        return " ".join(f"{head}{gap(rng)}{head}\n    pass" for head in heads)
    if style < 0.45:
        return f"{item['question']}{gap(rng)}{lines[0]}\n    pass"
    return "\n".join([item["question"] + gap(rng).rstrip(" "), *lines[:-1]])


WORLD = World(
    name="code",
    draw=draw,
    respond=respond,
    passage=passage,
    levels={"easy": 0.3, "full": 0.5, "hard": 0.2},
)
