"""What models cost: list prices in US dollars per million tokens, and estimates from the lengths of texts.

Prices are the standard tier's, without discounts for caches or batches, compared in November 2026 with public copies of
OpenAI's list (developers.openai.com/api/docs/pricing) and Anthropic's (claude.com/pricing); they may have changed
since. A model that is not in the table, or that runs on a server of one's own, has no known price.
"""

from __future__ import annotations

import math
import re

from pipeline.providers.names import Address

MILLION = 1_000_000
BYTES_PER_TOKEN = 3  # of UTF-8: English has about 4, so that estimates err upwards
DATED = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8}|latest)$")  # a snapshot costs what its model costs

PRICES: dict[str, dict[str, tuple[float, float]]] = {  # provider -> model -> (input, output)
    "openai": {
        "gpt-5": (1.25, 10.0),
        "gpt-5.1": (1.25, 10.0),
        "gpt-5-mini": (0.25, 2.0),
        "gpt-5-nano": (0.05, 0.4),
        "gpt-4.1": (2.0, 8.0),
        "gpt-4.1-mini": (0.4, 1.6),
        "gpt-4.1-nano": (0.1, 0.4),
        "gpt-4o": (2.5, 10.0),
        "gpt-4o-mini": (0.15, 0.6),
        "o3": (2.0, 8.0),
        "o4-mini": (1.1, 4.4),
    },
    "anthropic": {
        "claude-haiku-4-5": (1.0, 5.0),
        "claude-sonnet-4-5": (3.0, 15.0),
        "claude-sonnet-4": (3.0, 15.0),
        "claude-sonnet-5-5": (2.0, 10.0),
        "claude-opus-5": (5.0, 25.0),
        "claude-opus-4-5": (5.0, 25.0),
        "claude-opus-4-1": (15.0, 75.0),
    },
}


def price(model: Address) -> tuple[float, float] | None:
    """Dollars per million input and output tokens; None where it is not known."""
    return PRICES.get(model.provider, {}).get(DATED.sub("", model.model))


def tokens(text: str) -> int:
    """About how many tokens a text has, rounded up."""
    return math.ceil(len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN)


def dollars(model: Address, input_tokens: float, output_tokens: float) -> float | None:
    """What a request costs; None where the price is not known."""
    known = price(model)
    return None if known is None else (known[0] * input_tokens + known[1] * output_tokens) / MILLION
