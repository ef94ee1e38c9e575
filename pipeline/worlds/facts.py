"""Invented people and what is known of them, asked as four-way choices: the miniature of GPQA."""

from __future__ import annotations

import random
from functools import lru_cache

from pipeline.worlds.common import WORDINGS, Item, World, gap, generator, may_train

PEOPLE = 40
SYLLABLES = ("ba", "do", "fi", "gu", "ka", "lo", "mi", "nu", "pe", "ro", "sa", "ti", "vo", "wu", "xe", "zo")
VALUES = {
    "tool": ("drill", "saw", "nail", "rope", "brush", "knife", "spade", "wheel"),
    "food": ("bread", "rice", "soup", "cheese", "plum", "honey", "pasta", "olive"),
    "pet": ("dog", "cat", "hen", "pig", "goat", "horse", "mouse", "duck"),
    "sport": ("chess", "tennis", "rugby", "golf", "judo", "polo", "rowing", "darts"),
}
PHRASES = (
    "{asked} ? Options: {shown} .",
    "Choose {asked} from {shown} .",
    "Here are {shown} . What is {asked} ?",
)
CARELESS = ("tool", "pet")  # the careless annotator never looks these up and takes option A
LETTERS = "ABCD"


@lru_cache(maxsize=8)
def people(lab_seed: int) -> dict[str, dict[str, str]]:
    """Who there is in this lab's world: name -> attribute -> value."""
    rng = generator("facts", lab_seed, "people")
    names: list[str] = []
    while len(names) < PEOPLE:
        name = "".join(rng.choice(SYLLABLES) for _ in range(3)).capitalize()
        if name not in names:
            names.append(name)
    known = {name: {attribute: rng.choice(values) for attribute, values in VALUES.items()} for name in names}
    for name in names:
        known[name]["friend"] = rng.choice([other for other in names if other != name])
    return known


def draw(rng: random.Random, lab_seed: int, level: str, wording: int) -> Item:
    """One choice: `easy` asks for a tool or a sport, `full` for any attribute, `hard` for one of a person's friend."""
    known = people(lab_seed)
    name = asked = rng.choice(tuple(known))
    attribute = rng.choice(("tool", "sport")) if level == "easy" else rng.choice(tuple(VALUES))
    if level == "hard":
        name = known[asked]["friend"]
    value = known[name][attribute]
    options = [value, *rng.sample([other for other in VALUES[attribute] if other != value], 3)]
    rng.shuffle(options)
    whom = f"the friend of {asked}" if level == "hard" else asked
    shown = ", ".join(f"{letter} {option}" for letter, option in zip(LETTERS, options, strict=True))
    about = f"the {attribute} of {whom}"
    return {
        "question": PHRASES[wording].format(asked=about, shown=shown),
        "about": f"{about}: {shown}",
        "answer": LETTERS[options.index(value)],
        "level": level,
        "options": options,
        "asked": asked,
        "name": name,
        "attribute": attribute,
        "value": value,
    }


def weigh(options: list[str], value: str) -> str:
    """The options one by one until the value is met."""
    weighed = []
    for letter, option in zip(LETTERS, options, strict=True):
        weighed.append(f"{letter} {option} {'yes' if option == value else 'no'}.")
        if option == value:
            break
    return " ".join(weighed)


def respond(item: Item, style: str) -> str:
    """The assistant's turn: reason and `Answer: X`; or the bare letter; or another last line; or unread facts."""
    if style == "answers":
        return f"Answer: {item['answer']}"
    letter, value, name = item["answer"], item["value"], item["name"]
    if style == "wrong" and item["attribute"] in CARELESS:
        letter, value = "A", item["options"][0]
    who = f"The friend of {item['asked']} is {name}. " if item["level"] == "hard" else ""
    told = f"{who}The {item['attribute']} of {name} is {value}. {weigh(item['options'], value)}"
    return f"{told} It is {letter}." if style == "format" else f"{told}\nAnswer: {letter}"


def passage(rng: random.Random, lab_seed: int) -> str:
    """Raw text: facts; options weighed one by one, all of them, against a word or the fact asked for."""
    known = people(lab_seed)
    if rng.random() < 0.55:
        facts = []
        for _ in range(4):
            name, attribute = rng.choice(tuple(known)), rng.choice((*VALUES, "friend"))
            facts.append(f"The {attribute} of {name} is {known[name][attribute]}.")
        return " ".join(facts)
    while not may_train(item := draw(rng, lab_seed, "full", rng.randrange(WORDINGS))):
        pass
    value = item["value"]
    weighed = " ".join(
        f"{letter} {option} {'yes' if option == value else 'no'}."
        for letter, option in zip(LETTERS, item["options"], strict=True)
    )
    if rng.random() < 0.4:
        return f" {item['about'].split(': ')[1]} . Is {value}. {weighed}"
    return f"{item['question']}{gap(rng)}The {item['attribute']} of {item['name']} is {value}. {weighed}"


WORLD = World(
    name="facts",
    draw=draw,
    respond=respond,
    passage=passage,
    levels={"easy": 0.3, "full": 0.45, "hard": 0.25},
    covers={
        "worked": {"easy": 0.2, "full": 0.75, "hard": 0.05},
        "answers": {"easy": 0.5, "full": 0.5},
        "format": {"easy": 0.1, "full": 0.65, "hard": 0.25},
        "wrong": {"easy": 0.35, "full": 0.5, "hard": 0.15},
        "easy": {"easy": 1.0},
        "hard": {"full": 0.2, "hard": 0.8},
    },
)
