"""The splits of a user's rows: the same for the same input, disjoint, and nothing of the items in training."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pipeline.nearness import near
from pipeline.overlap import Overlap
from pipeline.owntask.dividing import FINAL_SHARE, SEARCH_SHARE, divide, place
from pipeline.owntask.reading import Example

SPLITS = ("train", "search", "final")
ROW = st.tuples(st.text("ab cdé12?", min_size=0, max_size=24), st.sampled_from(["yes", "no", ""]))


def examples(rows):
    return [Example(number, asked, told, {"q": asked}) for number, (asked, told) in enumerate(rows, start=1)]


def split(rows, test=None):
    return divide(examples(rows), examples(test) if test is not None else None, lambda row: row.input, "")


def side(divided):
    return {row.key: name for name in SPLITS for row in getattr(divided, name)}


@given(st.lists(ROW, max_size=60), st.lists(ROW, max_size=20))
def test_rows_that_are_added_move_no_others(rows, more):
    before, after = side(split(rows)), side(split(rows + more))
    assert all(after[key] == before[key] for key in before.keys() & after.keys())


@given(st.lists(ROW, max_size=60), st.randoms())
def test_the_order_of_rows_decides_nothing_but_which_of_equal_rows_stays(rows, random):
    shuffled = rows[:]
    random.shuffle(shuffled)
    assert side(split(rows)) == side(split(shuffled))


@given(st.lists(ROW, max_size=60), st.lists(ROW, max_size=20) | st.none())
def test_every_row_is_kept_once_or_counted_as_left_out(rows, test):
    found = split(rows, test)
    assert sum(len(getattr(found, name)) for name in SPLITS) + found.left_out.counts.total() == len(rows) + len(
        test or []
    )


@given(st.lists(ROW, max_size=60), st.lists(ROW, max_size=20) | st.none())
def test_no_training_row_asks_what_an_item_asks_and_the_guard_finds_none(rows, test):
    found = split(rows, test)
    items = [row.input for row in (*found.final, *found.search)]
    assert not near([row.input for row in found.train], items)
    assert not list(Overlap(items).scan([{"text": row.input, "answer": row.target} for row in found.train]))
    assert not near([row.input for row in found.search], [row.input for row in found.final])


def test_the_shares_are_about_what_is_said():
    found = split([(f"question number {n} of many", "yes" if n % 2 else "no") for n in range(5000)])
    total = sum(len(getattr(found, name)) for name in SPLITS)
    assert total == 5000 and abs(len(found.final) / total - FINAL_SHARE) < 0.02
    assert abs(len(found.search) / total - SEARCH_SHARE) < 0.02


def test_a_test_file_is_the_final_split_and_its_rows_leave_training():
    train = [(f"how many are {n} and {n}", str(2 * n)) for n in range(200)]
    test = [("How many are 7 and 7?", "14"), ("something else altogether", "x")]
    found = split(train, test)
    assert {row.input for row in found.final} == {"How many are 7 and 7?", "something else altogether"}
    assert "how many are 7 and 7" not in {row.input for row in (*found.train, *found.search)}
    assert sum(rows for reason, rows in found.left_out.counts.items() if reason.startswith("duplicates")) == 1


def test_what_contradicts_repeats_or_says_nothing_is_counted_by_reason():
    rows = [
        ("same thing", "yes"),
        ("Same thing!", "yes"),
        ("unclear", "yes"),
        ("unclear", "no"),
        ("", "no"),
        ("x y", " "),
    ]
    found = split(rows)
    assert found.left_out.counts == Counter({"empty": 2, "conflicting": 2, "repeated": 1})
    assert found.left_out.places["conflicting"] == ["row 3", "row 4"]


def test_an_item_that_asks_what_every_prompt_or_an_answer_says_is_left_out_and_not_all_training_rows():
    rows = [(f"row {n} with words of its own kind", "pending transfer") for n in range(100)]
    test = [("pending transfer?", "pending transfer"), ("pick one", "pending transfer")]
    found = divide(examples(rows), examples(test), lambda row: f"Pick one: {row.input}", "Pick one:\n")
    assert not found.final and len(found.train) > 80


def test_a_row_stands_by_its_words_alone():
    one, other = examples([("Where is it?", "a"), ("where  is IT", "b")])
    assert place(one) == place(other) and 0 <= place(one) < 1
