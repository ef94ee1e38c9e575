"""What a judge gets to see of an answer."""

from __future__ import annotations

from pipeline.answers.reasoning import spoken
from pipeline.answers.repetition import cut_repetitions


def shown(response: str) -> str:
    """The answer without think blocks, what it repeats without end cut to five times, as PostTrainBench does."""
    text = response.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be sent
    return cut_repetitions(spoken(text).strip()).strip()
