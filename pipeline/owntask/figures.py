"""What a careful colleague would look at before searching on a task: counts, baseline, lengths, resolution, samples."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from math import ceil, sqrt
from statistics import NormalDist
from typing import Any

from pipeline.answers.targets import canonical
from pipeline.noise import CONFIDENCE
from pipeline.owntask.dividing import Divided
from pipeline.owntask.reading import Example

SAMPLES = 3
PIECES = re.compile(r"[A-Za-z]+|[^\W\d_]|\d|[^\w\s]|_|\n")
LONG_WORD = 6  # letters beyond which a word is usually cut
CountTokens = Callable[[str], int]
Document = dict[str, Any]


def about_tokens(text: str) -> int:
    """About how many tokens a text has for a vocabulary of 50,000 or more: a word, a digit, a mark each.

    Of scripts other than Latin every letter counts, which is rather too many.
    """
    return sum(ceil(len(piece) / LONG_WORD) for piece in PIECES.findall(text))


def lengths(texts: Sequence[str], count: CountTokens) -> dict[str, int]:
    """Median, 95th percentile and maximum of the texts' tokens."""
    found = sorted(count(text) for text in texts)
    return {"median": found[len(found) // 2], "p95": found[ceil(0.95 * len(found)) - 1], "longest": found[-1]}


def labels(divided: Divided) -> list[Document]:
    """Rows per label and split, the most frequent label of the training rows first."""
    counted = {name: Counter(row.target for row in getattr(divided, name)) for name in ("train", "search", "final")}
    known = sorted(set().union(*counted.values()), key=lambda label: (-counted["train"][label], label))
    return [{"label": label, **{name: counts[label] for name, counts in counted.items()}} for label in known]


def majority(metric: str, divided: Divided) -> Document:
    """What the training rows' most frequent target would score on the scored final rows."""
    compared = [canonical(metric, row.target) for row in divided.train]
    target = Counter(compared).most_common(1)[0][0]
    right = sum(canonical(metric, row.target) == target for row in divided.final)
    return {"target": target, "share": right / len(divided.final)}


def half_widths(n: int, confidence: float = CONFIDENCE) -> Document:
    """Half widths, in points, of 95% intervals over n items: of a score at 50%, and of a gain.

    sqrt(p (1 - p) / n) for a score; for a paired difference sqrt((c - d^2) / n), c the share of items on which the two
    models differ and d the difference: here half of the items are gained and a tenth is lost.
    """
    z, changed, difference = NormalDist().inv_cdf(0.5 + confidence / 2), 0.6, 0.4
    return {
        "items": n,
        "score": 100 * z * sqrt(0.25 / n),
        "gain": 100 * z * sqrt((changed - difference**2) / n),
        "confidence": confidence,
    }


def samples(divided: Divided, prompt: Callable[[Example], str], reply: Callable[[Example], str]) -> list[Document]:
    """The first rendered prompts of the training rows, each with its answer."""
    return [{"prompt": prompt(row), "answer": reply(row)} for row in divided.train[:SAMPLES]]
