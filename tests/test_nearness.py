"""Which texts are nearly the same: a word, a mark or a typo apart; and which are not: other numbers, other words."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.nearness import Likeness, near, normalised


@pytest.mark.parametrize(
    ("one", "other", "is_near"),
    [
        ("Where is my card?", "where is MY card", True),
        ("Where is my new card, it is late", "Where is my new card, it is late please", True),
        ("I have not received my new card yet", "I have not recieved my new card yet", True),
        ("Why was my cash withdrawal declined?", "My cash withdrawal was declined, why?", True),
        ("Tom has 3 red apples and eats one today", "Tom has 4 red apples and eats one today", False),
        ("Tom has 3 apples and 5 pears", "Tom has 5 apples and 3 pears", False),
        ("How do I activate my card?", "How do I lose my card?", False),
        ("hello", "hallo", False),
        ("???", "!!!", False),
        ("Ｗｈｅｒｅ　ｉｓ it", "where is it", True),
        ("我的卡在哪里", "我的卡在哪里？", True),
        ("I paid 1\u200b20 euros for it", "I paid 120 euros for it", True),
        ("I paid 1 20 euros for it", "I paid 120 euros for it", False),
    ],
)
def test_near_is_what_a_reader_would_call_the_same_question(one, other, is_near):
    assert (near([one], [other]) == {0: 0}) is is_near
    assert (near([other], [one]) == {0: 0}) is is_near


def test_an_equal_text_is_named_before_a_near_one():
    others = ["please tell me where my new card is", "tell me where my new card is"]
    assert near(["Tell me where my new card is!"], others) == {0: 1}


WORD = st.sampled_from("a b c d e f g hello world card bank late 1 2".split())
TEXTS = st.lists(st.lists(WORD, max_size=9).map(" ".join), max_size=12)


@given(TEXTS, TEXTS)
def test_the_index_finds_what_comparing_all_pairs_finds(texts, others):
    pairs = {
        number
        for number, text in enumerate(texts)
        for other in others
        if normalised(text) == normalised(other)
        or (len(set(normalised(text))) > 1 and Likeness(normalised(text)).is_near(Likeness(normalised(other))))
    }
    assert set(near(texts, others)) == pairs


def test_thousands_of_rows_are_compared_in_seconds():
    random_ = random.Random(0)
    words = [f"w{random_.getrandbits(30):x}" for _ in range(3000)]
    weights = [1 / (rank + 1) for rank in range(3000)]
    texts = [" ".join(random_.choices(words, weights, k=14)) for _ in range(7_500)]
    begun = time.process_time()
    near(texts[:6_000], texts[6_000:])
    assert time.process_time() - begun < 10
