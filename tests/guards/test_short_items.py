"""Short items, and items in pieces: what they are found by, and what honest rows may say all the same."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.guards.planted import ALPHABET, FORMATS, ITEM, chat, verdict, words

APART = {
    "a line": lambda before, text, after: f"{before}\n{text}\n{after}",
    "a sentence": lambda before, text, after: f"{before}. {text}! {after}",
    "after a colon": lambda before, text, after: f"{before}: {text}",
    "in quotes": lambda before, text, after: f'{before} "{text}" {after}',
    "in single quotes": lambda before, text, after: f"{before} '{text}' {after}",
    "in typographic quotes": lambda before, text, after: f"{before} \u2018{text}\u2019 {after}",
    "in brackets": lambda before, text, after: f"{before} ({text}) {after}",
    "in bold": lambda before, text, after: f"{before} **{text}** {after}",
    "in HTML": lambda before, text, after: f"{before} <b>{text}</b> {after}",
    "in a table": lambda before, text, after: f"| {before} | {text} | {after} |",
    "in a row of CSV": lambda before, text, after: f"{before},{text},{after}",
}


@pytest.mark.parametrize(
    "row",
    [
        {"question": "2+2?", "answer": "4"},
        {"question": "a", "answer": "Step one.\n4"},
        {"question": "a", "answer": "b", "id": 4},
        {"question": "a", "answer": "The list: 3, 4, 5", "scores": [3, 4]},
        {"messages": [{"role": "user", "content": "Is it?"}, {"role": "assistant", "content": "Yes."}]},
        {"question": "Is it great?", "answer": "Great!"},
        {"text": "Ok. The date is 2024-05-04, yes"},
        {"text": "5 - 3 - 5"},
    ],
)
def test_one_word_or_number_is_found_as_all_that_a_user_says_only(row):
    items = ["4", "yes", "ok", "Great", "great \U0001f600", "-5", "3.5", "2024-05-04", "05"]
    assert verdict(row, items=[{"id": text, "question": text} for text in items]).ok


@pytest.mark.parametrize("item", ["4", "yes", "ok", "-5", "3.5", "C++", "1,000", "\u8c22\u8c22"])
@pytest.mark.parametrize("wrap", ["{}", " {}\n", '"{}".', "**{}**"])
def test_one_word_is_found_where_a_user_says_it_and_no_more(item, wrap):
    text = wrap.format(item)
    for row in ({"question": text, "answer": "b"}, {"messages": chat(text)}, {"text": text}):
        assert not verdict(row, items=[{"id": 1, "question": item}]).ok


@pytest.mark.parametrize("item", ["\U0001f44d", ":(", "?!"])
def test_an_item_of_marks_alone_is_found_where_a_user_says_just_that(item):
    assert not verdict({"question": f" {item}\n", "answer": "b"}, items=[{"id": 1, "question": item}]).ok
    assert verdict({"question": f"{item}!", "answer": item}, items=[{"id": 1, "question": item}]).ok


PAIR = ("A man is asleep in the park", "A man rests")
PIECES = {**ITEM, "question": "\n".join(PAIR), "phrased": {"pieces": list(PAIR)}}


@pytest.mark.parametrize(
    ("row", "ok"),
    [
        ({"text": f"Premise: {PAIR[0]}\nHypothesis: {PAIR[1]}\nLabel:"}, False),
        ({"hypothesis": PAIR[1], "id": 7, "premise": PAIR[0]}, False),
        ({"question": f'Does "{PAIR[0]}" follow from "{PAIR[1]}"?', "answer": "no"}, False),
        ({"premise": PAIR[0], "hypothesis": "A man runs"}, True),
        ({"premise": "A dog barks", "hypothesis": PAIR[1]}, True),
        ({"text": f"{PAIR[0]}. Later a man rests on a bench"}, True),
    ],
)
def test_an_item_in_pieces_is_found_where_all_of_them_stand_in_any_order(row, ok):
    assert verdict(row, items=[PIECES]).ok is ok


def test_a_short_item_is_found_by_the_prompt_that_asks_it_and_not_where_that_ends_another_question():
    item = {"id": 1, "question": "ok", "phrased": {"prompt": "ok\n\nAnswer with one of: good, bad."}}
    for text, ok in (
        ("OK\nAnswer with one of: good, bad", False),
        ("It was ok\n\nAnswer with one of: good, bad.", True),
    ):
        assert verdict({"prompt": text, "completion": "good"}, items=[item]).ok is ok


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(ALPHABET, min_size=2, max_size=8), min_size=2, max_size=5), words, words, st.data())
def test_a_short_item_is_found_wherever_it_stands_apart_and_not_within_a_sentence(question, before, after, data):
    text, item = " ".join(question), {"id": 1, "question": " ".join(question) + "?"}
    before, after = " ".join(before), " ".join(after)
    assume(text not in before and text not in after)
    apart = data.draw(st.sampled_from(list(APART)))
    for wrap in FORMATS:
        if wrap not in ("two columns", "a list of words"):
            assert not verdict(FORMATS[wrap](text), items=[item]).ok, wrap
    assert not verdict({"text": APART[apart](before, text, after)}, items=[item]).ok
    assert verdict({"text": f"{before} {text} {after}"}, items=[item]).ok
