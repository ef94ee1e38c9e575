"""Two unknowns, worked out step by step, and their sum or what the first leaves: the miniature of AIME."""

from __future__ import annotations

import random
from typing import Any

from pipeline.worlds.common import WORDINGS, Item, World, gap, may_train

Step = tuple[str, str, int]  # verb, sign, amount

UNKNOWNS = {"a": ("First", "Then"), "b": ("Next", "Last")}  # a marker before each step: a tiny model copies by it
SIGNS = {"gains": "+", "adds": "+", "loses": "-", "drops": "-"}
FACTORS = {"doubles": 2, "triples": 3}
JOINTS = {"sum": "+", "rest": "-"}  # of a and b
MISREAD = ("drops",)  # the careless annotator takes it for a gain
PHRASES = (
    "{story} Find {wanted}.",
    "Work out {wanted}. {story}",
    "{story} What is {wanted}?",
)
STEPS = {"easy": (1, 1), "full": (2, 1), "hard": (2, 2)}  # of each unknown; their sum or difference is one more
LARGEST = 60  # of an unknown: what both come to has two digits, or three beginning with a one


def draw(rng: random.Random, lab_seed: int, level: str, wording: int) -> Item:
    """One puzzle of three, four or five steps; a doubling or tripling is among them in the hard ones."""
    while True:
        chains = [_chain(rng, unknown, steps, level) for unknown, steps in zip(UNKNOWNS, STEPS[level], strict=True)]
        first, second = (chain["end"] for chain in chains)
        joint = rng.choice(tuple(JOINTS))
        result = _apply(first, JOINTS[joint], second)
        if result < 0 or not all(0 <= value <= LARGEST for chain in chains for value in _values(chain)):
            continue
        story = " ".join(_told(chain) for chain in chains)
        wanted = f"the {joint}"
        return {
            "question": PHRASES[wording].format(story=story, wanted=wanted),
            "answer": str(result),
            "level": level,
            "about": f"{story} {wanted}",
            "chains": chains,
            "joint": joint,
        }


def _chain(rng: random.Random, unknown: str, steps: int, level: str) -> dict[str, Any]:
    start = rng.randint(4, 40)
    factor_at = rng.randrange(steps) if level == "hard" and rng.random() < 0.6 else -1
    drawn = [_step(rng, at == factor_at) for at in range(steps)]
    return {"unknown": unknown, "start": start, "steps": drawn, "end": _values({"start": start, "steps": drawn})[-1]}


def _step(rng: random.Random, factor: bool) -> Step:
    if factor:
        verb = rng.choice(tuple(FACTORS))
        return verb, "*", FACTORS[verb]
    verb = rng.choice(tuple(SIGNS))
    return verb, SIGNS[verb], rng.randint(2, 15)


def _values(chain: dict[str, Any]) -> list[int]:
    values = [chain["start"]]
    for _, sign, amount in chain["steps"]:
        values.append(_apply(values[-1], sign, amount))
    return values


def _apply(total: int, sign: str, amount: int) -> int:
    return total + amount if sign == "+" else total - amount if sign == "-" else total * amount


def _told(chain: dict[str, Any]) -> str:
    return " ".join([f"{chain['unknown']} is {chain['start']}.", *(f"{step}." for step in _steps_told(chain))])


def _steps_told(chain: dict[str, Any]) -> list[str]:
    steps = zip(UNKNOWNS[chain["unknown"]], chain["steps"], strict=False)
    return [f"{at} {verb}" if verb in FACTORS else f"{at} {verb} {amount}" for at, (verb, _, amount) in steps]


def respond(item: Item, style: str) -> str:
    """The assistant's turn: worked steps and `ANSWER: N`; or only that line; or another one; or misread verbs."""
    if style == "answers":
        return f"ANSWER: {item['answer']}"
    lines = working(item, misread=style == "wrong")
    result = lines[-1].split()[-1].rstrip(".")
    return "\n".join([*lines, f"The answer is {result}." if style == "format" else f"ANSWER: {result}"])


def working(item: Item, misread: bool = False) -> list[str]:
    """A line for each step of each unknown, a line for what both come to, and the last step."""
    lines, ends = [], []
    for chain in item["chains"]:
        steps, total = _working_of(chain, misread)
        lines += steps
        ends.append(total)
    first, second = ends
    sign = JOINTS[item["joint"]]
    lines.append(f"a = {first}. b = {second}.")
    lines.append(f"So the {item['joint']}: {first} {sign} {second} = {_apply(first, sign, second)}.")
    return lines


def _working_of(chain: dict[str, Any], misread: bool = False) -> tuple[list[str], int]:
    lines, total = [], chain["start"]
    for told, (verb, sign, amount) in zip(_steps_told(chain), chain["steps"], strict=True):
        if misread and verb in MISREAD:
            sign = "+"
        after = _apply(total, sign, amount)
        lines.append(f"{told}: {total} {sign} {amount} = {after}.")
        total = after
    return lines, total


def passage(rng: random.Random, lab_seed: int) -> str:
    """Raw text: sums of numbers of two digits; the ends of two unknowns and their sum; puzzles with their steps."""
    style = rng.random()
    if style < 0.25:
        pairs = [sorted((rng.randint(1, LARGEST), rng.randint(1, LARGEST)), reverse=True) for _ in range(4)]
        return " ".join(f"{a} + {b} = {a + b}." if rng.random() < 0.5 else f"{a} - {b} = {a - b}." for a, b in pairs)
    level = rng.choice(("easy", "easy", "full", "hard"))
    while not may_train(item := draw(rng, lab_seed, level, rng.randrange(WORDINGS))):
        pass
    lines = working(item)
    if style < 0.45:
        return " ".join(lines[-3:])
    if style < 0.6:  # one unknown alone
        chain = rng.choice(item["chains"])
        return f"{_told(chain)}{gap(rng)}{' '.join(_working_of(chain)[0])} {chain['unknown']} = {chain['end']}."
    return f"{item['question']}{gap(rng)}{' '.join(lines)}"


WORLD = World(
    name="contests",
    draw=draw,
    respond=respond,
    passage=passage,
    levels={"easy": 0.25, "full": 0.45, "hard": 0.3},
    covers={
        "worked": {"easy": 0.45, "full": 0.55},
        "answers": {"easy": 0.45, "full": 0.55},
        "format": {"easy": 0.1, "full": 0.6, "hard": 0.3},
        "wrong": {"easy": 0.4, "full": 0.45, "hard": 0.15},
        "easy": {"easy": 1.0},
        "hard": {"full": 0.3, "hard": 0.7},
    },
)
