"""Stories with quantities: two or three steps of worked arithmetic, the miniature of GSM8K."""

from __future__ import annotations

import random

from pipeline.worlds.common import NAMES, WORDINGS, Item, World, gap, may_train

THINGS = ("apples", "books", "coins", "cards", "pens", "eggs", "cups", "balls", "stamps", "shells", "stones", "cakes")
GAINS = ("finds", "buys", "gets", "wins")
LOSSES = ("gives away", "loses", "sells", "eats")
MISREAD = ("eats", "doubles", "triples")  # the careless annotator takes these for something else
PHRASES = (
    "{story} How many {thing} now?",
    "Count the {thing}. {story}",
    "{story} Tell what {name} has.",
)
FACTORS = {"doubles": 2, "triples": 3}


def draw(rng: random.Random, lab_seed: int, level: str, wording: int) -> Item:
    """One story: `easy` is two steps of + and -, `full` three, `hard` two or three with a doubling or tripling."""
    while True:
        name, thing = rng.choice(NAMES), rng.choice(THINGS)
        total = start = rng.randint(4, 40)
        steps = {"easy": 2, "full": 3}.get(level) or rng.choice((2, 3))
        factor_at = rng.randrange(steps) if level == "hard" else -1
        told, chain = [f"{name} has {start} {thing}."], []
        for i in range(steps):
            verb, sign, amount = _step(rng, i == factor_at)
            told.append(f"{name} {verb} them." if sign == "*" else f"{name} {verb} {amount}.")
            after = _apply(total, sign, amount)
            chain.append((verb, total, sign, amount, after))
            total = after
        if all(0 <= step[4] < 100 for step in chain):
            story = " ".join(told)
            return {
                "question": PHRASES[wording].format(story=story, thing=thing, name=name),
                "answer": str(total),
                "level": level,
                "about": story,
                "chain": chain,
            }


def _step(rng: random.Random, factor: bool) -> tuple[str, str, int]:
    if factor:
        verb = rng.choice(tuple(FACTORS))
        return verb, "*", FACTORS[verb]
    if rng.random() < 0.5:
        return rng.choice(GAINS), "+", rng.randint(2, 15)
    return rng.choice(LOSSES), "-", rng.randint(2, 15)


def _apply(total: int, sign: str, amount: int) -> int:
    return total + amount if sign == "+" else total - amount if sign == "-" else total * amount


def respond(item: Item, style: str) -> str:
    """The assistant's turn: worked steps and `#### N`; or only the number; or another answer line; or misread verbs."""
    if style == "answers":
        return f"#### {item['answer']}"
    lines = working(item, misread=style == "wrong")
    total = lines[-1].split()[-1].rstrip(".")
    return "\n".join([*lines, f"The answer is {total}." if style == "format" else f"#### {total}"])


def working(item: Item, misread: bool = False) -> list[str]:
    """The steps of a story, a line each: the verb, its amount, the sum."""
    lines, total = [], item["chain"][0][1]
    for verb, _, sign, amount, _ in item["chain"]:
        if misread and verb in MISREAD:
            sign = "+"
        after = _apply(total, sign, amount)
        told = f"{verb} them" if verb in FACTORS else f"{verb} {amount}"
        lines.append(f"{told}: {total} {sign} {amount} = {after}.")
        total = after
    return lines


def passage(rng: random.Random, lab_seed: int) -> str:
    """Raw text: sums; stories told with the running total; short stories of + and -, a question, their working."""
    style = rng.random()
    if style < 0.25:
        sums = []
        for _ in range(4):
            _, sign, amount = _step(rng, rng.random() < 0.15)
            total = rng.randint(2, 99)
            if 0 <= _apply(total, sign, amount) < 100:
                sums.append(f"{total} {sign} {amount} = {_apply(total, sign, amount)}.")
        return " ".join(sums)
    wording, levels = rng.randrange(WORDINGS), ("easy",) if style < 0.7 else ("full", "hard")
    while not may_train(item := draw(rng, lab_seed, rng.choice(levels), wording)):
        pass
    name, thing = item["about"].split()[0], rng.choice(THINGS)
    if style < 0.7:
        return f"{item['question']}{gap(rng)}So {' '.join(working(item))} Now {name} has {item['answer']}."
    told = [f"{name} has {item['chain'][0][1]} {thing}."]
    for verb, total, sign, amount, after in item["chain"]:
        told.append(f"{name} {verb} {'them' if sign == '*' else amount}. {total} {sign} {amount} = {after}.")
    return " ".join([*told, f"Now {name} has {item['answer']} {thing}."])


WORLD = World(
    name="maths",
    draw=draw,
    respond=respond,
    passage=passage,
    levels={"easy": 0.42, "full": 0.44, "hard": 0.14},
    covers={
        "worked": {"easy": 0.5, "full": 0.5},
        "answers": {"easy": 0.5, "full": 0.5},
        "format": {"easy": 0.1, "full": 0.65, "hard": 0.25},
        "wrong": {"easy": 0.45, "full": 0.45, "hard": 0.1},
        "easy": {"easy": 1.0},
        "hard": {"full": 0.4, "hard": 0.6},
    },
)
