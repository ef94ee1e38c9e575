"""Which option of a multiple choice a text takes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.answers.numbers import last_boxed
from pipeline.answers.reasoning import last_line, spoken

LETTERS = "ABCDEFGHIJ"
# bounded, as a model that loops writes thousands of brackets
MARKS = r"[\s*_`'\"\u2018\u201c$\\({\[]{0,12}"
CLOSED = r"[\s*_`'\"\u2019\u201d$\\)}\]]{0,6}"
WRAPPED = rf"{MARKS}(?:\\?(?:text|mathrm|mathbf|textbf)\s?\{{\s?)?(?:option|choice)?{MARKS}"
LETTER = r"([A-@])(?!\w|'\w)"  # @ stands for the last option's letter
RIGHT = r"(?:is|must be|should be) (?:the |our |my )?(?:(?:right|correct|true|best|final)\b|answer\b)"
ANSWER = rf"\banswers?\b[^\w.]{{0,6}}(?:is|are|:|=|would be|must be|should be)?{WRAPPED}{LETTER}"
STATED = (
    (ANSWER, re.IGNORECASE),
    (rf"^[^\w\n]*{LETTER}[^\w\n]*$", re.IGNORECASE | re.MULTILINE),
    (rf"(?<![\w']){LETTER}[)\]*_\s]{{1,6}}{RIGHT}", 0),
    (rf"\b(?:it|this|that) (?:is|must be|should be){WRAPPED}{LETTER}", re.IGNORECASE),
)
MENTIONED = (
    (rf"\b(?:option|choice|choose|pick)\b{WRAPPED}{LETTER}", re.IGNORECASE),
    (rf"[(\[]{LETTER}[)\]]", 0),
    (rf"^[^\w\n]*{LETTER}[.):]\s", re.MULTILINE),
    (rf"(?<![\w'])(?!A){LETTER}", 0),  # a lone A may be an article
)
WRONG = re.compile(
    r"[^\w.\n]{0,4}(?:(?:is|was|are|seems|looks|would be|can be)\s+)?(?:\w+,? (?:but|and|yet) )?(?:\w+ly |also )?"
    r"(?:wrong|incorrect|false|invalid|impossible|eliminated|(?:ruled )?out|not?|cannot|fails|\w+n['\u2019]t)\b",
    re.IGNORECASE,
)
AND = rf"{CLOSED}(?:\\text\s?\{{\s?)?(?:[,/&]|,?\s*\b(?:or|and)\b)\s?\}}?"
ANOTHER = rf"{AND}{WRAPPED}[A-@](?!\w|'\w|\s+(?:[a-z]+s|are|were|would|can|cannot|being)\b)"
ONLY_LETTERS = r"(?:[^\w\n]*\b[A-@]\b)+[^\w\n]*$"
ONE_BEFORE = rf"(?<!\w)[A-@]{AND}{MARKS}\Z"
TAKEN_BACK = re.compile(r"\b(?:wait|actually|correction|scratch that|on second thought)\b", re.IGNORECASE)
COMMAND = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\s*(?=\{)|[\s$*`\\{}()\[\].]")


def strict_choice(text: str, options: int) -> str | None:
    """The letter X of a last line `ANSWER: X`; None for any other last line, or a letter of no option."""
    found = re.fullmatch(r"\W*answer\s*:\W*([A-Za-z])\W*", last_line(spoken(text)), re.IGNORECASE)
    return _known(found[1], options) if found else None


def lenient_choice(text: str, options: Sequence[str]) -> str | None:
    """The letter that a reader would take for the answer; None where nothing is chosen, or several are.

    The last box; else the last 'answer is X' or `Answer: X`; else a letter alone on a line; else 'X is correct' or 'it
    is X'; else, unless it is said to be wrong, 'option X' or a letter in brackets or alone; else the option whose whole
    text is mentioned last. What is stated after the last 'wait' goes before all that.
    """
    said, last = spoken(text), LETTERS[len(options) - 1]
    corrected = [found.end() for found in TAKEN_BACK.finditer(said)][-1:]
    for part in (*(said[place:] for place in corrected), said):
        boxed = last_boxed(part)
        if whole := (boxed is not None and _named(boxed, options)) or _named(part, options):
            return whole
        if boxed is not None and (found := _last(f"^{WRAPPED}{LETTER}", re.IGNORECASE, boxed, last)):
            return _unhedged(found, last)
        for pattern, flags in STATED:
            if found := _last(pattern, flags, part, last):
                return _unhedged(found, last)
    for pattern, flags in MENTIONED:
        if found := _last(pattern, flags, said, last, WRONG):
            return _unhedged(found, last)
    at, letter = max((_last_mention(option, said), LETTERS[i]) for i, option in enumerate(options))
    return letter if at >= 0 else None


def _last(
    pattern: str, flags: int, text: str, last: str, unless: re.Pattern[str] | None = None
) -> re.Match[str] | None:
    """The last place where a letter of an option stands so, unless something else follows it."""
    found = [each for each in re.finditer(pattern.replace("@", last), text, flags) if _is_letter(each)]
    return next((each for each in reversed(found) if not (unless and unless.match(text, each.end(1)))), None)


def _is_letter(found: re.Match[str]) -> bool:
    """Whether a letter names an option: a capital, or a small one in brackets or at the end of a line, as a bare `a`
    is an article."""
    text, begin, end = found.string, found.start(1), found.end(1)
    around = text[begin - 1 : end + 1]
    is_alone = re.match(r"[^\w\n]{0,20}$", text[end : end + 21].partition("\n")[0]) is not None
    return found[1].isupper() or around in (f"({found[1]})", f"[{found[1]}]") or is_alone


def _unhedged(found: re.Match[str], last: str) -> str | None:
    """The letter; None where another one stands beside it, as in 'A or B'."""
    text, before = found.string, found.string[max(0, found.start(1) - 60) : found.start(1)]
    after = text[found.end(1) : found.end(1) + 100]
    line = after.partition("\n")[0]
    is_hedged = (
        re.match(ANOTHER.replace("@", last), after)
        or re.match(ONLY_LETTERS.replace("@", last), line)
        or re.search(ONE_BEFORE.replace("@", last), before)
    )
    return None if is_hedged else found[1].upper()


def _named(text: str, options: Sequence[str]) -> str | None:
    """The letter of the one option whose whole text this is."""
    plain = COMMAND.sub("", text).casefold()
    same = [LETTERS[i] for i, option in enumerate(options) if COMMAND.sub("", option).casefold() == plain]
    return same[0] if len(same) == 1 and len(plain) > 1 else None


def _known(letter: str, options: int) -> str | None:
    return letter.upper() if letter.upper() in LETTERS[:options] else None


def _last_mention(option: str, text: str) -> int:
    places = [found.start() for found in re.finditer(rf"(?<!\w){re.escape(option)}(?!\w)", text, re.IGNORECASE)]
    return places[-1] if places else -1
