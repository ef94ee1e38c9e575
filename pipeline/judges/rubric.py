"""One answer held against criteria with points, one question to the judge per criterion, as HealthBench does.

An item's score is the sum of the points of all criteria that are met, negative ones too, over the sum of the positive
points (Arora et al. 2025, arXiv 2505.08775); it can be negative. A reply that cannot be read is asked for once more;
then the criterion counts as not met, as in the reference implementation, and is recorded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.answers.rubrics import share_of_points
from pipeline.judges.ask import Question

KEY = "criteria_met"
OUTPUT_TOKENS = 600  # of a reply with its reasoning, roughly

SYSTEM = "You check answers against criteria, one criterion at a time, exactly as it is written."
PROMPT = """\
Below are a conversation, the assistant's last turn in it, and one criterion. Decide whether the last turn meets the
criterion. Judge that turn only, what came before it is context.

- A criterion with several parts is met only if every part of it is.
- Examples in a criterion ("such as", "for example", "including") are examples: not all of them have to occur, and
  others of their kind will do.
- Criteria may describe something bad; their points are then negative. Even so say whether the turn does what the
  criterion describes, not whether the turn is good: an answer that is free of the fault does not meet such a criterion.

Answer with one JSON object and nothing else, first the reason in a sentence or two, then the decision:

{{"explanation": "...", "criteria_met": true}} or {{"explanation": "...", "criteria_met": false}}

<conversation>
{conversation}
</conversation>

<last_turn>
{answer}
</last_turn>

<criterion points="{points}">
{criterion}
</criterion>
"""

Criterion = Mapping[str, Any]  # criterion (a text) and points


def questions(messages: Sequence[Mapping[str, str]], answer: str, criteria: Sequence[Criterion]) -> list[Question]:
    """One question per criterion about `answer`, the turn that follows the conversation's messages."""
    conversation = "\n\n".join(f"{message['role']}: {message['content']}" for message in messages)
    return [
        Question(
            PROMPT.format(
                conversation=conversation, answer=answer, points=f"{each['points']:g}", criterion=each["criterion"]
            ),
            SYSTEM,
        )
        for each in criteria
    ]


def read(reply: str) -> bool | None:
    """Whether a reply says that the criterion is met; None if it does not say so in a JSON object.

    The object may stand in a fence or among prose; of several the last one counts.
    """
    decoder, at, decision = json.JSONDecoder(strict=False), reply.find("{"), None
    while at >= 0:
        try:
            value, end = decoder.raw_decode(reply, at)
        except (ValueError, RecursionError):  # a number of thousands of digits is no JSONDecodeError
            end = at + 1
        else:
            if isinstance(value, dict) and isinstance(value.get(KEY), bool):
                decision = value[KEY]
        at = reply.find("{", end)
    return decision


def result(criteria: Sequence[Criterion], verdicts: Sequence[bool | None]) -> dict[str, Any]:
    """An item's result of its verdicts, in the order of the criteria. None, no verdict, counts as not met."""
    score = share_of_points(criteria, verdicts)
    return {"strict": score, "lenient": score, "verdicts": list(verdicts)}
