"""Endless repetition, cut: a model that does not stop says the same thing a thousand times."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MOST = 5  # repetitions in a row that are left, as PostTrainBench
LONGEST = 2_000  # characters of a repeated piece
Codes = npt.NDArray[np.uint32]
SHORT_RUN = 20  # a run of one character up to so long is left: rulers, indentation, 1000000


def cut_repetitions(text: str, most: int = MOST) -> str:
    """The text with every piece of it that is repeated in a row more than `most` times cut to `most` repetitions.

    Pieces are of up to 2,000 characters, the shortest first, so that `ha ha ha` is one word repeated.
    """
    before = None
    while before != text:  # what a cut puts side by side may repeat, too
        before, period = text, 1
        codes = _codes(text)
        while period <= min(LONGEST, len(text) // (most + 1)):
            if _may_repeat(codes, period, most):
                text = _cut(text, codes, period, most)
                codes = _codes(text)
            period += 1
    return text


def _codes(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _may_repeat(codes: Codes, period: int, most: int) -> bool:
    """Whether enough characters in a row, one looked at per period, equal the one a period later: nearly never so."""
    later = codes[period::period]
    equal = codes[::period][: later.size] == later
    for _ in range(most - 1):
        equal = equal[1:] & equal[:-1]
    return bool(equal.any())


def _cut(text: str, codes: Codes, period: int, most: int) -> str:
    """Runs of one piece of `period` characters, cut."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], codes[period:] == codes[:-period], [0])).astype(np.int8)))
    least = max(period * most, SHORT_RUN if period == 1 else 0)
    pieces, done = [], 0
    for begin, end in edges.reshape(-1, 2).tolist():  # codes[begin:end] equal what stands one period later
        piece = text[begin : begin + period]
        if end - begin < least or (period > 1 and piece == piece[0] * period):
            continue
        # a last repetition that is not whole is left, unless the text breaks off in it
        rest = (end - begin) % period if end + period < len(text) else 0
        pieces.append(text[done : begin + period * most])
        done = end + period - rest
    return "".join([*pieces, text[done:]])
