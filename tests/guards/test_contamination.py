from __future__ import annotations

import base64
import gzip
import html
import json
import random
import string
import time
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline import benchmarks, catalogue
from pipeline.errors import InputError
from pipeline.guards.contamination import QUOTED, on_source
from pipeline.rowfiles import read_rows
from pipeline.types import ItemsKey

REAL = Path(__file__).parents[3] / "shared" / "data"

QUESTION = 'Tom\'s 3 well-known shops sell "red" apples.\nHe buys 12.5 kg + 4 kg: how many kg now?'
ITEM = {"id": "final-7", "question": QUESTION, "answer": "SECRET-16.5"}
ALPHABET = string.ascii_lowercase + "éßñ"


def decode(ids):
    return bytes(ids).decode("utf-8", "replace")


def around(text, before="Please solve this.", after="Thank you!"):
    return f"{before}\n\n{text} {after}"


def chat(text):
    return [{"role": "user", "content": text}, {"role": "assistant", "content": "no idea"}]


FORMATS = {
    "question + answer": lambda text: {"question": text, "answer": "4"},
    "only in the answer": lambda text: {"question": "What was asked?", "answer": text},
    "prompt + completion": lambda text: {"prompt": text, "completion": "4"},
    "prompt + completion as messages": lambda text: {"prompt": chat(text)[:1], "completion": chat(text)[1:]},
    "messages": lambda text: {"messages": chat(text)},
    "messages in parts": lambda text: {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]},
    "conversations": lambda text: {"conversations": [{"from": "human", "value": text}, {"from": "gpt", "value": "4"}]},
    "instruction": lambda text: {"instruction": "Solve.", "input": text, "output": "4"},
    "text": lambda text: {"text": text},
    "an odd column": lambda text: {"question": "Hi", "answer": "Hello", "metadata": text},
    "nested dicts": lambda text: {"messages": chat("Hi"), "extra": {"source": {"original": [text]}}},
    "a dict's key": lambda text: {"scores": {text: 1.0}},
    "deep in dicts": lambda text: {"question": "Hi", "answer": "Hello", "extra": nested(text, 30)},
    "a column's name": lambda text: {"question": "Hi", "answer": "Hello", text: 1.0},
    "a role's name": lambda text: {"question": "Hi", "answer": "Hello", "type": text},
    "content parts cut in a word": lambda text: {"messages": [{**chat(text)[0], "content": cut(text)}, chat("")[1]]},
    "input before instruction": lambda text: reordered(text, "input", "output", "instruction"),
    "answer between instruction and input": lambda text: reordered(text, "instruction", "output", "input"),
    "JSON in a string": lambda text: {"data": json.dumps({"q": text, "a": 4})},
    "JSON in ASCII in JSON": lambda text: {"data": json.dumps(json.dumps({"rows": [text]}))},
    "JSON within other text": lambda text: {"text": f"Here is the row: {json.dumps({'q': text})} -- end"},
    "a Python literal": lambda text: {"text": f"data = {[text]!r}"},
    "HTML": lambda text: {"text": f"<p>{html.escape(text)}</p>"},
    "bytes": lambda text: {"blob": text.encode()},
    "token ids": lambda text: {"input_ids": list(text.encode()), "labels": [-100] * 3},
    "labels": lambda text: {"input_ids": [1, 2], "labels": [-100, -100, *text.encode()]},
    "a list of words": lambda text: {"words": text.split()},
    "two columns": lambda text: {"body": text[: len(text) // 2].rsplit(" ", 1)[0], "rest": _second_half(text)},
}


def nested(text, depth):
    return {"a": nested(text, depth - 1)} if depth else text


def cut(text):
    """Content parts as chat data sets have them; training joins them without a space."""
    half = len(text) // 2
    return [{"type": "text", "text": text[:half], "note": "first"}, {"type": "text", "text": text[half:]}]


def reordered(text, *columns):
    """A row whose question training puts together of `instruction` and `input`, whatever their order."""
    told = text.split(" ")
    half = len(told) // 2
    told = {"instruction": " ".join(told[:half]), "input": " ".join(told[half:]), "output": "no idea"}
    return {column: told[column] for column in columns}


def _second_half(text):
    half = text[: len(text) // 2]
    return text[len(half.rsplit(" ", 1)[0]) :]


def verdict(*rows, items=(ITEM,), decode=decode):
    return on_source("maths_9", list(rows), list(items), decode)


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


# ---------------------------------------------------------------- properties

word = st.text(ALPHABET, min_size=2, max_size=8) | st.integers(0, 999).map(str)
words = st.lists(word, min_size=6, max_size=30)  # shorter questions must stand apart


@settings(max_examples=150, deadline=None)
@given(words, st.sampled_from(sorted(FORMATS)), words, words, st.integers(0, 2))
def test_an_item_planted_anywhere_in_any_format_is_found(question, name, before, after, place):
    text = " ".join(question) + "?"
    rows = [FORMATS["text"](" ".join(before)) for _ in range(3)]
    rows[place] = FORMATS[name](" ".join([*before, text, *after]))
    assert not verdict(*rows, items=[{"id": 1, "question": text}]).ok


@settings(max_examples=150, deadline=None)
@given(words, st.sampled_from(sorted(FORMATS)), st.data())
def test_an_item_with_one_word_changed_is_not_accused(question, name, data):
    at = data.draw(st.integers(0, len(question) - 1))
    other = data.draw(st.text(ALPHABET, min_size=2, max_size=8))
    assume(other.casefold() != question[at].casefold())
    changed = [*question[:at], other, *question[at + 1 :]]
    assert verdict(FORMATS[name](" ".join(changed)), items=[{"id": 1, "question": " ".join(question)}]).ok


# ---------------------------------------------------------------- the real sources


@pytest.mark.parametrize("name", benchmarks.tiny_names())
def test_of_the_shipped_sources_only_the_last_holds_final_items(name):
    benchmark, key = benchmarks.load_benchmark(name), ItemsKey(lab_seed=3)
    pool = benchmarks.final_pool(benchmark, key)
    accused = [
        source
        for source in catalogue.names(benchmark.kind)
        if not on_source(source, catalogue.rows(source, key), pool).ok
    ]
    assert accused == [f"{benchmark.kind}_8"]


@pytest.mark.skipif(not REAL.is_dir(), reason="real benchmark items are not beside this checkout")
def test_real_items_are_found_and_a_real_training_split_is_not_accused():
    train, test = (read_rows(REAL / "gsm8k" / f"{split}.jsonl") for split in ("train", "test"))
    assert on_source("gsm8k", train, test).ok
    assert on_source("gsm8k", [{"data": json.dumps(row)} for row in test], test).reason.startswith("gsm8k: 1319 rows")
    with gzip.open(REAL / "humaneval" / "HumanEval.jsonl.gz", "rt") as lines:
        code = [json.loads(line) for line in lines]
    items = [{"id": row["task_id"], "question": row["prompt"]} for row in code]
    rows = [{"text": f"```python\n{row['prompt']}{row['canonical_solution']}```"} for row in code]
    assert on_source("code", rows, items).reason.startswith("code: 164 rows")


def test_items_of_the_pool_count_that_no_salt_has_selected():
    benchmark = benchmarks.load_benchmark("tiny_gsm8k")
    key = ItemsKey(salt="a run's own")
    selected = {item["id"] for item in benchmarks.items(benchmark, "final", key)}
    pool = benchmarks.final_pool(benchmark, key)
    other = next(item for item in pool if item["id"] not in selected)
    assert not on_source("x", [{"text": other["question"]}], pool).ok


def test_five_thousand_rows_against_two_thousand_items_take_about_a_second():
    rng = random.Random(0)
    vocabulary = ["".join(rng.choices(string.ascii_lowercase, k=6)) for _ in range(300)]
    items = [{"id": i, "question": "In the shop " + " ".join(rng.choices(vocabulary, k=30))} for i in range(2000)]
    rows = [{"messages": chat("In the shop " + " ".join(rng.choices(vocabulary, k=60)))} for _ in range(5000)]
    begin = time.process_time()
    assert verdict(*rows, items=items).ok
    assert time.process_time() - begin < 2.5  # 0.2 s where it was written; shared machines are slow at times


def test_one_row_that_holds_every_item_is_read_in_seconds():
    items = [{"id": i, "question": f"Tom has {i} pens. He buys {i + 2}. How many pens now?"} for i in range(2000)]
    begin = time.process_time()
    assert not verdict({"text": " ".join(item["question"] for item in items)}, items=items).ok
    assert time.process_time() - begin < 5
