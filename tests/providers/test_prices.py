"""What a judge costs, and where that is not known."""

from __future__ import annotations

import pytest

from pipeline.providers import prices
from pipeline.providers.names import JUDGE, parse


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("openai:gpt-5-mini", (0.25, 2.0)),
        ("openai:gpt-5-mini-2025-08-07", (0.25, 2.0)),
        ("anthropic:claude-sonnet-4-5-20250929", (3.0, 15.0)),
        ("openai:gpt-5-mini-turbo", None),
        ("openai:claude-sonnet-4-5", None),
        ("http://127.0.0.1:8000/v1#gpt-5-mini", None),
    ],
)
def test_a_dated_model_costs_what_its_model_costs_and_an_unknown_one_has_no_price(name, found):
    assert prices.price(parse(name, JUDGE)) == found
    cost = prices.dollars(parse(name, JUDGE), 2e6, 1e6)
    assert cost == (None if found is None else pytest.approx(2 * found[0] + found[1]))


def test_texts_are_longer_in_tokens_than_they_mostly_are():
    assert prices.tokens("") == 0 and prices.tokens("four") == 2 and prices.tokens("好的") == 2
