from __future__ import annotations

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import LedgerError
from pipeline.ledger import ENVELOPE, Ledger, fold, pending
from pipeline.types import Cost, DataRef, Outcome, Proposal, Recipe, Score, Stage, Trial, Verdict

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KINDS = st.sampled_from(["started", "finished", "abandoned", "scored", "chosen", "note"]) | st.text()
FIELDS = st.dictionaries(st.text().filter(lambda key: key not in (*ENVELOPE, "self")), JSON, max_size=4)
RECIPE = Recipe(model="m", stages=(Stage(data=(DataRef(name="maths_1"),)),))


def score(role="search", value=0.5):
    return Score(benchmark="b", metric="m", value=value, stderr=0.1, n=9, role=role)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.jsonl"


@pytest.fixture(scope="module")
def three_events(tmp_path_factory):
    """A ledger of three events, as bytes."""
    path = tmp_path_factory.mktemp("three") / "ledger.jsonl"
    ledger = Ledger(path)
    for text in ("one", "two", "three"):
        ledger.append("note", text=text)
    return path.read_bytes()


@pytest.fixture
def three_lines(three_events, path):
    """The same, at `path`."""
    path.write_bytes(three_events)
    return three_events


def texts(path):
    return [event["text"] for event in Ledger(path).events()]


# ---------------------------------------------------------------- append and read


def test_an_event_has_its_envelope_and_is_read_back_by_another_reader(path):
    event = Ledger(path).append("note", text="hello")
    assert list(event) == [*ENVELOPE, "text"]
    assert (event["v"], event["seq"], event["prev"], event["kind"]) == (1, 1, "", "note")
    assert event["time"].endswith("+00:00")
    assert Ledger(path).events() == (event,)


@given(payloads=st.lists(st.tuples(KINDS, FIELDS), max_size=4))
def test_any_payload_comes_back_as_it_was(tmp_path_factory, payloads):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.unlink(missing_ok=True)
    ledger = Ledger(path)
    for kind, fields in payloads:
        ledger.append(kind, **fields)
    found = Ledger(path).events()
    assert found == ledger.events()
    assert [event["kind"] for event in found] == [kind for kind, _ in payloads]
    assert [{key: event[key] for key in event if key not in ENVELOPE} for event in found] == [f for _, f in payloads]


def test_nouns_are_written_as_they_are_and_nan_as_null(path):
    Ledger(path).append("scored", score=score(), loss=float("nan"))
    (event,) = Ledger(path).events()
    assert Score.model_validate(event["score"]) == score()
    assert event["loss"] is None


def test_fields_of_the_envelope_cannot_be_given(path):
    with pytest.raises(ValueError, match="seq: the envelope's own"):
        Ledger(path).append("note", seq=5)
    assert Ledger(path).events() == ()


def test_reading_a_ledger_that_does_not_exist_finds_nothing_and_makes_nothing(path):
    assert Ledger(path).events() == ()
    assert Ledger(path).history() == ()
    assert not path.exists()


def test_a_reader_sees_what_the_writer_adds_later(path):
    writer, reader = Ledger(path), Ledger(path)
    writer.append("note", text="a")
    assert len(reader.events()) == 1
    writer.append("note", text="b")
    assert len(reader.events()) == 2


def test_the_chain_goes_on_when_a_ledger_is_opened_again(three_lines, path):
    Ledger(path).append("note", text="four")
    assert texts(path) == ["one", "two", "three", "four"]
    assert path.read_bytes().startswith(three_lines)


def test_every_append_is_synced_to_disk(path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(handle), real(handle)))
    ledger = Ledger(path)
    ledger.append("note")
    assert len(synced) >= 2  # the file, and the folder that holds its name
    before = len(synced)
    ledger.append("note")
    assert len(synced) == before + 1


def test_a_second_writer_is_noticed(path):
    first, second = Ledger(path), Ledger(path)
    first.append("note", text="a")
    second.append("note", text="b")
    with pytest.raises(LedgerError, match="another process wrote"):
        first.append("note", text="c")
    assert texts(path) == ["a", "b"]


def test_a_full_disk_leaves_the_ledger_as_it_was(three_lines, path, monkeypatch):
    ledger = Ledger(path)
    ledger.repair()

    def fail(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(LedgerError, match="No space left on device"):
            ledger.append("note", text="lost")
    assert path.read_bytes() == three_lines
    ledger.append("note", text="four")
    assert texts(path) == ["one", "two", "three", "four"]


# ---------------------------------------------------------------- damage


def test_a_last_line_cut_at_any_byte_is_set_aside_and_only_that_line_is_lost(three_lines, tmp_path):
    begin = three_lines.rindex(b"\n", 0, -1) + 1
    for cut in range(begin + 1, len(three_lines) - 1):
        path = tmp_path / str(cut) / "ledger.jsonl"
        path.parent.mkdir()
        path.write_bytes(three_lines[:cut])
        assert texts(path) == ["one", "two"]
        assert path.read_bytes() == three_lines[:cut]  # reading repairs nothing
        assert Ledger(path).repair()
        assert path.with_name("ledger.torn").read_bytes() == three_lines[begin:cut] + b"\n"
        assert texts(path) == ["one", "two", "moved a torn last line to ledger.torn"]
        assert not Ledger(path).repair()


def test_a_last_line_that_lacks_only_its_newline_is_kept(three_lines, path):
    path.write_bytes(three_lines[:-1])
    assert texts(path) == ["one", "two", "three"]
    ledger = Ledger(path)
    assert not ledger.repair()
    ledger.append("note", text="four")
    assert texts(path) == ["one", "two", "three", "four"]


@pytest.mark.parametrize("tail", [b"\0" * 40, b"\0" * 40 + b"\n", b"\n", b"\xff\xfe\n", b"[1]"[:2]])
def test_garbage_that_a_power_cut_leaves_at_the_end_is_set_aside(three_lines, path, tail):
    path.write_bytes(three_lines + tail)
    Ledger(path).append("note", text="four")
    assert texts(path)[:3] == ["one", "two", "three"]
    assert texts(path)[-1] == "four"


@settings(max_examples=300)
@given(data=st.data())
def test_any_byte_changed_before_the_last_line_is_detected(tmp_path_factory, three_events, data):
    path = tmp_path_factory.getbasetemp() / "flipped.jsonl"
    content = bytearray(three_events)
    place = data.draw(st.integers(0, content.rindex(b"\n", 0, -1)))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    with pytest.raises(LedgerError, match=r"line \d"):
        Ledger(path).events()
    with pytest.raises(LedgerError, match=r"line \d"):
        Ledger(path).append("note")
    assert path.read_bytes() == bytes(content)


def test_an_edited_line_is_named(three_lines, path):
    path.write_bytes(three_lines.replace(b'"two"', b'"TWO"'))
    with pytest.raises(LedgerError, match="line 2: changed after it was written"):
        Ledger(path).events()


@pytest.mark.parametrize(
    ("order", "line"),
    [([1, 2], 1), ([0, 2], 2), ([1, 0, 2], 1), ([0, 2, 1], 2), ([0, 0, 1, 2], 2), ([0, 1, 2, 2], 4)],
)
def test_deleted_repeated_and_moved_lines_are_named(three_lines, path, order, line):
    lines = three_lines.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[index] for index in order))
    with pytest.raises(LedgerError, match=f"line {line}: .*deleted, added or moved"):
        Ledger(path).events()


def test_an_event_inserted_with_a_right_number_breaks_the_chain(three_lines, path):
    forged = json.dumps({"v": 1, "seq": 4, "prev": "0" * 64, "time": "", "kind": "note", "text": "four"})
    path.write_bytes(three_lines + forged.encode() + b"\n")
    with pytest.raises(LedgerError, match="line 3: changed after it was written"):
        Ledger(path).events()


# ---------------------------------------------------------------- history


def started(ledger, trial_id, **fields):
    ledger.append("started", trial=Trial(id=trial_id, recipe=RECIPE, **fields))


def test_a_trial_that_started_and_did_not_end_is_pending(path):
    ledger = Ledger(path)
    started(ledger, "t1", proposal=Proposal(changes={"seed": 1}, rationale="why"))
    (trial,) = Ledger(path).history()
    assert (trial.id, trial.state, trial.recipe) == ("t1", "pending", RECIPE)
    assert trial.proposal.rationale == "why"
    assert pending(ledger.history()) == (trial,)


def test_history_is_in_the_order_of_starting_whatever_ends_first(path):
    ledger = Ledger(path)
    for trial_id in ("t1", "t2", "t3"):
        started(ledger, trial_id)
    ledger.append("finished", trial="t2", outcome=Outcome(scores=(score(),), cost=Cost(seconds=3)))
    ledger.append("finished", trial="t1", outcome=Outcome(error="out of memory"))
    ledger.append("abandoned", trial="t3", reason="interrupted")
    trials = ledger.history()
    assert [(trial.id, trial.state) for trial in trials] == [("t1", "failed"), ("t2", "scored"), ("t3", "abandoned")]
    assert trials[1].score == score()
    assert trials[1].outcome.cost.seconds == 3
    assert pending(trials) == ()


def test_a_rejected_trial_carries_its_verdicts(path):
    ledger = Ledger(path)
    started(ledger, "t1", verdicts=(Verdict(guard="bounds", ok=True),))
    ledger.append("finished", trial="t1", state="rejected", verdicts=[Verdict(guard="contamination", ok=False)])
    (trial,) = ledger.history()
    assert trial.state == "rejected"
    assert [verdict.guard for verdict in trial.verdicts] == ["bounds", "contamination"]


def test_final_scores_never_enter_history(path):
    ledger = Ledger(path)
    started(ledger, "t1")
    ledger.append("finished", trial="t1", outcome=Outcome(scores=(score("final", 0.123), score())))
    ledger.append("scored", role="final", score=score("final", 0.123))
    assert "0.123" not in "".join(trial.model_dump_json() for trial in ledger.history())
    assert ledger.history()[0].score == score()


def test_fields_and_kinds_of_later_versions_are_ignored(path):
    ledger = Ledger(path)
    trial = json.loads(Trial(id="t1", recipe=RECIPE).model_dump_json())
    trial["new"] = trial["recipe"]["new"] = trial["proposal"]["new"] = trial["recipe"]["stages"][0]["new"] = 1
    trial["recipe"]["stages"][0]["data"][0]["new"] = 1
    ledger.append("started", trial=trial, new=2)
    ledger.append("invented_later", trial={"id": "t2"})
    ledger.append("finished", trial="t1", outcome={"scores": [], "new": 3}, state="scored")
    assert [(t.id, t.state, t.recipe) for t in ledger.history()] == [("t1", "scored", RECIPE)]


def test_an_event_that_cannot_be_read_is_named_by_its_line(path):
    ledger = Ledger(path)
    ledger.append("note")
    ledger.append("started", trial="t1")
    with pytest.raises(LedgerError, match="line 2: not a readable 'started'"):
        ledger.history()


def test_history_grows_with_the_ledger(path):
    ledger = Ledger(path)
    started(ledger, "t1")
    assert len(ledger.history()) == 1
    assert ledger.history()[0] is ledger.history()[0]  # read once, however often it is asked for
    started(ledger, "t2")
    assert len(ledger.history()) == 2
    ledger.append("abandoned", trial="t1", reason="interrupted")
    assert [trial.state for trial in ledger.history()] == ["abandoned", "pending"]
    assert fold(ledger.events()) == ledger.history() == Ledger(path).history()
