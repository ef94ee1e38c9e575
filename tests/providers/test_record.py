"""The record of exchanges: what it costs, what a crash leaves, what is no record."""

from __future__ import annotations

import pytest

from pipeline.errors import InputError
from pipeline.providers.record import FILE, Cost, Ended, Exchange, Log, read
from pipeline.providers.talk import Cap


def exchange(turn=0, number=0, question="q", **more):
    return Exchange(
        turn=turn, number=number, question=question, model="m", at_most=Cost(tokens=500, dollars=0.5), **more
    )


def answered(asked, **more):
    used = {"state": "answered", "text": "yes", "input_tokens": 100, "output_tokens": 10, "dollars": 0.1}
    return asked.model_copy(update=used | more)


def test_what_was_asked_and_not_answered_costs_the_most_that_it_can(tmp_path):
    log = Log(str(tmp_path))
    for number in range(2):
        log.asked(exchange(number=number), "system", ["state"])
        if number == 0:
            log.came(answered(exchange()))
    for found in (log, Log(str(tmp_path))):
        assert found.turns.spent() == Cost(tokens=610, dollars=0.6)


def test_one_price_that_is_not_known_makes_the_sum_unknown(tmp_path):
    log = Log()
    for number, dollars in enumerate((0.1, None)):
        log.asked(exchange(number=number), "", [])
        log.came(answered(exchange(number=number), dollars=dollars))
    assert log.turns.spent().dollars is None and not Cap(dollars=5.0).holds(log.turns.spent(), Cost(dollars=0.0))


def test_a_turn_is_found_by_its_question_or_by_the_last_that_was_asked_in_it():
    log = Log()
    for number, question in enumerate(("old", "new", "new")):
        log.asked(exchange(3, number, question), "", [])
    log.ended(Ended(turn=3, question="new", result="handed over", why="because"))
    assert [each.number for each in log.turns.of(3)] == [1, 2] and len(log.turns.of(3, "old")) == 1
    assert log.turns.end_of(3).why == "because" and log.turns.end_of(3, "old") is None


@pytest.mark.parametrize("cut", [1, 20, 90])
def test_a_line_that_a_crash_tore_is_cut_off_before_the_next_one(tmp_path, cut):
    log = Log(str(tmp_path))
    log.asked(exchange(), "system", ["state"])
    log.came(answered(exchange()))
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-cut])
    again = Log(str(tmp_path))
    assert again.turns.spent().tokens == 500  # what came is lost
    again.asked(exchange(1), "system", ["state"])
    assert len(read(path).exchanges) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no exchange"),
        ("no json\n", "line 1: not of a record"),
        ('{"kind": "asked", "turn": 1}\n', "line 1: not an exchange"),
        ('{"kind": "came", "turn": 1, "number": 0}\n', "line 1: not an exchange"),
    ],
)
def test_what_is_no_record_is_refused_with_its_line(tmp_path, content, said):
    path = tmp_path / "record.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match=said):
        read(path)
    with pytest.raises(InputError, match="no record of exchanges"):
        read(tmp_path / "nowhere")


def test_a_record_that_was_damaged_in_the_middle_is_not_guessed_at(tmp_path):
    log = Log(str(tmp_path))
    log.asked(exchange(), "", [])
    path = tmp_path / FILE
    path.write_text("garbage\n" + path.read_text())
    with pytest.raises(InputError, match="line 1"):
        Log(str(tmp_path))


def test_caps_hold_what_was_spent_and_what_is_about_to_be():
    assert Cap().holds(Cost(tokens=10**9), Cost(tokens=10**9))
    assert Cap(tokens=100).holds(Cost(tokens=60), Cost(tokens=40))
    assert not Cap(tokens=100).holds(Cost(tokens=60), Cost(tokens=41))
    assert not Cap(dollars=1.0).holds(Cost(dollars=0.0), Cost(dollars=None))
