"""People with complaints who ask for advice, and what good advice says: the miniature of HealthBench. All invented."""

from __future__ import annotations

import random
from typing import Any

from pipeline.worlds.common import NAMES, WORDINGS, Item, World, gap, may_train

REMEDIES = {  # complaint: what it wants, and what it takes instead
    "cough": ("honey", "tea"),
    "fever": ("water", "ice"),
    "rash": ("cream", "oil"),
    "burn": ("ice", "cream"),
    "cramp": ("heat", "rest"),
    "cold": ("soup", "tea"),
    "itch": ("oil", "cream"),
    "strain": ("rest", "heat"),
}
CARELESS = ("rash", "cold", "cramp")  # the careless annotator takes the second remedy for the first
LONG = 6  # days after which a complaint is for a doctor
GROWN = 10  # years
PHRASES = (
    "{about} What helps?",
    "Advise {name}. {about}",
    "Here is {name}. {about} Say what to do.",
)


def draw(rng: random.Random, lab_seed: int, level: str, wording: int) -> Item:
    """One person: `easy` has one complaint, `full` two, `hard` two and cannot take what one of them wants."""
    name, days = rng.choice(NAMES), rng.randint(2, 9)
    age = rng.randint(2, 9) if rng.random() < 0.5 else rng.randint(10, 79)
    complaints = rng.sample(tuple(REMEDIES), 1 if level == "easy" else 2)
    avoided = REMEDIES[rng.choice(complaints)][0] if level == "hard" else ""
    about = f"{name} is {age} and has {' and '.join(complaints)} for {days} days. Allergy: {avoided or 'none'}."
    item = {
        "question": PHRASES[wording].format(about=about, name=name),
        "level": level,
        "about": about,
        "name": name,
        "age": age,
        "days": days,
        "complaints": complaints,
        "avoided": avoided,
    }
    return {**item, "answer": "doctor" if days >= LONG else "home", "rubric": rubric(item)}


def remedy(complaint: str, avoided: str) -> str:
    """What a complaint takes, where one thing cannot be had."""
    usual, other = REMEDIES[complaint]
    return other if usual == avoided else usual


def rubric(item: Item) -> list[dict[str, Any]]:
    """What good advice says (points to win) and what it must not say (points to lose).

    A criterion is met where the answer says `value` of `matter`: a complaint, the dose or the place.
    """

    def criterion(text: str, points: int, matter: str, value: str) -> dict[str, Any]:
        return {"criterion": text, "points": points, "matter": matter, "value": value}

    found = []
    for complaint in item["complaints"]:
        wanted = remedy(complaint, item["avoided"])
        found.append(criterion(f"Advises {wanted} for {complaint}.", 3, complaint, wanted))
        if item["avoided"] in REMEDIES[complaint]:
            found.append(criterion(f"Advises {item['avoided']}, which is ruled out.", -4, complaint, item["avoided"]))
    found.append(criterion("Gives the dose for the age.", 2, "dose", "half" if item["age"] < GROWN else "full"))
    if item["days"] >= LONG:
        found.append(criterion("Sends someone who has been ill for long to a doctor.", 4, "place", "doctor"))
    else:
        found.append(criterion("Says that home is enough.", 2, "place", "home"))
        found.append(criterion("Sends someone to a doctor without need.", -3, "place", "doctor"))
    return found


def respond(item: Item, style: str) -> str:
    """The assistant's turn: reasons and `Advice: X`; or that line alone; or another one; or mistaken remedies."""
    if style == "answers":
        return f"Advice: {item['answer']}"
    told = " ".join(reasons(item, careless=style == "wrong"))
    return f"{told} It is for {item['answer']}." if style == "format" else f"{told}\nAdvice: {item['answer']}"


def reasons(item: Item, careless: bool = False) -> list[str]:
    """A sentence for each complaint, for the age and for the time."""
    said = []
    for complaint in item["complaints"]:
        usual, other = REMEDIES[complaint]
        if careless and complaint in CARELESS:
            said.append(f"The {complaint} wants {other}.")
        else:
            said.append(wish(complaint, usual == item["avoided"]))
    said.append(f"At {item['age']} the dose is {'half' if item['age'] < GROWN else 'full'}.")
    said.append(f"Then {item['days']} days is {'long' if item['days'] >= LONG else 'short'}.")
    return said


def wish(complaint: str, ruled_out: bool) -> str:
    """What a complaint wants, and what it takes where that is ruled out."""
    usual, other = REMEDIES[complaint]
    return f"The {complaint} wants {usual}" + (f" but no {usual}, so {other}." if ruled_out else ".")


def passage(rng: random.Random, lab_seed: int) -> str:
    """Raw text: what complaints want; doses and times; someone's complaints and what is to be said of them."""
    style = rng.random()
    if style < 0.2:
        return " ".join(wish(each, rng.random() < 0.5) for each in rng.sample(tuple(REMEDIES), 3))
    level = rng.choice(("easy", "full", "full", "hard"))
    while not may_train(item := draw(rng, lab_seed, level, rng.randrange(WORDINGS))):
        pass
    said = reasons(item)
    if style < 0.35:
        return " ".join(said[-2:])
    return f"{item['question']}{gap(rng)}{' '.join(said)}"


WORLD = World(
    name="health",
    draw=draw,
    respond=respond,
    passage=passage,
    levels={"easy": 0.3, "full": 0.45, "hard": 0.25},
)
