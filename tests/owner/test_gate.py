"""An agent's own way in: its doors and no others, in its own name."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.owner import gate
from pipeline.owner.client import Client
from pipeline.owner.gate import Gate
from tests import runs
from tests.runs import GOOD, Bench

bench = runs.bench  # the fixture


@pytest.fixture
def entered(bench: Bench) -> Iterator[Gate]:
    session = bench.open()
    session.begin()
    (bench.folder / "agent" / "work").mkdir(parents=True)
    with Gate(session, "command:me", {"cancel": "nothing is cancelled here"}) as made:
        yield made


def served(entered: Gate, call: Any) -> Any:
    """What a call gives, from another thread, while the session serves."""
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(call, entered.lease)
        entered.session.serve(future.done)
        return future.result()


def test_what_is_proposed_carries_the_agents_name_whatever_it_says(entered: Gate) -> None:
    trial = served(entered, lambda client: client.step(GOOD.model_copy(update={"author": "somebody else"})))
    assert trial.state == "scored" and trial.proposal.author == "command:me" and entered.lease.calls == 1


def test_refused_doors_say_why_and_closed_ones_are_unknown(entered: Gate) -> None:
    with pytest.raises(InputError, match="nothing is cancelled here"):
        entered.lease.cancel("t001")
    for name in ("finish", "report", "report_text", "is_finished"):
        with pytest.raises(InputError, match=f"unknown request '{name}'"):
            entered.lease.ask(name)
    assert Client.find(entered.session.folder).ask("is_finished") is False  # its user's own way in has them all


def test_its_token_opens_nothing_else(entered: Gate) -> None:
    owner = Client.find(entered.session.folder)
    with pytest.raises(InputError, match="not this run's token"):
        Client(owner.folder, owner.address, entered.lease.token).ask("ping")


def test_search_items_are_told_and_no_final_one(entered: Gate) -> None:
    items = entered.lease.ask("search_items")
    assert len(items) == 300 and all("-search-" in item["id"] for item in items)


def test_rows_come_in_pieces_and_of_known_sources_only(entered: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MOST_ROWS", 100)
    first, second = (entered.lease.ask("rows", source="maths_1", start=start) for start in (0, 100))
    assert first["total"] > 100 and len(first["rows"]) == 100 and first["rows"] != second["rows"]
    for source in ("maths_7", "../x", 3):
        with pytest.raises(InputError, match="unknown source"):
            entered.lease.ask("rows", source=source)


def test_it_is_idle_from_its_last_answer_on_and_not_while_it_waits(entered: Gate) -> None:
    assert entered.idle_seconds() < 5
    with ThreadPoolExecutor(1) as threads:
        entered.session.flights["x"] = None  # type: ignore[assignment]  # the slot is busy
        future = threads.submit(entered.lease.step, GOOD)
        while entered.lease.calls == 0:
            pass
        assert entered.idle_seconds() == 0.0
        del entered.session.flights["x"]
        entered.session.serve(future.done)
    assert 0.0 < entered.idle_seconds() < 30


@pytest.mark.parametrize("path", ["relative", "/etc", "WORK", "WORK/../home", "WORK/../work2/x", "WORK/none", 3, None])
def test_a_submission_from_elsewhere_is_refused(entered: Gate, path: Any) -> None:
    work = str((entered.place / "work").absolute())
    with pytest.raises(InputError, match="submit"):
        entered.lease.ask("submit", path=path.replace("WORK", work) if isinstance(path, str) else path)


def test_a_submitted_folder_is_taken_hold_of_without_following_a_link(entered: Gate, tmp_path: Path) -> None:
    made = entered.place / "work" / "made"
    made.mkdir()
    (made / "config.json").write_text("{}")
    (made / "model.safetensors").symlink_to(tmp_path / "instruct" / "model.safetensors")
    taken = entered._taken(str(made.absolute()))
    assert [path.name for path in taken.iterdir()] == ["config.json"]
    (entered.place / "work" / "link").symlink_to(tmp_path / "instruct")
    with pytest.raises(InputError, match="not a plain folder"):
        entered._taken(str((entered.place / "work" / "link").absolute()))
