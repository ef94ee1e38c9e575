"""Two answers to one request, compared by a judge in both orders, as Arena-Hard does.

The judge sees the baseline's answer first (as A) and the candidate's second, and then the other way round. Its verdict
is the last `[[A>B]]`-like mark of its reply. A strong verdict (>>) counts as three games (arena-hard-auto, v2). A
question's score is the candidate's share of its games, its weight their number; `pipeline.totals` makes the total,
which is then the share of all games won, as published. A reply without a mark is asked for once more and then counts
as a tie of weight one: leaving the question out, as arena-hard-auto does, would score two models on different items.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pipeline.answers import verdicts
from pipeline.answers.verdicts import TIE, Game
from pipeline.judges.ask import Question
from pipeline.judges.shown import shown

MARK = re.compile(r"\[\[\s*(A\s*(?:>>|>|=|<<|<)\s*B|B\s*(?:>>|>|=|<<|<)\s*A)\s*\]\]", re.IGNORECASE)
UNREAD = "?"  # stands for the verdict of a reply that holds none
OUTPUT_TOKENS = 2_000  # of a reply with its reasoning, roughly

SYSTEM = (
    "You compare two assistants' answers to one request, as an impartial and demanding reader. Which answer stands"
    " first, or is longer, must not sway you."
)
PROMPT = """\
Read the request and the two answers to it. Decide which answer serves the person who asked better.

Work in this order. First sketch for yourself what a good answer would be. Then go through both answers: do they do what
was asked, in the language, form and length that was asked for; is what they say right; is the writing alive, apt and
free of filler; does anything important lack? Point out faults by quoting them. For creative work originality, voice and
craft count; so do the limits that the request sets. Where a request is unclear or harmful, asking back or declining can
be the better answer.

End with one of these five marks on a line of its own, and nothing after it:

[[A>>B]]  A is much better
[[A>B]]   A is somewhat better
[[A=B]]   they are about as good as each other
[[B>A]]   B is somewhat better
[[B>>A]]  B is much better

<request>
{request}
</request>

<answer_A>
{a}
</answer_A>

<answer_B>
{b}
</answer_B>
"""


def questions(request: str, baseline: str, answer: str) -> list[Question]:
    """The comparison in both orders, the baseline first in the first; none where the answers are the same text.

    `answer` is as the judge will see it, the baseline's as it was published.
    """
    if answer in (baseline, shown(baseline)):
        return []
    return [Question(_prompt(request, *pair), SYSTEM) for pair in ((baseline, answer), (answer, baseline))]


def _prompt(request: str, a: str, b: str) -> str:
    # in one pass: what stands in an answer is never taken for a place to fill
    return PROMPT.format(request=request, a=a, b=b)


def read(reply: str) -> str | None:
    """The last mark of a reply, as one of A>>B, A>B, A=B, B>A, B>>A; None if there is none."""
    found = MARK.findall(reply)
    if not found:
        return None
    mark = re.sub(r"\s+", "", found[-1]).upper()
    first, sign, second = mark[0], mark[1:-1], mark[-1]
    if sign == "=":
        return TIE
    return mark if ">" in sign else f"{second}{sign.replace('<', '>')}{first}"


def game(verdict: str | None, candidate: str) -> Game:
    """What a verdict counts for the candidate, who is `A` or `B` in it. None, no verdict, counts as a tie."""
    return verdicts.game(TIE if verdict in (None, UNREAD) else str(verdict), candidate)


def result(given: Sequence[str | None]) -> dict[str, Any]:
    """A question's result of its two verdicts, in the order of `questions`; no verdicts mean that the texts are equal.

    `strict` is the candidate's share of the games, `weight` their number.
    """
    pair = list(given) or [TIE, TIE]
    won = verdicts.together([game(verdict, candidate) for verdict, candidate in zip(pair, "BA", strict=True)])
    return {
        "strict": won.share,
        "lenient": won.share,
        "weight": won.weight,
        "verdicts": [each or UNREAD for each in pair],
    }
