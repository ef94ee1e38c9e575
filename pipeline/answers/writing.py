"""A piece of writing against another, judged by what was asked for: a judge without a model, the same every time.

The judge reads both pieces in one order and then in the other, and leans to the one that it reads first, as judges
do; a verdict is one of Arena-Hard's five, a strong one counts three times. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from pipeline.answers.reasoning import spoken
from pipeline.answers.verdicts import TIE, game, together

LEAN = 1.0  # points for being read first
WORDS_A_THING = 15  # more than so many words for each thing are padding
MOST_REPEATS = 2  # points that repetition costs at most

PIECE = re.compile(r"\bDear\b.*[.!?]", re.DOTALL)
SENTENCE = re.compile(r"[^.!?]+[.!?]?")


def strict_piece(text: str, name: str) -> str | None:
    """The text if nothing but a letter to `name` stands in it: salutation first, a full sentence last."""
    piece = text.strip()
    opened = re.match(rf"Dear {re.escape(name)}\b", piece)
    return piece if opened and piece[-1] in ".!?" else None


def lenient_piece(text: str) -> str:
    """The letter that a reader finds: from the salutation to the end of the last sentence, else all that was said."""
    said = spoken(text).strip().strip("`").strip()
    found = PIECE.search(said)
    return found[0] if found else said


def quality(piece: str, name: str, things: Sequence[str], banned: str = "") -> float:
    """Points: each thing (half where a sentence rattles off several), order, salutation, ending and length; repetition
    and what is banned cost some. Nothing below 0, and nothing for a piece about none of the things.
    """
    places = [_place(thing, piece) for thing in things]
    named = [place for place in places if place >= 0]
    if not named:
        return 0.0
    sentences = SENTENCE.findall(piece)
    crowded = [sum(_place(thing, sentence) >= 0 for thing in things) > 1 for sentence in sentences]
    points = sum(_worth(thing, sentences, crowded) for thing in things)
    points += len(named) == len(things) and all(a < b for a, b in pairwise(places))
    points += re.search(rf"\b{re.escape(name)}\b", piece[: named[0]] or "") is not None
    points += piece.rstrip()[-1:] in (".", "!", "?")
    points += len(piece.split()) <= WORDS_A_THING * len(things)
    points -= min(_repeats(piece), MOST_REPEATS)
    points -= 2.0 * bool(banned and _place(banned, piece) >= 0)
    return max(0.0, points)


def _worth(thing: str, sentences: Sequence[str], crowded: Sequence[bool]) -> float:
    found = [crowd for sentence, crowd in zip(sentences, crowded, strict=True) if _place(thing, sentence) >= 0]
    return 0.0 if not found else 0.5 if all(found) else 1.0


def _place(word: str, text: str) -> int:
    """Where a word first stands; -1 if it does not."""
    found = re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)
    return found.start() if found else -1


def _repeats(piece: str) -> int:
    """How many sentences stand there a second time."""
    sentences = [" ".join(found.lower().split()) for found in SENTENCE.findall(piece) if found.strip()]
    return len(sentences) - len(set(sentences))


def verdict(a: float, b: float) -> str:
    """What the judge says of two qualities, the first one read first."""
    lead = a + LEAN - b
    if lead == 0:
        return TIE
    strong = ">" * (1 + (abs(lead) >= 2))
    return f"A{strong}B" if lead > 0 else f"B{strong}A"


def win_share(verdicts: Sequence[tuple[str, bool]]) -> float:
    """The share of wins among verdicts of one pair; beside each whether the answer was A in it.

    As Arena-Hard counts: a strong verdict three times, a tie half. Raises ValueError: no verdict, or an unknown one.
    """
    return together([game(said, "A" if is_a else "B") for said, is_a in verdicts]).share


def duel(answer: float, other: float) -> float:
    """The win share of an answer of one quality against another, judged in both orders."""
    return win_share([(verdict(answer, other), True), (verdict(other, answer), False)])
