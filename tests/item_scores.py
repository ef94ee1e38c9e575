"""Per-item scores of made-up models, for tests of the fraction."""

from statistics import NormalDist

import numpy as np
from hypothesis import strategies as st


def answers(rng, n, *rates, shared=0.5):
    """0/1 items at the given rates, correlated between models by a shared difficulty."""
    difficulty = rng.standard_normal(n) * shared**0.5
    noise = rng.standard_normal((len(rates), n)) * (1 - shared) ** 0.5
    cuts = [NormalDist().inv_cdf(rate) for rate in rates]
    return [(difficulty + row < cut).astype(float) for row, cut in zip(noise, cuts, strict=True)]


@st.composite
def triples(draw, graded=True):
    """Best, base and instruct on the same items, 0/1 or graded, anything from one item on."""
    n = draw(st.integers(1, 60))
    score = st.floats(0, 1, width=16) if graded and draw(st.booleans()) else st.sampled_from([0.0, 1.0])
    return [np.array(draw(st.lists(score, min_size=n, max_size=n))) for _ in range(3)]


def clear(n=50):
    """A base at 0.1 and an instruct model at 0.9: a gap that is beyond noise."""
    items = np.arange(n)
    return (items < 0.1 * n).astype(float), (items < 0.9 * n).astype(float)
