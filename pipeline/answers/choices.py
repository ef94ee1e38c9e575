"""Which option of a multiple choice a text takes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.answers.numbers import last_boxed
from pipeline.answers.reasoning import last_line, spoken

LETTERS = "ABCDEFGHIJ"
# bounded, as a model that loops writes thousands of brackets
WRAPPED = r"[\s*_`$\\({\[]{0,12}(?:\\?(?:text|mathrm|mathbf|textbf)\s?\{\s?)?(?:option|choice)?[\s*_`$\\({\[]{0,12}"


def strict_choice(text: str, options: int) -> str | None:
    """The letter X of a last line `ANSWER: X`; None for any other last line, or a letter of no option."""
    found = re.fullmatch(r"\W*answer\s*:\W*([A-Za-z])\W*", last_line(spoken(text)), re.IGNORECASE)
    return _known(found[1], options) if found else None


def lenient_choice(text: str, options: Sequence[str]) -> str | None:
    """The letter that a reader would take for the answer; None where nothing is chosen.

    The last box; else the last 'answer is X', `Answer: X`, 'option X'; else a letter alone on a line or in brackets;
    else the option whose whole text is mentioned last.
    """
    text = spoken(text)
    n = len(options)
    letter = rf"([A-{LETTERS[n - 1]}])(?![\w'])"
    boxed = last_boxed(text)
    if boxed is not None and (found := re.search(rf"^{WRAPPED}{letter}", boxed)):
        return found[1]
    answer = r"\banswers?\b\W{0,6}(?:is|are|:|=|would be|must be)?"
    said = rf"(?:{answer}|\b(?:option|choice|choose|pick)\b){WRAPPED}{letter}"
    right = rf"(?<![\w']){letter}[)\]*_\s]{{1,6}}(?:is|must be) (?:the )?(?:right|correct|true)\b"
    for pattern, flags in (
        (said, re.IGNORECASE),
        (right, 0),
        (rf"^[^\w\n]*{letter}[^\w\n]*$", re.MULTILINE),
        (rf"[(\[]{letter}[)\]]", 0),
        (rf"^[^\w\n]*{letter}[.):]\s", re.MULTILINE),
        (rf"(?<![\w'])([B-{LETTERS[n - 1]}])(?![\w'])", 0),  # a lone A may be an article
    ):
        chosen = [found[1] for found in re.finditer(pattern, text, flags) if _is_letter(found)]
        if chosen:
            return chosen[-1].upper()
    mentions = [(_last_mention(option, text), LETTERS[i]) for i, option in enumerate(options)]
    at, chosen_letter = max(mentions, default=(-1, ""))
    return chosen_letter if at >= 0 else None


def _is_letter(found: re.Match[str]) -> bool:
    """Whether a letter names an option: a capital, or a small one in brackets; a bare `a` is an article."""
    around = found.string[found.start(1) - 1 : found.end(1) + 1]
    return found[1].isupper() or around in (f"({found[1]})", f"[{found[1]}]")


def _known(letter: str, options: int) -> str | None:
    return letter.upper() if letter.upper() in LETTERS[:options] else None


def _last_mention(option: str, text: str) -> int:
    places = [found.start() for found in re.finditer(rf"(?<!\w){re.escape(option)}(?!\w)", text, re.IGNORECASE)]
    return places[-1] if places else -1
