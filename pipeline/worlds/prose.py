"""Notes to write about given things in a given order: the miniature of Arena-Hard's creative writing."""

from __future__ import annotations

import random

from pipeline.worlds.common import NAMES, WORDINGS, Item, World, gap, generator, may_train

THINGS = (
    "lamp", "ship", "map", "train", "song", "game", "file", "bill", "bread", "rice", "soup", "plum",
    "dog", "cat", "goat", "duck", "saw", "rope", "knife", "wheel", "rose", "lion", "wolf", "bear",
)  # fmt: skip
PHRASES = (
    "Write a note to {name}. {wishes}",
    "{wishes} Put that in a note to {name}.",
    "A note to {name}, please. {wishes}",
)
# A tiny model copies a word by the one before it, so that every place has a marker of its own there.
FIRST, THEN, NEXT, LAST = (
    ("First my", "is new"),
    ("Then your", "is old"),
    ("Next our", "is fine"),
    ("Last the", "is gone"),
)
PLACES = {2: (FIRST, LAST), 3: (FIRST, THEN, LAST), 4: (FIRST, THEN, NEXT, LAST)}
CARELESS = 5  # of eight names are written to by the careless annotator, who forgets the last thing but one
FLAWS = ("none", "short", "order", "again")  # of the answer that a note is compared with, one note in four each


def draw(rng: random.Random, lab_seed: int, level: str, wording: int) -> Item:
    """One request: `easy` has two things, `full` three, `hard` four and one that must not come up."""
    name = rng.choice(NAMES)
    things = rng.sample(THINGS, {"easy": 2, "full": 3, "hard": 5}[level])
    banned = things.pop() if level == "hard" else ""
    wishes = " ".join(f"{place} {thing}." for (place, _), thing in zip(PLACES[len(things)], things, strict=True))
    wishes += f" No {banned}." if banned else ""
    about = f"to {name}: {wishes}"
    item = {
        "question": PHRASES[wording].format(name=name, wishes=wishes),
        "level": level,
        "about": about,
        "name": name,
        "things": things,
        "banned": banned,
    }
    return {**item, "answer": note(name, things), "baseline": baseline(item, rng.choice(FLAWS))}


def note(name: str, things: list[str], places: tuple[tuple[str, str], ...] = ()) -> str:
    """A sentence for each thing."""
    where = zip(places or PLACES[len(things)], things, strict=True)
    return " ".join([f"Dear {name}.", *(f"{place} {thing} {said}." for (place, said), thing in where)])


def baseline(item: Item, flaw: str) -> str:
    """The note that a judge compares an answer with, the same whoever answers; `flaw` says what is wrong with it."""
    name, things = item["name"], list(item["things"])
    if flaw == "short":
        return note(name, things[:-1], PLACES[len(things)][:-1])
    if flaw == "order":
        things = [*things[1:], things[0]]
    told = note(name, things)
    return f"{told} {told.split('. ')[1]}." if flaw == "again" else told


def respond(item: Item, style: str) -> str:
    """The assistant's turn: the note; or the things alone; or the note after a sentence; or a note that lacks one."""
    name, things = item["name"], item["things"]
    if style == "answers":
        return f"Dear {name}. {', '.join(things)}."
    if style == "format":
        return f"Here is the note:\n{note(name, things)}"
    if style == "wrong" and generator("careless", name, things[0]).randrange(8) < CARELESS:
        places = PLACES[len(things)]
        return note(name, [*things[:-2], things[-1]], (*places[:-2], places[-1]))
    return note(name, things)


def passage(rng: random.Random, lab_seed: int) -> str:
    """Raw text: sentences about things in their places; names repeated; a request and its sentences, no greeting."""
    style = rng.random()
    level = rng.choice(("easy", "full", "full", "hard"))
    while not may_train(item := draw(rng, lab_seed, level, rng.randrange(WORDINGS))):
        pass
    sentences = item["answer"].split(". ", 1)[1]
    if style < 0.08:
        return sentences
    if style < 0.25:
        return " ".join(f"A note to {name}.{gap(rng)}Dear {name}." for name in rng.sample(NAMES, 3))
    return f"{item['question']}{gap(rng)}{sentences}"


WORLD = World(
    name="prose",
    draw=draw,
    respond=respond,
    passage=passage,
    levels={"easy": 0.3, "full": 0.45, "hard": 0.25},
)
