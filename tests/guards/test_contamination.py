"""The contamination guard: exact items in every format, near misses that are honest, evidence without secrets."""

from __future__ import annotations

import base64
import html
import json
import string

import pytest

from pipeline.errors import InputError
from pipeline.guards.contamination import QUOTED
from tests.guards.planted import (
    FORMATS,
    ITEM,
    QUESTION,
    around,
    chat,
    nested,
    verdict,
)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("wrap", [str, around], ids=["alone", "within text"])
def test_a_final_item_is_found_in_every_source_format(name, wrap):
    found = verdict({"text": "honest"}, FORMATS[name](wrap(QUESTION)))
    assert not found.ok
    assert "1 row holds final benchmark items" in found.reason


@pytest.mark.parametrize("name", FORMATS)
def test_a_changed_word_is_not_accused_in_any_source_format(name):
    assert verdict(FORMATS[name](around(QUESTION.replace("apples", "pears")))).ok


DIFFERENCES = {
    "case": str.upper,
    "whitespace": lambda text: " \t".join(text.split()),
    "lines": lambda text: "\r\n".join(text.split()),
    "no punctuation": lambda text: "".join(c for c in text if c not in string.punctuation or c == "."),
    "punctuation as spaces": lambda text: "".join(" " if c in string.punctuation else c for c in text),
    "typographic quotes": lambda text: text.replace("'", "\u2019").replace('"', "\u201c"),
    "wide characters": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "mathematical letters": lambda text: "".join(chr(ord(c) - 97 + 0x1D41A) if "a" <= c <= "z" else c for c in text),
    "no-break spaces": lambda text: text.replace(" ", "\u00a0"),
    "dashes": lambda text: text.replace("-", "\u2011"),
    "bold": lambda text: text.replace("apples", "**apples**").replace("3", "*3*"),
    "invisible spaces": lambda text: text.replace("apples", "ap\u200bples"),
    "invisible letters": lambda text: text.replace("apples", "ap\u3164pl\u115fes"),
    "invisible in numbers": lambda text: text.replace("12", "1\u200b2"),
    "soft hyphens in numbers": lambda text: text.replace("12", "1\u00ad2"),
    "a quotation": lambda text: "> " + text.replace("\n", "\n> "),
    "a comment": lambda text: "// " + text.replace("\n", "\n// "),
    "a list": lambda text: "* " + text.replace("\n", "\n* "),
    "ASCII": ascii,
    "JavaScript": lambda text: text.replace("'", "\\x27").replace('"', "\\x22"),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_case_whitespace_punctuation_and_unicode_form_do_not_hide_an_item(name):
    assert not verdict({"text": around(DIFFERENCES[name](QUESTION))}).ok


def test_added_punctuation_does_not_hide_an_item():
    item = {"id": 1, "question": "Ann has 5 pens and buys 7 more pens today"}
    assert not verdict({"text": item["question"].replace(" ", ", ")}, items=[item]).ok


def test_wide_and_decomposed_letters_are_the_same_letters():
    item = {"id": 1, "question": "Wie groß ist das Café an der Straße ?"}
    assert not verdict({"text": "WIE GROSS IST DAS CAFE\u0301 AN DER STRASSE"}, items=[item]).ok


def test_scripts_without_spaces_are_searched_anywhere():
    item = {"id": 1, "question": "小明有五个苹果他又买了三个现在有几个"}
    assert not verdict({"text": f"请回答{item['question']}谢谢"}, items=[item]).ok
    assert verdict({"text": f"请回答{item['question'][:-1]}谢谢"}, items=[item]).ok


NEAR_MISSES = [
    ("What is 3 plus 4?", "What is 3 plus 45?"),
    ("What is 3 plus 4?", "What is 13 plus 4?"),
    ("What is 3 plus 4?", "What is 3 plus 4.5?"),
    ("What is 3 + 4?", "What is 3 - 4?"),
    ("What is 3 + 4?", "What is 3*4?"),
    ("What is x - y here?", "What is x + y here?"),
    ("How much are 3.5 kg of tea?", "How much are 35 kg of tea?"),
    ("How much are 1 23 pens?", "How much are 12 3 pens?"),
    ("Is he now here or there?", "Is he nowhere or there?"),
    ("Name the capital of Peru", "Name the capital of Peruvia"),
    ("Name the capital of Peru", "Rename the capital of Peru"),
    ("Help me", "Could you help me with my homework please"),
    ("Why?", "I wonder why the sky is blue"),
    ("Card arrival", "My card arrival is late"),
    ("How do I top up?", "how do I top up my card?"),
    ("What should I do?", "I wondered what should I do next"),
    ("What is 3 + 4?", "What is 3 + 4 * 5"),
    ("What is 3 + 4?", "What is 3 4"),
    ("What is C++ for?", "What is C for?"),
    ("Is it C#?", "Is it C?"),
    ("Is it C?", "Is it C++?"),
    ("Is it -5?", "Is it 5?"),
    ("Help me", "def help_me_now(): pass"),
    ("card arrival", "my friends' card arrival, was late"),
    ("我想退款吗", "请问我想退款吗怎么办"),
    (
        "क्या तुम कल बाज़ार जाओगे और फल",
        "क्या तुम कल बाज़ार जाओगी और फल",
    ),  # said to a man, and to a woman
]


@pytest.mark.parametrize(("question", "honest"), NEAR_MISSES)
def test_near_misses_are_not_accused(question, honest):
    assert verdict({"question": honest, "answer": "7"}, items=[{"id": 1, "question": question}]).ok


@pytest.mark.parametrize(
    ("question", "row"),
    [
        ("What is 3 + 4?", "Answer this: what is 3 + 4 = ?"),
        ("What is 3 plus 4?", "so what is 3 plus 4 then"),
        ("Why?", "Why?"),
        ("Help me", "Customer: help me!"),
        ("Help me", "a\nhelp me\nb"),
        ("How far are 1,000 km?", "how far are 1000 km"),
        ("How far are 1,000 km?", "how far are 1 000 km"),
    ],
)
def test_short_questions_are_found_as_whole_word_sequences(question, row):
    assert not verdict({"text": row}, items=[{"id": 1, "question": question}]).ok


@pytest.mark.parametrize(
    ("question", "row"),
    [
        ("Sort [9, 0, 123] for me, please", "Sort [9, 0,\n    123] for me, please"),
        (r"Let $3\times4$ be Tom's sum of a<b or so", html.escape(r"Let $3\times4$ be Tom's sum of a<b or so")),
        ("He said &#x27;go&#x27; to all\nof us now", json.dumps({"q": "He said &#x27;go&#x27; to all\nof us now"})),
        ("It's caf\u00e9 time in the old town", ascii("It's caf\u00e9 time in the old town")),
        ("Ann is 1\u200b2 and Tom is 3 years old", "Ann is 12 and Tom is 3 years old"),
    ],
)
def test_escapes_and_line_breaks_do_not_hide_what_they_hold(question, row):
    assert not verdict({"text": f"a row {row} of text"}, items=[{"id": 1, "question": question}]).ok


def test_a_row_that_nests_deeper_than_anybody_looks_is_refused():
    found = verdict({"question": "Hi", "answer": "Hello", "extra": nested(QUESTION, 100)})
    assert not found.ok and "nests more than" in found.reason


def test_ids_called_tokens_are_no_harm_where_training_reads_the_text():
    assert verdict({"question": "Hi", "answer": "Hello", "tokens": [11, 5, 3]}, decode=None).ok
    assert not verdict({"tokens": [11, 5, 3]}, decode=None).ok
    assert not verdict({"question": "Hi", "answer": "Hello", "input_ids": [11, 5, 3]}, decode=None).ok


def test_honest_rows_that_share_a_template_are_not_accused():
    items = [{"id": i, "question": f"Tom has {i} pens. He buys {i + 2}. How many pens now?"} for i in range(1000)]
    honest = [{"text": f"Tom has {i} pens. He buys {i + 3}. How many pens now?"} for i in range(1000)]
    assert verdict(*honest, items=items).ok


def test_evidence_names_places_and_never_an_answer_or_a_question():
    rows = [{"note": "fine"}, *[{"messages": chat(QUESTION), "answer": ITEM["answer"]}] * (QUOTED + 2)]
    found = verdict(*rows)
    assert found.evidence == tuple(
        f"maths_9, row {row}, column messages: final item final-7" for row in range(2, 2 + QUOTED)
    )
    assert found.reason == "maths_9: 7 rows hold final benchmark items (8 rows in all): leave this source out"
    assert "SECRET" not in found.model_dump_json() and "apples" not in found.model_dump_json()


def test_rows_of_token_ids_that_nobody_can_read_are_refused():
    found = verdict({"input_ids": [1, 2, 3]}, decode=None)
    assert not found.ok and "without a tokenizer" in found.reason


def test_ids_that_the_tokenizer_does_not_know_are_refused():
    found = verdict({"input_ids": [300, 400]})
    assert not found.ok and "does not know" in found.reason


def test_plain_numbers_are_no_token_ids():
    assert verdict({"text": "fine", "counts": [300, 400]}, {"text": "fine", "label": 3, "share": 0.5}).ok


def test_an_item_without_a_question_is_an_error_of_one_line():
    with pytest.raises(InputError, match="no 'question'"):
        verdict({"text": "a"}, items=[{"id": 1}])


def test_an_item_of_punctuation_only_matches_nothing():
    assert verdict({"text": "..."}, {"text": ""}, items=[{"id": 1, "question": "???"}]).ok


def test_what_is_encoded_otherwise_is_out_of_scope():
    # stated here so that nobody believes the guard to see it: exact means text
    assert verdict({"text": base64.b64encode(QUESTION.encode()).decode()}).ok
